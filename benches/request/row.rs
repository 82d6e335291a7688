//! Rows of a table, and how they are measured.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use tower_ownership::SessionId;

pub(crate) type Request = http::Request<Full<Bytes>>;

/// Sends all requests of a batch, which is empty afterwards.
pub(crate) type Calls = Box<dyn FnMut(&mut Vec<Request>)>;

/// One kind of request through one stack.
pub(crate) struct Row {
    name: &'static str,
    calls: Calls,
    requests: Requests,
    /// Calls between two looks at the clock.
    batch: u32,
    allocated: Allocated,
    pairs: Vec<Pair>,
}

#[derive(Default)]
struct Allocated {
    count: f64,
    bytes: f64,
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
            allocated: Allocated::default(),
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
        // What is allocated once, at the first call, is no part of a call.
        self.time(self.batch);
        let mut batch = self.requests.next(self.batch);
        let info = allocation_counter::measure(|| (self.calls)(&mut batch));
        let per_call =
            |sum: u64| u32::try_from(sum).map_or(f64::NAN, f64::from) / f64::from(self.batch);
        self.allocated = Allocated {
            count: per_call(info.count_total),
            bytes: per_call(info.bytes_total),
        };
    }
}

/// Rows that are compared with the first of them.
pub(crate) struct Panel {
    name: &'static str,
    reference: Row,
    rows: Vec<Row>,
}

impl Panel {
    pub(crate) fn new(name: &'static str, (reference, rows): (Row, Vec<Row>)) -> Self {
        Self {
            name,
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

    /// Counts, and prints what was found.
    pub(crate) fn count_allocations(&mut self) {
        println!("\n{:<48}{:>9}{:>9}", self.name, "allocs", "bytes");
        for row in &mut self.rows {
            row.count_allocations();
            let Allocated { count, bytes } = row.allocated;
            println!("  {:<46}{count:>9.2}{bytes:>9.0}", row.name);
        }
        println!();
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<48}{:>9}{:>9}{:>16}{:>8}{:>9}",
            self.name, "ns", "delta", "quartiles", "ratio", "allocs"
        );
        for row in &self.rows {
            // None if the command line left the row out.
            if row.pairs.is_empty() {
                continue;
            }
            let by = |value: fn(&Pair) -> f64| Quartiles::of(row.pairs.iter().map(value));
            let time = by(|pair| pair.row).median;
            let delta = by(|pair| pair.row - pair.reference);
            let ratio = by(|pair| pair.row / pair.reference).median;
            let range = format!("{:+.0}..{:+.0}", delta.lower, delta.upper);
            println!(
                "  {:<46}{time:>9.0}{:>+9.0}{range:>16}{ratio:>8.2}{:>9.2}",
                row.name, delta.median, row.allocated.count
            );
        }
    }
}

struct Quartiles {
    lower: f64,
    median: f64,
    upper: f64,
}

impl Quartiles {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self {
            lower: at(1),
            median: at(2),
            upper: at(3),
        }
    }
}

/// Ready-built requests, in rotation.
pub(crate) struct Requests {
    templates: Vec<Request>,
    next: usize,
}

impl Requests {
    /// One for each of the sessions.
    pub(crate) fn for_sessions(ids: &[SessionId]) -> Self {
        Self::to(
            ids.iter()
                .map(|id| format!("/session/{id}/files/main.rs?v=1")),
        )
    }

    /// Requests for no session, as many.
    pub(crate) fn for_none(ids: &[SessionId]) -> Self {
        Self::to(
            ids.iter()
                .map(|id| format!("/assets/{id}/files/main.rs?v=1")),
        )
    }

    fn to(targets: impl Iterator<Item = String>) -> Self {
        Self {
            templates: targets.map(request).collect(),
            next: 0,
        }
    }

    fn next(&mut self, count: u32) -> Vec<Request> {
        let mut batch = Vec::new();
        for _ in 0..count {
            batch.push(self.templates[self.next].clone());
            self.next = (self.next + 1) % self.templates.len();
        }
        batch
    }
}

/// What an edge delivers: six headers.
fn request(target: String) -> Request {
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
