//! The layer beside other middlewares that look into a table for every request.
//!
//! How it is measured stands in the crate's own `benches/request`, whose rows these are, too.
//! Medians of 2000 pairs of batches; the pairs of all rows are interleaved.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

mod by_hand;
#[path = "../../../common/mod.rs"]
mod common;
mod others;
#[path = "../../../request/row.rs"]
#[allow(dead_code)]
mod row;
#[path = "../../../request/stack.rs"]
#[allow(dead_code)]
mod stack;

use common::{
    setup::{ME, OTHER, all_owned_by, sessions},
    table,
};
use row::{Panel, Requests};
use stack::{bare, ours, row};

const BENCH: &str = "peers-request";
const CAPACITY: usize = 100_000;

fn main() {
    table::begin(BENCH);
    let ids = sessions(1_024);
    let hot = || Requests::for_sessions(&ids);
    let rows = vec![
        bare("bare service, beside itself", &ids),
        row(
            "this layer, owned, handlers not told",
            hot(),
            ours(all_owned_by(ME), false, CAPACITY),
        ),
        row(
            "this layer, owned",
            hot(),
            ours(all_owned_by(ME), true, CAPACITY),
        ),
        row(
            "this layer, elsewhere",
            hot(),
            ours(all_owned_by(OTHER), true, CAPACITY),
        ),
        row(
            "tower-http TraceLayer, no subscriber",
            hot(),
            others::trace(),
        ),
        row(
            "tower_governor, a key by x-forwarded-for",
            hot(),
            others::governor(),
        ),
        row("by hand on moka, owned", hot(), by_hand::calls(ME)),
        row("by hand on moka, elsewhere", hot(), by_hand::calls(OTHER)),
        others::sessions(&ids),
    ];
    let note = "1024 sessions, all cached; beside a bare service in the same run";
    let name = "beside other middlewares";
    let mut panel = Panel::new(name, note, (bare("bare service", &ids), rows));
    panel.warm_up();
    for _ in 0..2_000 {
        let (reference, rows) = panel.parts();
        for row in rows {
            row.run_beside(reference, 256);
        }
    }
    panel.publish(BENCH);
}
