//! Several machines, the edge in front of them, and clients: everything over real sockets. Containers
//! and Prometheus are processes of their own.
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

mod alerts;
mod application;
mod births;
mod container;
mod crowd;
mod directories;
mod envoy;
mod event_source;
mod explain;
mod fleet;
mod forward;
mod frameworks;
mod grpc;
mod hosted;
mod incident;
mod life;
mod listener;
mod manifests;
mod mcp;
mod mcp_handles;
mod mcp_nginx;
mod monitoring;
mod moves;
mod nesting;
mod nginx;
mod nginx_containers;
mod nginx_uploads;
mod open_responses;
mod pair;
mod probe;
mod probe_tls;
mod proxy;
#[cfg(feature = "axum")]
mod readme;
mod redirect;
mod refused_uploads;
mod streams;
mod trust_headers;
mod trust_targets;
mod uploads;
mod waiting;
