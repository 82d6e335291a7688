//! What it costs to know and to change who owns a session: `cargo bench --bench ownership`.
//!
//! # What is measured
//! - Claims a second, beside the bare `UPDATE` that somebody would write by hand: prepared, on a
//!   table without triggers and on one with those of the migration, and sent in the transaction
//!   that a claim is sent in. Every session is claimed once.
//! - A drain of a machine with one session, and with many.
//! - Lookups that nothing has cached, with the owner's presence and without, in pairs of runs:
//!   prepared, and unprepared as behind a pooler.
//! - From SIGKILL of the owner, and from SIGTERM, to the first good answer of another machine:
//!   real containers (`examples/container`) behind the crate's `FlyEdge`, whose requests land on
//!   any machine that listens, and one client that asks again as soon as it was refused. Build
//!   the example first: `cargo build --profile bench --all-features --example container`.
//!
//! More or fewer rounds: `ROUNDS=15` for the first three, `KILLS=10`, `KILLS_BY_DEFAULT=3` and
//! `DRAINS=20` for the last. The server does not wait for its disk.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]
#![allow(clippy::cast_precision_loss, reason = "counts of a few thousand")]

mod claims;
#[path = "../common/mod.rs"]
mod common;
mod fleet;
mod misses;
mod moves;
#[path = "../../tests/fleet/process.rs"]
#[allow(dead_code, unreachable_pub)]
mod process;
mod releases;
#[path = "../../tests/support/mod.rs"]
mod support;

use common::table;
use support::postgres::Cluster;
use tokio::runtime::Runtime;

const BENCH: &str = "ownership";

fn main() {
    // `cargo test --benches` only wants to know that this compiles.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    table::begin(BENCH);
    let quiet = [
        "shared_buffers=256MB",
        "log_statement=none",
        "log_connections=off",
    ];
    let cluster = Cluster::prepared(|_| quiet.map(ToOwned::to_owned).to_vec());
    let cluster = cluster.expect("PostgreSQL");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        claims::measure(&cluster).await.publish();
        releases::measure(&cluster).await.publish();
        misses::measure(&cluster).await.publish();
        moves::measure(&cluster).await.publish();
    });
}

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
