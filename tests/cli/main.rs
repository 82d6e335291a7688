//! The command `ownership`, as a process of its own, against real databases and machines.
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

mod command;
mod database;
mod distance;
mod edge;
mod fly;
mod hands;
mod library;
mod lists;
mod output;
mod owner;
mod picture;
mod redirect;
mod refused;
mod row;
mod scene;
mod terminal;
mod truth;
mod way;
