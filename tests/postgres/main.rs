//! A real PostgreSQL: lookups, directories and watches in it, and what a client notices of its
//! troubles. `harness` tests the servers that all of this stands on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::doc_markdown,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "a test exports nothing, and PostgreSQL and PgBouncer are names"
)]

#[path = "../support/mod.rs"]
mod support;

mod directory;
#[cfg(feature = "tls")]
mod harness;
mod harness_process;
mod lookup;
mod outage;
mod stampede;
mod watch;
