//! Tables that could be behind the layer's cache, with its keys and values.
//!
//! A million sessions (16 bytes of id, and a value of 40 bytes with a shared owner in it, which a
//! hit clones as the layer does). Each table is filled, read by one thread and by two, in
//! a process of its own. Reads are batches of ids that were drawn before; rounds of all
//! orders are interleaved. What each table lacks stands in its name: the layer needs a bound, so
//! that requests cannot fill the memory, and a table without one would need that built beside it.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

#[path = "../../common/mod.rs"]
mod common;

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    hint::black_box,
    process::Command,
    sync::{Arc, RwLock},
    thread,
    time::Instant,
};

use common::{
    dice::{Dice, Zipf},
    quartiles::Quartiles,
    resident,
    table::{self, Table as Results},
    together::Together,
};
use uuid::Uuid;

const BENCH: &str = "peers-tables";
const MANY: u32 = 1_000_000;
const CAPACITY: usize = 1_050_000;
const BUSY: u32 = 1_024;
const BATCH: u32 = 65_536;
const ROUNDS: usize = 15;

type Id = Uuid;

/// As large as the layer's own entries.
#[derive(Clone)]
struct Value {
    owner: Arc<str>,
    _rest: [u64; 2],
    stamp: u64,
}

trait Table: Send + Sync + 'static {
    fn get(&self, id: &Id) -> Option<Value>;
    fn insert(&self, id: Id, value: Value);
}

type QuickCache = quick_cache::sync::Cache<Id, Value>;
impl Table for QuickCache {
    fn get(&self, id: &Id) -> Option<Value> {
        self.get(id)
    }
    fn insert(&self, id: Id, value: Value) {
        self.insert(id, value);
    }
}

type Papaya = papaya::HashMap<Id, Value, foldhash::fast::RandomState>;
impl Table for Papaya {
    fn get(&self, id: &Id) -> Option<Value> {
        self.pin().get(id).cloned()
    }
    fn insert(&self, id: Id, value: Value) {
        self.pin().insert(id, value);
    }
}

struct Sharded {
    shards: Vec<RwLock<HashMap<Id, Value, foldhash::fast::RandomState>>>,
    hasher: foldhash::fast::RandomState,
}
impl Sharded {
    fn shard(&self, id: &Id) -> &RwLock<HashMap<Id, Value, foldhash::fast::RandomState>> {
        let hash = self.hasher.hash_one(id) >> 48;
        &self.shards[usize::try_from(hash).expect("16 bits") % self.shards.len()]
    }
}
impl Table for Sharded {
    fn get(&self, id: &Id) -> Option<Value> {
        self.shard(id).read().expect("no panic").get(id).cloned()
    }
    fn insert(&self, id: Id, value: Value) {
        self.shard(&id).write().expect("no panic").insert(id, value);
    }
}

type Moka<H> = moka::sync::Cache<Id, Value, H>;
impl<H: std::hash::BuildHasher + Clone + Send + Sync + 'static> Table for Moka<H>
where
    Id: Hash,
{
    fn get(&self, id: &Id) -> Option<Value> {
        self.get(id)
    }
    fn insert(&self, id: Id, value: Value) {
        self.insert(id, value);
    }
}

/// The argument before the name of the only table to measure.
const ONLY: &str = "--only";

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, only, name] = &arguments[..]
        && only == ONLY
    {
        let found = TABLES.iter().find(|(table, _)| table == name);
        let (_, make) = found.expect("a table");
        let cells = measure(*make);
        println!("{}", serde_json::to_string(&cells).expect("JSON"));
        return;
    }
    table::begin(BENCH);
    let note = format!(
        "{MANY} entries; medians of {ROUNDS} rounds of {BATCH} reads a thread; memory is what the \
         process grew by, for each entry"
    );
    let columns = [
        "busy, ns",
        "busy, 2 threads",
        "any, ns",
        "any, 2 threads",
        "zipf, ns",
        "zipf, 2 threads",
        "bytes",
    ];
    let mut results = Results::new(
        BENCH,
        "tables that could be behind the cache",
        &note,
        &columns,
    );
    for (name, _) in TABLES {
        results.row(name, in_a_process_of_its_own(name).into_iter().map(Some));
    }
    results.publish();
}

type Make = fn() -> Arc<dyn Table>;

const TABLES: [(&str, Make); 4] = [
    ("quick_cache", || Arc::new(QuickCache::new(CAPACITY))),
    ("papaya (no bound)", || Arc::new(Papaya::default())),
    ("64 x RwLock<HashMap> (no bound)", || {
        Arc::new(Sharded {
            shards: (0..64).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
        })
    }),
    ("moka", || {
        Arc::new(Moka::<RandomState>::new(CAPACITY as u64))
    }),
];

/// What one table leaves behind would be no growth for the next one.
fn in_a_process_of_its_own(name: &str) -> Vec<Quartiles> {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([ONLY, name]).output();
    let output = output.expect("a process");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("results")
}

fn measure(make: Make) -> Vec<Quartiles> {
    let mut dice = Dice::new(MANY.into());
    let ids: Vec<Id> = (0..MANY).map(|_| dice.uuid()).collect();
    let owner: Arc<str> = "56837ddda10348".into();
    let before = resident::bytes();
    let table = make();
    for (id, stamp) in ids.iter().zip(0..) {
        let value = Value {
            owner: Arc::clone(&owner),
            _rest: [0; 2],
            stamp,
        };
        table.insert(*id, value);
    }
    let bytes = (resident::bytes() - before) / f64::from(MANY);
    let zipf = Zipf::new(MANY);
    let mut cells: [Vec<f64>; 6] = Default::default();
    for seed in 0..ROUNDS as u64 {
        let mut dice = Dice::new(seed);
        let orders: [Vec<Id>; 3] = [
            (0..BATCH).map(|_| ids[dice.below(BUSY)]).collect(),
            (0..BATCH).map(|_| ids[dice.below(MANY)]).collect(),
            (0..BATCH).map(|_| ids[zipf.draw(&mut dice)]).collect(),
        ];
        for (order, at) in orders.into_iter().zip([0, 2, 4]) {
            let order = Arc::new(order);
            cells[at].push(read(&table, &order, 1));
            cells[at + 1].push(read(&table, &order, 2));
        }
    }
    let mut cells: Vec<_> = cells.into_iter().map(Quartiles::of).collect();
    cells.push(Quartiles::exactly(bytes.round()));
    cells
}

/// Nanoseconds of one read of one thread.
fn read(table: &Arc<dyn Table>, order: &Arc<Vec<Id>>, threads: u32) -> f64 {
    let together = Arc::new(Together::new(threads));
    let readers: Vec<_> = (0..threads)
        .map(|_| {
            let (table, order) = (Arc::clone(table), Arc::clone(order));
            let together = Arc::clone(&together);
            thread::spawn(move || {
                together.begin();
                let begin = Instant::now();
                for id in order.iter() {
                    let value = table.get(id);
                    // A table may have dropped a few of them.
                    black_box(value.map(|value| value.stamp + value.owner.len() as u64));
                }
                begin.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
            })
        })
        .collect();
    let times = readers
        .into_iter()
        .map(|reader| reader.join().expect("no panic"));
    times.sum::<f64>() / f64::from(threads)
}
