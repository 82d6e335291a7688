//! Hits by one thread and by two, and a cache that is too small.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Instant,
};

use tower::{Layer as _, Service, service_fn};
use tower_ownership::{LookupError, Session, SessionId, lookup_fn};

use crate::{
    BENCH, CAPACITY, MANY,
    common::{
        dice::{Dice, Zipf},
        quartiles::Quartiles,
        setup::{self, ME, call, hello, machine, plain_request, sessions},
        table::Table,
        together::Together,
    },
};

const ROUNDS: u32 = 320;
/// Requests of a thread in a round: enough that the threads meet, few enough that the requests
/// themselves, at some 2 KB each, stay in a CPU's cache.
const BATCH: u32 = 1_024;

#[derive(Clone, Copy)]
enum Order {
    /// Any of so many.
    Busy(u32),
    /// All alike.
    Any,
    /// Few are busy.
    Zipf,
}

pub(crate) fn table() -> Table {
    let note = format!(
        "medians of {ROUNDS} rounds of {BATCH} requests a thread; the bare service is called with \
         the same requests in the same round; handlers are not told of their session"
    );
    let columns = [
        "ns, 1 thread",
        "added, 1 thread",
        "ns, 2 threads",
        "added, 2 threads",
        "found, %",
    ];
    let mut table = Table::new(
        BENCH,
        "hits, and a cache that is too small",
        &note,
        &columns,
    );
    let ids = Arc::new(sessions(MANY));
    let rows = [
        ("one session", Order::Busy(1), CAPACITY),
        ("1024 busy sessions", Order::Busy(1_024), CAPACITY),
        ("any of 1,000,000", Order::Any, CAPACITY),
        ("1,000,000, few of them busy (zipf)", Order::Zipf, CAPACITY),
        (
            "zipf, room for 100,000: lookups in memory",
            Order::Zipf,
            114_286,
        ),
    ];
    for (name, order, capacity) in rows {
        let asked = Arc::new(AtomicU32::new(0));
        let lookup = {
            let (owner, asked) = (machine(ME), Arc::clone(&asked));
            lookup_fn(move |id| {
                asked.fetch_add(1, Ordering::Relaxed);
                let session = Session::owned_by(id, owner.clone());
                std::future::ready(Ok::<_, LookupError>(Some(session)))
            })
        };
        let layer = setup::layer(lookup, |builder| {
            builder.cache_capacity(capacity).insert_owned(false)
        });
        let service = layer.layer(service_fn(hello));
        warm(service.clone(), &ids, order);
        asked.store(0, Ordering::Relaxed);
        let mut cells = Vec::new();
        for threads in [1, 2] {
            let rounds = measure(&service, threads, &ids, order);
            cells.push(Quartiles::of(rounds.iter().map(|[ours, _]| *ours)));
            cells.push(Quartiles::of(rounds.iter().map(|[ours, bare]| ours - bare)));
        }
        let requests = f64::from(3 * ROUNDS * BATCH);
        let missed = 100.0 * f64::from(asked.load(Ordering::Relaxed)) / requests;
        // A tenth of a percent is fine enough.
        cells.push(Quartiles::exactly((1_000.0 - 10.0 * missed).round() / 10.0));
        table.row(name, cells.into_iter().map(Some));
    }
    table
}

/// Asks for whatever will be asked for, so that it is known if there is room for it.
fn warm<S>(mut service: S, ids: &[SessionId], order: Order)
where
    S: Service<http::Request<Body>, Error = std::convert::Infallible>,
{
    let all = match order {
        Order::Busy(count) => &ids[..count as usize],
        Order::Any | Order::Zipf => ids,
    };
    for id in all {
        drop(call(&mut service, plain_request(id)));
    }
    let mut requests = Requests::new(ids, order, 0);
    for _ in 0..MANY {
        drop(call(&mut service, requests.next()));
    }
}

type Body = http_body_util::Full<bytes::Bytes>;

/// Nanoseconds per request of a thread, with the layer and without it, for each round and thread.
fn measure<S>(service: &S, threads: u32, ids: &Arc<Vec<SessionId>>, order: Order) -> Vec<[f64; 2]>
where
    S: Service<http::Request<Body>, Error = std::convert::Infallible>,
    S: Clone + Send + 'static,
{
    let together = Arc::new(Together::new(threads));
    let threads: Vec<_> = (1..=threads)
        .map(|seed| {
            let (ids, together) = (Arc::clone(ids), Arc::clone(&together));
            let mut service = service.clone();
            thread::spawn(move || {
                let mut requests = Requests::new(&ids, order, seed.into());
                let round = |_| {
                    let ours = time(&mut service, requests.batch(), &together);
                    let bare = time(&mut service_fn(hello), requests.batch(), &together);
                    [ours, bare]
                };
                (0..ROUNDS).map(round).collect::<Vec<_>>()
            })
        })
        .collect();
    let rounds = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    rounds.flatten().collect()
}

fn time<S>(service: &mut S, batch: Vec<http::Request<Body>>, together: &Together) -> f64
where
    S: Service<http::Request<Body>, Error = std::convert::Infallible>,
{
    together.begin();
    let begin = Instant::now();
    for request in batch {
        drop(black_box(call(service, request)));
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
}

/// Requests of one thread.
struct Requests<'a> {
    ids: &'a [SessionId],
    order: Order,
    zipf: Zipf,
    dice: Dice,
}

impl<'a> Requests<'a> {
    fn new(ids: &'a [SessionId], order: Order, seed: u64) -> Self {
        Self {
            ids,
            order,
            zipf: Zipf::new(MANY),
            dice: Dice::new(seed),
        }
    }

    fn batch(&mut self) -> Vec<http::Request<Body>> {
        (0..BATCH).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> http::Request<Body> {
        let at = match self.order {
            Order::Busy(count) => self.dice.below(count),
            Order::Any => self.dice.below(MANY),
            Order::Zipf => self.zipf.draw(&mut self.dice),
        };
        plain_request(&self.ids[at].clone())
    }
}
