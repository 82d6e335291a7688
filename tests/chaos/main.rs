//! Chaos: containers that are killed, stopped, cut off and moved about, under load, for minutes.
#![cfg(all(feature = "testing", feature = "postgres"))]
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
#![allow(dead_code)]

mod check;
mod clock;
mod fault;
mod history;
mod plan;
mod settings;
mod stalls;
mod stream;
mod troubles;
