//! The command `ownership`, as a process of its own, against real databases and machines.
#![cfg(feature = "cli")]
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

mod command;
mod database;
mod edge;
mod fly;
mod library;
mod lists;
mod output;
mod owner;
mod picture;
mod redirect;
mod row;
mod scene;
mod terminal;
mod way;
