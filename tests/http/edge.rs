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
mod organizations;
mod replay;
mod session_cache;
mod shutdown;
mod stream;
mod tunnel;
