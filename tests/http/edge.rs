//! `testing::FlyEdge` over real sockets.
#![allow(clippy::wildcard_imports)]

mod body;
mod cache;
mod failure;
mod headers;
mod json;
mod landing;
mod log;
mod machine;
mod replay;
mod shutdown;
mod stream;
mod tunnel;
