//! What the layer's cache does under load: `cargo bench --bench cache`.
//!
//! # What is measured
//! - Hits of one thread, and of two that read the same sessions at once, for a few busy sessions,
//!   for any of a million, and for a million of which few are busy (zipf, 0.99). The threads
//!   start together, and the requests were made before.
//! - Churn: the zipf requests again, through a cache that has room for a tenth of the sessions.
//! - Memory: what is allocated for a million sessions, and what the process grew by.
//! - A stampede: a thousand requests at once for a session that is not in the cache, with a
//!   real `PostgreSQL` behind it.
//!
//! All of it is measured through the layer, as a server would. Other tables than the one behind
//! it are compared in `benches/peers`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

#[path = "../common/mod.rs"]
mod common;
mod contended;
mod memory;
mod stampede;
#[path = "../../tests/support/mod.rs"]
mod support;

use common::table;

const BENCH: &str = "cache";
const MANY: u32 = 1_000_000;

/// Room for all of [`MANY`], beside the part that is for unknown ids.
const CAPACITY: usize = 1_200_000;

fn main() {
    table::begin(BENCH);
    // First, before anything else has grown the process.
    memory::table().publish();
    contended::table().publish();
    stampede::table().publish();
}
