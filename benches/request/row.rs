//! Rows of a table, and how they are measured.

use std::time::{Duration, Instant};

use http_body_util::Full;
use tower_ownership::SessionId;

use crate::common::{quartiles::Quartiles, table::Table};

pub(crate) type Request = http::Request<Full<bytes::Bytes>>;

/// Sends all requests of a batch, which is empty afterwards.
pub(crate) type Calls = Box<dyn FnMut(&mut Vec<Request>)>;

/// One kind of request through one stack.
pub(crate) struct Row {
    name: &'static str,
    calls: Calls,
    requests: Requests,
    /// Calls between two looks at the clock.
    batch: u32,
    allocations: f64,
    pairs: Vec<Pair>,
}

/// The nanoseconds per call of a batch, and of the reference's batch right after it.
struct Pair {
    row: f64,
    reference: f64,
}

impl Row {
    pub(crate) fn new(name: &'static str, batch: u32, requests: Requests, calls: Calls) -> Self {
        Self {
            name,
            calls,
            requests,
            batch,
            allocations: 0.0,
            pairs: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How long so many calls take, each batch of them followed by one of the reference.
    pub(crate) fn run_beside(&mut self, reference: &mut Self, calls: u64) -> Duration {
        let mut total = Duration::ZERO;
        let mut left = calls;
        while left > 0 {
            let now = u32::try_from(left).unwrap_or(u32::MAX).min(self.batch);
            let (row, compared) = (self.time(now), reference.time(now));
            total += row;
            left -= u64::from(now);
            // What is shorter holds too much of the clock itself.
            if now == self.batch {
                let per_call = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(now);
                self.pairs.push(Pair {
                    row: per_call(row),
                    reference: per_call(compared),
                });
            }
        }
        total
    }

    fn time(&mut self, calls: u32) -> Duration {
        let mut batch = self.requests.next(calls);
        let begin = Instant::now();
        (self.calls)(&mut batch);
        begin.elapsed()
    }

    fn count_allocations(&mut self) {
        // Every session once, and then some: what is allocated at the first call, or to remember
        // a session, is no part of a call that finds it.
        let mut left = self.requests.count;
        while left > 0 {
            let now = left.min(self.batch);
            self.time(now);
            left -= now;
        }
        self.time(self.batch);
        let mut batch = self.requests.next(self.batch);
        let info = allocation_counter::measure(|| (self.calls)(&mut batch));
        let count = u32::try_from(info.count_total).map_or(f64::NAN, f64::from);
        self.allocations = count / f64::from(self.batch);
    }
}

/// Rows that are compared with the first of them.
pub(crate) struct Panel {
    name: &'static str,
    note: &'static str,
    reference: Row,
    rows: Vec<Row>,
}

impl Panel {
    pub(crate) fn new(
        name: &'static str,
        note: &'static str,
        (reference, rows): (Row, Vec<Row>),
    ) -> Self {
        Self {
            name,
            note,
            reference,
            rows,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn parts(&mut self) -> (&mut Row, &mut [Row]) {
        (&mut self.reference, &mut self.rows)
    }

    /// Fills the caches, and counts.
    pub(crate) fn warm_up(&mut self) {
        for row in std::iter::once(&mut self.reference).chain(&mut self.rows) {
            row.count_allocations();
        }
    }

    pub(crate) fn publish(&self, bench: &str) {
        let columns = ["ns", "added ns", "ratio", "allocations"];
        let mut table = Table::new(bench, self.name, self.note, &columns);
        // The command line may have left rows out.
        for row in self.rows.iter().filter(|row| !row.pairs.is_empty()) {
            let by = |value: fn(&Pair) -> f64| Some(Quartiles::of(row.pairs.iter().map(value)));
            let cells = [
                by(|pair| pair.row),
                by(|pair| pair.row - pair.reference),
                by(|pair| pair.row / pair.reference),
                Some(Quartiles::exactly(row.allocations)),
            ];
            table.row(row.name, cells);
        }
        if !table.rows.is_empty() {
            table.publish();
        }
    }
}

/// Requests in rotation, made while no time is measured.
pub(crate) struct Requests {
    make: Box<dyn Fn(u32) -> Request>,
    count: u32,
    next: u32,
}

impl Requests {
    /// One for each of the sessions.
    pub(crate) fn for_sessions(ids: &[SessionId]) -> Self {
        Self::under("/session", ids)
    }

    /// Requests for no session, as many.
    pub(crate) fn for_none(ids: &[SessionId]) -> Self {
        Self::under("/assets", ids)
    }

    fn under(prefix: &'static str, ids: &[SessionId]) -> Self {
        let ids = ids.to_vec();
        let count = u32::try_from(ids.len()).expect("not that many");
        Self::new(count, move |at| {
            let id = ids[at as usize].clone();
            request(&format!("{prefix}/{id}/files/main.rs?v=1"))
        })
    }

    pub(crate) fn new(count: u32, make: impl Fn(u32) -> Request + 'static) -> Self {
        Self {
            make: Box::new(make),
            count,
            next: 0,
        }
    }

    fn next(&mut self, count: u32) -> Vec<Request> {
        let mut batch = Vec::new();
        for _ in 0..count {
            batch.push((self.make)(self.next));
            self.next = (self.next + 1) % self.count;
        }
        batch
    }
}

/// What an edge delivers: six headers.
pub(crate) fn request(target: &str) -> Request {
    http::Request::get(target)
        .header("host", "previews.example.com")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101",
        )
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("cookie", "theme=dark; visit=6f1d2c")
        .header("x-forwarded-for", "203.0.113.7")
        .body(Full::default())
        .expect("a request")
}
