//! One fault after another, in real processes with a real database behind the edge: whether the
//! log, the metrics and the command `ownership doctor` each say the truth of it, and the same.
#![cfg(all(
    feature = "testing",
    feature = "postgres",
    feature = "metrics",
    feature = "cli"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::doc_markdown,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../fleet/client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
#[path = "../cli/command.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod command;
#[path = "../fleet/process.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod process;

mod database;
mod doctor;
mod identity;
mod log;
mod machine;
mod metrics;
mod owner;
mod place;
mod session;
mod table;
mod way;
