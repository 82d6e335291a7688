//! `testing::FlyEdge` over real sockets.
#![cfg(feature = "testing")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    missing_docs,
    unreachable_pub
)]

mod body;
mod cache;
mod failure;
mod headers;
mod json;
mod landing;
mod log;
mod replay;
mod shutdown;
mod stream;
mod support;
mod tunnel;
