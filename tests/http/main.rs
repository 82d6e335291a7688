//! The layer and what belongs to it, with nothing around it but what a test makes itself: no
//! database, and no process but this one.
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

mod allocations;
mod any_id;
mod births;
mod cancellation;
#[cfg(feature = "testing")]
mod conformance;
mod contract;
mod cookies;
#[cfg(feature = "metrics")]
mod counted;
#[cfg(feature = "testing")]
mod edge;
mod explain;
#[cfg(feature = "axum")]
mod extractors;
mod fields;
mod foreign_streams;
mod health;
mod manners;
mod manual;
mod memory;
mod observed;
mod ownership;
mod readiness;
#[cfg(feature = "membership")]
mod volatile;
