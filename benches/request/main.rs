//! What a request costs in the layer: `cargo bench --bench request`.
//!
//! The tables at the end have it all; `-- owned` and the like run a part. `PostgreSQL` has to be
//! installed, as for the tests.
//!
//! # What is measured
//! - Two tables, without and with a tracing subscriber, of the layer alone: `poll_ready`, `call`,
//!   one `poll` and the drop of the response, with a waker that does nothing. The requests were
//!   made before. There is no cache yet: every session is looked up, in memory.
//! - One of whole requests through an axum router to a real `PostgreSQL`, on one thread, beside
//!   what a person would write instead.
//! - Machines are noisy, so every batch of a row is followed by one of the row that its table
//!   compares with. The tables show medians over those pairs, and between which quartiles the
//!   differences lie. The first row is compared with its twin: it tells how far to trust the rest.
//! - Allocations are those of the calling thread, growing in place included. They are counted
//!   while the clock runs, too, which makes rows that allocate look a little slower than they are.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

mod by_hand;
mod row;
mod stack;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use row::Panel;
use tracing_subscriber::filter::LevelFilter;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(50)
        .configure_from_args();

    let mut quiet = Panel::new("no tracing subscriber", stack::rows());
    run(&mut criterion, &mut quiet, Duration::from_millis(200));

    let (_server, rows) = by_hand::rows();
    let mut beside = Panel::new("beside what is written by hand", rows);
    run(&mut criterion, &mut beside, Duration::from_secs(3));

    // Last, because a process cannot take its subscriber back.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::sink)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let mut told = Panel::new(
        "events of INFO and above, formatted into a sink",
        stack::rows(),
    );
    run(&mut criterion, &mut told, Duration::from_millis(200));

    for panel in [quiet, told, beside] {
        panel.print();
    }
    criterion.final_summary();
}

fn run(criterion: &mut Criterion, panel: &mut Panel, time: Duration) {
    panel.count_allocations();
    let mut group = criterion.benchmark_group(panel.name());
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(time / 2)
        .measurement_time(time);
    let (reference, rows) = panel.parts();
    for row in rows {
        group.bench_function(row.name(), |bencher| {
            bencher.iter_custom(|calls| row.run_beside(reference, calls));
        });
    }
    group.finish();
}
