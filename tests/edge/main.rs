//! `testing::FlyEdge` over real sockets.
#![cfg(feature = "testing")]
#![allow(clippy::wildcard_imports, missing_docs, unreachable_pub)]

mod replay;
mod support;
