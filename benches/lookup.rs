//! Misses: lookups that nothing has cached, against what the server can do by itself.
//!
//! `cargo bench --bench lookup` starts a `PostgreSQL` of its own with a million sessions and
//! prints lookups a second with 1, 64 and 512 waiting, beside
//! - `pgbench -M prepared`, 1 and 16 connections (left out if it is not installed);
//! - the driver alone: 1 and 16 connections, each with one prepared select by id in a loop;
//! - the driver with 64 and 512 such loops on 2 and 4 connections, over which it sends all that wait
//!   without waiting for answers (pipelining): what `PostgresLookup` would be without batches.
//!
//! All of them select from the same table, in rounds that visit each in turn, because the machine
//! is never quiet. A ratio is taken within its round; the table shows the median of the rounds.
//! Fewer or more of them, and their seconds: `ROUNDS=5 SECONDS=2`. Other numbers of queries on their
//! way at once than the default: `BATCHES=1,2,3`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // What fails here has to stop the run.
#![allow(clippy::cast_precision_loss)] // Counts of a few million.

mod common;
#[path = "common/pgbench.rs"]
mod pgbench;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, task::JoinSet};
use tokio_postgres::types::Type;
use tower_ownership::{PostgresLookup, SessionId, SessionLookup as _};
use uuid::Uuid;

use common::{
    quartiles::Quartiles,
    table::{self, Table},
};
use pgbench::Pgbench;
use support::database::{Database, connect};
use support::postgres::Cluster;

const BENCH: &str = "lookup";
const ROWS: u32 = 1_000_000;
const WAITING: [usize; 3] = [1, 64, 512];
const SELECT: &str = "SELECT container_id, status, container_url, expires_at, ended_at \
     FROM preview_sessions WHERE id = ";

/// What is measured, in the order of a round.
struct Contender {
    name: String,
    /// What it is compared with; `None` for the yardsticks themselves.
    yardstick: Option<usize>,
    rates: Vec<f64>,
}

fn main() {
    // `cargo test --benches` only wants to know that this compiles.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    table::begin(BENCH);
    let rounds = setting("ROUNDS", 3);
    let time = Duration::from_secs(setting("SECONDS", 1));
    let batches: Vec<Option<usize>> = match std::env::var("BATCHES") {
        Ok(list) => list
            .split(',')
            .map(|n| Some(n.parse().expect("a number")))
            .collect(),
        Err(_) => vec![None],
    };
    let cluster = Cluster::prepared(|_| {
        // Above all not a log of every statement.
        let settings = [
            "shared_buffers=512MB",
            "log_statement=none",
            "log_connections=off",
        ];
        settings.map(ToOwned::to_owned).to_vec()
    });
    let cluster = cluster.expect("PostgreSQL");
    let threads = Runtime::new().unwrap();
    let one_thread = tokio::runtime::Builder::new_current_thread();
    let one_thread = { one_thread }.enable_all().build().unwrap();
    let (database, ids) = threads.block_on(fill(&cluster));
    let pgbench = Pgbench::find(&cluster).map(|pgbench| {
        let script = format!("\\set n random(1, {ROWS})\n{SELECT}md5(:n::text)::uuid;\n");
        let script = pgbench.script("select.sql", &script);
        (pgbench, script)
    });

    let mut table: Vec<Contender> = Vec::new();
    for round in 0..rounds {
        let mut rates: Vec<(String, Option<usize>, f64)> = Vec::new();
        for connections in [1, 16] {
            let rate = match &pgbench {
                Some((pgbench, script)) => pgbench.rate(script, &database, connections, time),
                None => f64::NAN,
            };
            rates.push((format!("pgbench, {connections} connections"), None, rate));
        }
        for (runtime, threads) in [(&threads, "2 threads"), (&one_thread, "1 thread")] {
            for connections in [1, 16] {
                let rate = runtime.block_on(by_driver(&database, &ids, connections, time));
                rates.push((
                    format!("driver, {connections} connections, {threads}"),
                    None,
                    rate,
                ));
            }
            for (connections, waiting) in [(2, 64), (4, 64), (2, 512), (4, 512)] {
                let rate = by_shared_driver(&database, &ids, connections, waiting, time);
                rates.push((
                    format!("driver, {waiting} waiting on {connections} connections, {threads}"),
                    Some(1),
                    runtime.block_on(rate),
                ));
            }
            for waiting in WAITING {
                for batches in &batches {
                    let yardstick = usize::from(waiting > 1);
                    let rate = by_lookup(&database, &ids, *batches, waiting, time);
                    let rate = runtime.block_on(rate);
                    let batches = batches.map_or(String::new(), |n| format!(", {n} batches"));
                    let name = format!("PostgresLookup, {waiting} waiting, {threads}{batches}");
                    rates.push((name, Some(yardstick), rate));
                }
            }
        }
        for (at, (name, yardstick, rate)) in rates.into_iter().enumerate() {
            if round == 0 {
                table.push(Contender {
                    name,
                    yardstick,
                    rates: Vec::new(),
                });
            }
            table[at].rates.push(rate);
        }
        eprintln!("round {} of {rounds} done", round + 1);
    }
    publish(&table, rounds);
}

fn publish(contenders: &[Contender], rounds: u64) {
    let note = format!(
        "{rounds} rounds; a lone lookup is compared with one connection of pgbench, the others with \
         16; goals: 64 waiting 3, 512 waiting 4.5, a lone one 0.91"
    );
    let columns = ["a second", "us each", "ratio to pgbench"];
    let mut table = Table::new(BENCH, "lookups a second", &note, &columns);
    // Without pgbench its rates are no numbers.
    let of = |values: Vec<f64>| {
        let are_numbers = values.iter().all(|value| value.is_finite());
        are_numbers.then(|| Quartiles::of(values))
    };
    for contender in contenders {
        let rates = &contender.rates;
        let ratio = contender.yardstick.and_then(|yardstick| {
            let pairs = rates.iter().zip(&contenders[yardstick].rates);
            of(pairs.map(|(rate, yardstick)| rate / yardstick).collect())
        });
        let each = rates.iter().map(|rate| 1e6 / rate).collect();
        table.row(&contender.name, [of(rates.clone()), of(each), ratio]);
    }
    table.publish();
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

async fn fill(cluster: &Cluster) -> (Database, Arc<Vec<Uuid>>) {
    let database = cluster.database().await;
    database.incident_table().await;
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status, container_id, container_url, expires_at)
             SELECT md5(n::text)::uuid, 'active', 'm' || n % 100, 'https://m' || n % 100 || '.example.com',
                 now() + interval '1 day'
             FROM generate_series(1, {ROWS}) AS n"
        ))
        .await;
    database.execute("VACUUM ANALYZE preview_sessions").await;
    let rows = database.client().await;
    let rows = rows.query("SELECT id FROM preview_sessions", &[]).await;
    let ids = rows.unwrap().iter().map(|row| row.get(0)).collect();
    (database, Arc::new(ids))
}

/// Runs `one` over and over in each of `tasks` tasks and returns how often a second.
async fn measure<F, Fut>(tasks: Vec<F>, ids: &Arc<Vec<Uuid>>, time: Duration) -> f64
where
    F: Fn(Uuid) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for (seed, one) in tasks.into_iter().enumerate() {
        let (stop, count, ids) = (Arc::clone(&stop), Arc::clone(&count), Arc::clone(ids));
        running.spawn(async move {
            let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
            while !stop.load(Ordering::Relaxed) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = usize::try_from(random).unwrap() % ids.len();
                one(ids[at]).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Until connections are open and statements prepared.
    tokio::time::sleep(time / 5).await;
    let (began, before) = (Instant::now(), count.load(Ordering::Relaxed));
    tokio::time::sleep(time).await;
    let rate = (count.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    running.join_all().await;
    rate
}

async fn by_lookup(
    database: &Database,
    ids: &Arc<Vec<Uuid>>,
    batches: Option<usize>,
    waiting: usize,
    time: Duration,
) -> f64 {
    let mut lookup = PostgresLookup::builder(database.url());
    if let Some(batches) = batches {
        lookup = lookup.max_batches(batches);
    }
    let lookup = lookup.build().unwrap();
    let tasks = (0..waiting).map(|_| {
        let lookup = lookup.clone();
        move |id| {
            let lookup = lookup.clone();
            async move {
                let session = lookup.session(SessionId::new(id)).await.unwrap();
                assert!(session.is_some());
            }
        }
    });
    measure(tasks.collect(), ids, time).await
}

async fn by_driver(
    database: &Database,
    ids: &Arc<Vec<Uuid>>,
    connections: usize,
    time: Duration,
) -> f64 {
    by_shared_driver(database, ids, connections, connections, time).await
}

async fn by_shared_driver(
    database: &Database,
    ids: &Arc<Vec<Uuid>>,
    connections: usize,
    waiting: usize,
    time: Duration,
) -> f64 {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = connect(&database.url()).await.unwrap();
        let select = format!("{SELECT}$1");
        let select = client.prepare_typed(&select, &[Type::UUID]).await;
        let select = select.unwrap();
        clients.push(Arc::new((client, select)));
    }
    let tasks = clients.iter().cycle().take(waiting).map(|client| {
        let client = Arc::clone(client);
        move |id: Uuid| {
            let client = Arc::clone(&client);
            async move {
                let row = client.0.query_one(&client.1, &[&id]).await.unwrap();
                assert!(row.get::<_, Option<&str>>(0).is_some());
            }
        }
    });
    measure(tasks.collect(), ids, time).await
}
