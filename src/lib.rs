//! A request for a session is served by the machine that owns the session.
//!
//! A fleet of identical containers sits behind a load balancer. Each session (a preview, a
//! sandbox, a game room, an MCP session) lives in the memory of one machine, and a directory, such
//! as a table in PostgreSQL, says which one. The balancer does not know that. [`OwnershipLayer`]
//! wraps any HTTP service and makes up for it.
//!
//! # The rules
//! 1. A request without a session passes to the wrapped service, on every machine.
//! 2. A request for a session is looked up. What cannot be read, is unknown, has ended, is not
//!    open to this client, or is not ready yet is refused, each with a [code](RejectionCode) of its own.
//!    Only a [`Cookie`] of a session that is unknown or has ended does not refuse its request: it is
//!    taken out of it, since a browser sends it to the login page as well.
//! 3. If this machine is the owner, the request passes, with [`Owned`] in its extensions.
//! 4. If another machine is, the request is handed to it: by Fly.io's proxy ([`FlyReplay`]), by
//!    nginx ([`NginxReplay`]), or by a [`Redirect`]. What cannot be carried there is refused before its body is read.
//! 5. A request that was handed over, and failed or came round in a circle, is refused with what
//!    went wrong. Replays are counted, and never go on without end; redirects end where they lead
//!    back to the same URL, as far as that can be told (see [`Redirect`]).
//! 6. What a client or a proxy writes into a request can cost a lookup or refuse that very request.
//!    It never lets the wrong machine serve, and never picks a machine or a host.
//! 7. A lookup that fails or takes too long refuses the request. It never guesses.
//!
//! What was looked up is remembered for as long as being wrong about it is cheap ([`CachePolicy`]); a
//! replayed request is always judged by a recent read.
//!
//! Refusals are responses, in the form that the client reads: a problem document (RFC 9457), a
//! page that explains itself and recovers by itself, or a gRPC status. The wrapped service's own
//! errors are left alone.
//!
//! # Example
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_ownership::{FlyReplay, MachineId, MemoryDirectory, Owned, OwnershipLayer, PathSegment, Session};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let me: MachineId = "e2863555a91708".parse()?;
//! let sessions = MemoryDirectory::new();
//! sessions.insert(Session::owned_by("807efe44-d63e-4a24-88f5-dbe96112830a".parse()?, me.clone()));
//! sessions.insert(Session::owned_by(
//!     "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11".parse()?,
//!     "56837ddda10348".parse()?,
//! ));
//!
//! let layer = OwnershipLayer::builder(sessions) // in production: a `PostgresLookup`
//!     .session(PathSegment::after("/session")?)
//!     .machine(me) // left out, the platform is asked
//!     .replay(FlyReplay::new())
//!     .build()?;
//! let service = layer.layer(service_fn(async |request: Request<String>| {
//!     let owned = request.extensions().get::<Owned>().map(|owned| owned.id().to_string());
//!     Ok::<_, std::convert::Infallible>(Response::new(owned.unwrap_or_default()))
//! }));
//!
//! let mine = Request::get("/session/807efe44-d63e-4a24-88f5-dbe96112830a/page").body(String::new())?;
//! let response = service.clone().oneshot(mine).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let elsewhere = Request::get("/session/1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11/page").body(String::new())?;
//! let response = service.oneshot(elsewhere).await?;
//! assert_eq!(
//!     response.headers()["fly-replay"],
//!     "instance=56837ddda10348;timeout=5s;fallback=force_self;state=own.1"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # Where it belongs in a stack
//! Outside of everything that strips a prefix from the path, answers for a session, or completes
//! an upgrade; inside of what every machine may answer alike, such as CORS preflights (a browser
//! follows no redirect on those) and request ids. A handler that needs the session's id reads it
//! from [`Owned`], not from the request: that is the id the verdict was made for.
//!
//! # The manual
//! [Getting started](manual::getting_started), also from [MCP servers](manual::mcp),
//! [named rooms](manual::rooms),
//! [previews on sub-domains](manual::subdomains) and
//! [sessions that a database backs](manual::database_sessions), [migrating](manual::migrating) from a router written by
//! hand, [what each refusal means](manual::rejections), [operations](manual::operations),
//! [defaults](manual::defaults), [guarantees](manual::guarantees), and a
//! [comparison](manual::comparison) with what else there is.
//!
//! # Features
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `membership` | `Membership`, `Heartbeat`: machines that say that they are alive, in any directory | with `postgres` |
//! | `postgres` | `PostgresLookup`, `PostgresFeed` | yes |
//! | `brand` | `render::Brand`: the name, logo, colours and words of a site on the page | yes |
//! | `tls` | TLS from there to PostgreSQL, by rustls | |
//! | `metadata` | `identity::EcsTask` and `identity::CloudRunInstance` | |
//! | `metrics` | `metrics`: what is counted, for the recorder of the `metrics` facade | |
//! | `forward` | `forward::Forward`: the layer carries requests to their owners itself, on platforms without a proxy that does | |
//! | `axum` | [`Owned`] as an extractor, [`SessionAbsent`] as a response of axum's handlers | |
//! | `probe` | `probe::Probe`: whether requests get to a session's owner, asked from the outside | |
//! | `testing` | `testing::FlyEdge`: Fly's proxy, imitated on the loopback, for your own tests | |
//! | `doctor` | `doctor::Doctor`: says what is wrong with one session | |
//! | `cli` | the command `ownership`, and nothing of the library | |
//!
//! Features add items, and none changes behaviour. Without any, there is neither a database driver
//! nor a runtime in the tree.

#![cfg_attr(docsrs, feature(doc_cfg))]
// Names of products are not code.
#![allow(clippy::doc_markdown)]

mod address;
#[cfg(feature = "axum")]
pub mod axum;
mod body;
mod cache;
mod claim;
mod clock;
mod decision;
pub mod directory;
#[cfg(feature = "doctor")]
pub mod doctor;
pub mod explain;
pub mod extract;
mod finding;
#[cfg(feature = "forward")]
pub mod forward;
mod future;
mod head;
pub mod health;
#[cfg(any(feature = "testing", feature = "forward"))]
mod hop_by_hop;
#[cfg(any(feature = "probe", feature = "doctor"))]
mod http_client;
pub mod identity;
#[cfg(any(feature = "testing", feature = "forward"))]
mod keep_reading;
mod layer;
pub mod machine;
#[cfg(any(doc, doctest))]
pub mod manual;
mod meter;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "membership")]
pub mod node;
mod numbered;
pub mod observe;
mod origin;
pub mod ownership;
mod policy;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "probe")]
pub mod probe;
mod random;
mod rejection;
pub mod render;
pub mod replay;
mod service;
pub mod session;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(any(feature = "testing", feature = "forward"))]
mod tunnel;

pub use address::Address;
pub use body::ResponseBody;
pub use cache::CachePolicy;
pub use claim::{OnLostOwner, OnUnassigned};
pub use directory::{
    LookupError, LookupErrorKind, MemoryDirectory, SessionDirectory, SessionLookup, lookup_fn,
};
pub use extract::{Cookie, ExtractSession, Header, HostLabel, PathSegment, Query};
pub use future::ResponseFuture;
pub use head::Head;
pub use identity::{FlyMachine, detect};
#[cfg(feature = "forward")]
pub use layer::ForwardingLayerBuilder;
pub use layer::{BuildError, OwnershipLayer, OwnershipLayerBuilder};
pub use machine::{MachineId, MachineIdentity};
#[cfg(feature = "membership")]
pub use node::shutdown_signal;
pub use observe::Observe;
pub use ownership::{Node, NodeState, Owned, UntilLost};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDirectory, PostgresLookup};
pub use rejection::{Rejection, RejectionCode};
pub use render::{DefaultRenderer, Render};
pub use replay::{FlyReplay, NginxReplay, Redirect, Replay};
pub use service::Ownership;
pub use session::{OwnerStatus, Session, SessionAbsent, SessionId, SessionStatus};

// The rest is public under its module. Code of the crate names everything by one path.
#[cfg(feature = "postgres")]
#[allow(unused_imports, reason = "what is used differs with the features")]
pub(crate) use postgres::{
    AssignError, Assigned, Audit, AuditFinding, LeftToDo, ListedSession, MachineStatus, Migrated,
    PostgresChanges, PostgresColumns, PostgresConfigError, PostgresFault, PostgresFeed,
    PostgresFeedBuilder, PostgresLookupBuilder, PostgresSource, PostgresVerified,
    PostgresVerifyError, PostgresWarning, Reaped, ReapedSession, SessionFilter,
};
#[allow(unused_imports, reason = "what is used differs with the features")]
pub(crate) use {
    cache::CacheStatus,
    decision::Verdict,
    directory::{LookupFn, Refresh},
    explain::Explanation,
    extract::{FirstOf, InvalidExtractor},
    finding::{Finding, Severity},
    health::{HealthCheck, HealthService},
    machine::{IdentityError, InvalidAddress, InvalidMachineId},
    observe::Observed,
    origin::{FailureReason, ReplayFailure, RequestOrigin},
    ownership::{CacheHandle, LossReason, Lost, Release},
    render::{RenderContext, ResponseFormat},
    replay::{Fallback, Handover, InvalidRedirect, InvalidReplay, NotReplayable, ReplayCache},
    session::{MalformedSession, SessionIds, ShortSessionId},
};
#[cfg(feature = "membership")]
#[allow(unused_imports, reason = "what is used differs with the features")]
pub(crate) use {
    directory::{
        Beat, Change, ChangeFeed, Changes, Coverage, FeedError, FeedErrorKind, MachineInfo,
        Membership, MemoryChanges, Process, Registration, Released,
    },
    node::{NodeBuilder, NodeDirectory, NodeError, RunningNode, Unfit},
    ownership::{
        Drained, Feed, FeedBuildError, FeedBuilder, FeedHealth, FeedState, Heartbeat,
        HeartbeatBuilder, HeartbeatError, HeartbeatHealth, HeartbeatState,
    },
};
