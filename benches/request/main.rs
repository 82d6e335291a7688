//! What a request costs in the layer: `cargo bench --all-features --bench request`.
//!
//! The tables at the end have it all; `-- owned` and the like run a part. `PostgreSQL` has to be
//! installed, as for the tests.
//!
//! # What is measured
//! - Four tables of the layer alone: without a tracing subscriber, with one, for a million sessions
//!   in rotation instead of 1024, and with a recorder of metrics. A call is `poll_ready`, `call`,
//!   one `poll` and the drop of the response, with a waker that does nothing. The requests were
//!   made before, and every session is in the layer's cache.
//! - One of whole requests through an axum router to a real `PostgreSQL`, beside what a person
//!   would write instead. All of it stays on one core, the database too.
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
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/core.rs"]
mod core;
mod counted;
#[path = "../common/recorder.rs"]
mod recorder;
mod row;
mod stack;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use common::table;
use criterion::{Criterion, SamplingMode};
use row::Panel;
use tracing_subscriber::filter::LevelFilter;

const BENCH: &str = "request";
const SHORT: Duration = Duration::from_millis(200);

fn main() {
    table::begin(BENCH);
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(50)
        .configure_from_args();

    let note = "1024 sessions, all cached; beside a bare service in the same run; goals: no session \
                +10 ns, owned and not told +60 ns and no allocation, elsewhere +125 ns and 2";
    let mut quiet = Panel::new("no tracing subscriber", note, stack::rows());
    run(&mut criterion, &mut quiet, SHORT);

    let note = "a million sessions, all cached, in rotation; goal: owned and not told +170 ns";
    let mut many = Panel::new("one of a million sessions", note, stack::rows_of_many());
    run(&mut criterion, &mut many, SHORT);

    let note = "1024 sessions, all cached, owned and handlers not told; beside the same layer, \
                built before there was a recorder, in the same run; goal: +10 ns and no allocation";
    let mut counted = Panel::new("with the feature `metrics`", note, counted::rows());
    run(&mut criterion, &mut counted, SHORT);

    let note = "axum and a real PostgreSQL, 10,000 sessions; the layer is compared with a middleware \
                that queries for every request";
    core::stay_on_core(0);
    let (_server, rows) = by_hand::rows();
    let mut beside = Panel::new("beside what is written by hand", note, rows);
    run(&mut criterion, &mut beside, Duration::from_secs(3));

    // Last, because a process cannot take its subscriber back.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::sink)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let note =
        "a subscriber for INFO and above formats into a sink; owned requests are told at DEBUG";
    let mut told = Panel::new("with a tracing subscriber", note, stack::rows());
    run(&mut criterion, &mut told, SHORT);

    for panel in [quiet, many, counted, told, beside] {
        panel.publish(BENCH);
    }
    criterion.final_summary();
}

fn run(criterion: &mut Criterion, panel: &mut Panel, time: Duration) {
    panel.warm_up();
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
