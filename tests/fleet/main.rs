//! Several machines, the edge in front of them, and clients: everything over real sockets.
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

#[path = "../support/mod.rs"]
mod support;

mod application;
mod client;
mod container;
mod crowd;
mod explain;
mod fleet;
mod frameworks;
mod grpc;
mod incident;
mod life;
mod moves;
mod nesting;
#[cfg(feature = "probe")]
mod probe;
#[cfg(all(feature = "probe", feature = "tls"))]
mod probe_tls;
mod process;
mod proxy;
mod redirect;
mod streams;
mod trust_headers;
mod trust_targets;
mod uploads;
mod waiting;
