//! What it costs to know and to change who owns a session: `cargo bench --bench ownership`.
//!
//! # What is measured
//! - Claims a second, beside the bare `UPDATE` as written by hand: prepared, on a
//!   table without triggers and on one with those of the migration, and sent in the transaction
//!   that a claim through a pooler is sent in. Every session is claimed once.
//! - Changes of owner by `pgbench` (left out if it is not installed), on a table without triggers, with those
//!   of which each commit notifies, and with those of the ownership level: how many a second, what one
//!   costs the server with one listener and with 101, and how soon a machine forgets. Here the server waits
//!   for its disk.
//! - A drain of a machine with one session, and with many.
//! - Lookups that nothing has cached, with the owner's presence and without, in pairs of runs:
//!   prepared, and unprepared as behind a pooler.
//! - From SIGKILL of the owner, and from SIGTERM, to the first good answer of another machine:
//!   real containers (`examples/container`) behind the crate's `FlyEdge`, whose requests land on
//!   any machine that listens, and one client that asks again as soon as it was refused. Build
//!   the example first: `cargo build --profile bench --all-features --example container`.
//! - A machine of up to 200,000 sessions dies among four, and 256 clients ask the others for all of
//!   them: how long until the last one is served, what it costs the server, and whether requests
//!   for healthy sessions are refused. All machines are in this process, without a network.
//!
//! More or fewer rounds: `ROUNDS=15` for the first four, `CHANGES=500`, `KILLS=10`, `KILLS_BY_DEFAULT=3` and
//! `DRAINS=20` for the fourth, `DEATHS=3` and `DEATHS_OF_AT_MOST=200000` sessions for the last. The
//! parts `claims`, `changes`, `releases`, `misses`, `moves` and `deaths` run alone if they are named, as in
//! `cargo bench --bench ownership -- deaths`. But for changes, the server does not wait for its disk.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]
#![allow(clippy::cast_precision_loss, reason = "counts of a few million")]

mod changes;
mod claims;
#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod deaths;
mod fleet;
mod misses;
mod moves;
#[path = "../common/pgbench.rs"]
mod pgbench;
mod releases;
mod server;
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
    let mut parts: Vec<_> = std::env::args().skip(1).collect();
    parts.retain(|part| !part.starts_with("--"));
    let measures = |part: &str| parts.is_empty() || parts.iter().any(|one| one == part);
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
        if measures("claims") {
            claims::measure(&cluster).await.publish();
        }
        if measures("changes") {
            changes::measure().await;
        }
        if measures("releases") {
            releases::measure(&cluster).await.publish();
        }
        if measures("misses") {
            misses::measure(&cluster).await.publish();
        }
        if measures("moves") {
            moves::measure(&cluster).await.publish();
        }
        if measures("deaths") {
            deaths::measure(&cluster).await.publish();
        }
    });
}

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
