//! A local edge that treats an application as Fly Proxy does, to test replays at home; and
//! [`conformance`](crate::directory::conformance): the cases that a directory of your own has to pass.
//!
//! [`FlyEdge`] is a reverse proxy on the loopback. It takes the place of Fly Proxy in front of
//! your own machines (processes, or servers inside the test): requests come in, land on one of
//! them, and go on to another one when that answers with a `fly-replay`. What it does can be read
//! from it hop by hop.
//!
//! # What it does
//!
//! 1. A fresh request lands on the machines of the edge's app in turn, or where
//!    [`FlyEdge::land_on`] says, or where the client asks for with `fly-force-instance-id`,
//!    `fly-prefer-instance-id`, `fly-force-region` or `fly-prefer-region`.
//! 2. A replay in a response header or as `application/vnd.fly.replay+json` is carried out with
//!    all its fields, up to ten times per request. The answer that asked for it never reaches the
//!    client.
//! 3. A stopped machine is woken; see [`EdgeMachine::stopped`].
//! 4. A replay fails if no connection to a target was made, and only then. The request then goes
//!    to its `fallback`, once, with `fly-replay-failed`; without one, the client gets an empty 502.
//! 5. Requests are kept for a replay up to 1,000,000 bytes of body. Larger ones are streamed to
//!    the machine they land on, and cannot be replayed. Answers are streamed, upgrades are
//!    tunnelled, trailers pass.
//! 6. Replays are cached by path where the emitter asks for it, or by a cookie or header as `fly.toml` may
//!    configure it ([`EdgeSessionCache`]), and the target may invalidate.
//! 7. What only the proxy may say (`fly-replay-src` and the like) is removed from client requests.
//! 8. Every wait is bounded, and so is all that is kept.
//!
//! Its source is Fly's public documentation: "Dynamic Request Routing" for replays, their cache and
//! the routing headers, "Request headers" for the rest of the headers, "Error codes and
//! troubleshooting" for the codes of [`EdgeErrorKind`].
//!
//! # Where the documents are silent
//!
//! A green test here must not rest on a guess, so the edge takes the strict reading:
//!
//! - Undocumented syntax is malformed: unknown, empty or repeated fields, blanks between fields, a
//!   comma as separator, a timeout without `ms` or `s`, `state` that could not be carried back.
//! - `fly-replay-src` names the last emitter only, with the state that this one gave, and is
//!   missing at a fallback.
//! - A replay without `app` stays in the emitter's app, also with `instance`.
//! - If a response carries both forms of a replay, the header counts.
//! - A body that does not end within [`FlyEdgeBuilder::body_wait`] counts as too large.
//! - A machine that completes an upgrade itself has taken the request, `fly-replay` or not.
//! - A replay that cannot be cached as asked is refused; so is one with `state`, `timeout`, `fallback` or a
//!   transformation for a session that has a cache. A cached replay that leads nowhere is
//!   forgotten, and the app is asked.
//! - A fresh request that reaches no machine gets an empty 503.
//!
//! # What it is not
//!
//! It speaks no TLS, knows no distances (the order of registration stands in for "nearest"), no
//! load limits, no health checks, no `fly.toml`, and no upgrade over HTTP/2. It opens a new connection for each delivery. It is a tool for tests and
//! demonstrations, and no proxy for production.
//!
//! # Example
//!
//! ```
//! use axum::Router;
//! use axum::http::{HeaderMap, StatusCode};
//! use axum::response::IntoResponse;
//! use tokio::net::TcpListener;
//! use tower_ownership::testing::FlyEdge;
//!
//! /// Stands in for your application: everything belongs to e286544f716d89.
//! async fn machine(id: &'static str) -> std::io::Result<std::net::SocketAddr> {
//!     let app = Router::new().fallback(move |headers: HeaderMap| async move {
//!         if id == "e286544f716d89" {
//!             let replayed = headers.contains_key("fly-replay-src");
//!             format!("served by {id}, replayed: {replayed}").into_response()
//!         } else {
//!             let replay = [("fly-replay", "instance=e286544f716d89")];
//!             (StatusCode::CONFLICT, replay).into_response()
//!         }
//!     });
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     tokio::spawn(async move { axum::serve(listener, app).await });
//!     Ok(addr)
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let edge = FlyEdge::start().await?;
//! edge.add("5683d9a1b2c3d4", machine("5683d9a1b2c3d4").await?);
//! edge.add("e286544f716d89", machine("e286544f716d89").await?);
//! edge.land_on("5683d9a1b2c3d4");
//!
//! let response = reqwest::get(edge.url("/session/7f")).await?;
//! assert_eq!(response.text().await?, "served by e286544f716d89, replayed: true");
//!
//! let hops: Vec<_> = edge.hops().iter().map(ToString::to_string).collect();
//! assert_eq!(
//!     hops.join(" -> "),
//!     "5683d9a1b2c3d4 409 fly-replay instance=e286544f716d89 -> e286544f716d89 200"
//! );
//! edge.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod allowed;
mod answer;
mod builder;
mod cache;
mod cache_order;
mod connect;
mod edge;
mod event;
mod fleet;
mod headers;
mod hop;
mod instruction;
mod journey;
mod json;
mod landing;
mod log;
mod machine;
mod region;
mod replaying;
mod request_id;
mod server;
mod session_cache;
mod settings;
mod shared;
mod tape;
mod tasks;
mod transform;
mod wire;

pub use builder::FlyEdgeBuilder;
pub use edge::FlyEdge;
#[cfg(feature = "doctor")]
pub(crate) use edge::HopsOf;
pub use event::{EdgeErrorKind, EdgeEvent};
pub use hop::{Hop, HopKind};
pub use log::{EdgeRecord, EdgeWatch};
pub use machine::EdgeMachine;
pub use session_cache::EdgeSessionCache;
