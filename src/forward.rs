//! Platforms without a proxy that replays: the layer carries requests to the owner itself.
//!
//! ```
//! use axum::{Router, routing::any};
//! use tower_ownership::{MachineId, MemoryDirectory, OwnershipLayer, PathSegment, forward::Forward};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Where a pod is, and which addresses may be connected to at all.
//! let pods = "http://{owner}.previews.default.svc.cluster.local:8080";
//! let forward = Forward::to_template(pods, ["10.0.0.0/8:8080"])?;
//! let layer = OwnershipLayer::builder(MemoryDirectory::new())
//!     .session(PathSegment::after("/session")?)
//!     .machine("previews-0".parse::<MachineId>()?)
//!     .forward(forward)
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/session/{id}", any(|| async { "served here" }))
//!     .layer(layer);
//! # Ok(())
//! # }
//! ```
//!
//! # What is carried
//! Bodies of any length in both directions, as they come and with back-pressure; trailers, where the client
//! takes them; event streams, and upgrades such as WebSockets, whose bytes are then carried both ways. WebSockets
//! over HTTP/2 (extended CONNECT, RFC 8441) are carried over HTTP/2; an owner whose server does not take them
//! (`enable_connect_protocol` of hyper, which axum's has set) is 503 `owner-unreachable`. A plain
//! CONNECT, which asks for a tunnel to another host, is refused with `not-replayable`. gRPC calls are carried over HTTP/2
//! without TLS (or with it), all other requests over HTTP/1.1, unless [said
//! otherwise](Forward::always_http2). An answer that comes before the body has been read is passed
//! on at once.
//!
//! Method, path, query, `Host` and all fields are the client's, without those that end at a connection
//! (RFC 9110, section 7.6.1). Fields that only `Connection` names are kept, in contrast to the RFC: a
//! client could otherwise take away what a proxy in front has added, or the session that the owner reads. The
//! cookies of HTTP/2 become one line (RFC 9113, section 8.2.3). `Forwarded` and `X-Forwarded-*` are kept as
//! they are: the layer does not know its peer's address. To the owner, the peer of a carried request is
//! this machine; what trusts internal addresses must not take it for the client.
//! `Ownership-Forwarded` is added, by which the owner counts hops, and logs whether it
//! [reads another directory](crate::directory::DirectoryId).
//!
//! # What the owner makes of it
//! It judges the request as a replayed one: by what the directory said a moment ago, and not by what it
//! remembers. Its refusals reach the client as they are. A client that forges `Ownership-Forwarded`
//! costs a lookup, within the [limits of rechecks](crate::CachePolicy::recheck), or is refused
//! with 508 `replay-loop`.
//!
//! # When this machine drains
//! It goes on carrying until the process ends. Requests that are under way are finished, as the application's
//! own are; event streams and gRPC calls end [5 s](Forward::stream_grace) after the drain has begun.
//!
//! # What can go wrong
//! An owner that cannot be connected to, does not answer or hangs up is 503 `owner-unreachable`, and the
//! detail ends with `(connect)`, `(tls)`, `(timeout)`, `(reset)` or `(full)`. The session is then read again: if the owner could
//! not be connected to and the session is somewhere else by now, the request is carried there, once. It is
//! read again, too, while an owner takes more than 1 s to begin its answer: an owner that is frozen and
//! lost holds up the requests that wait for it, and none that come later. A
//! request is sent again, once and on a new connection, only if no byte of it can have arrived. A response that breaks off is
//! an error to the client, too: an answer is never cut short in silence. If the client goes away,
//! the connection to the owner is closed.
//!
//! A machine that drains goes on carrying what is open, for as long as its server lets it:
//! [`RunningNode::serve`](crate::RunningNode::serve) puts a bound on that.
//!
//! A client that waits to be asked for its body (`Expect: 100-continue`, RFC 9110, section 10.1.1) is asked when
//! the owner asks, or when the owner has said nothing for 5 s. Over HTTP/2 to the owner it is asked at
//! once. Other interim responses, such as 103 (RFC 8297), end here.
//!
//! An owner whose host is lost is noticed by keepalives of TCP: after 60 s of silence, or, while bytes are
//! on their way to it, when the system gives up sending them again (on Linux after about 15 minutes). A
//! response may have 1,024 fields and, over HTTP/2, a head of 400 KiB. 64 names are resolved at a time.
//!
//! A client that sends a malformed body or `Host` is 400, and one that sends nothing of its body for 60 s,
//! before the answer has begun, is 408; neither has an `ownership-code`. The body of a request whose
//! answer is complete is carried on for as long as it does not stand still for 5 s.

use std::time::Duration;

use crate::InvalidRedirect;

mod alarm;
mod allow;
mod answer;
mod asker;
mod body;
mod carrier;
mod carry;
mod connect;
mod connection;
mod expectation;
mod failure;
mod fields;
mod leaving;
mod plan;
mod pool;
mod request;
mod service;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;
mod upload;

pub use body::{ForwardBody, ForwardBodyError};
pub(crate) use carrier::Carrier;
pub(crate) use failure::Failure;
pub(crate) use plan::ForwardTo;
pub use service::{ForwardFuture, Forwarder};

use allow::Allowed;
use carrier::at_least;
use target::Destination;

/// How requests are carried to owners; for
/// [`OwnershipLayerBuilder::forward`](crate::OwnershipLayerBuilder::forward).
///
/// # Where to
/// Each way needs a list of what may be connected to, so that no row and no id can make this machine connect
/// anywhere else:
/// - Names, such as `pod.example.internal`, or `*.example.internal` for every name below it. If there are
///   any, no other name is resolved.
/// - Addresses and networks, such as `10.0.0.7`, `10.0.0.0/8`, `fdaa::/16`. If there are any, no other
///   address is connected to, whatever a name leads to. Without any, a URL has to hold a name.
/// - Both with a port, `*.example.internal:8080`, `10.0.0.0/8:8080` and `[fdaa::/16]:8080`, or for any.
///
/// Loopback, link-local and multicast addresses, and those of metadata services, are allowed only by an
/// entry for them or for a network within them, such as `127.0.0.1`.
#[derive(Clone, Debug)]
pub struct Forward {
    to: Destination,
    allowed: Allowed,
    connect_timeout: Duration,
    response_timeout: Duration,
    idle_timeout: Duration,
    stream_grace: Duration,
    max_idle: usize,
    max_requests: usize,
    always_http2: bool,
    #[cfg(feature = "tls")]
    tls: Option<tls::Tls>,
}

impl Forward {
    /// How long connecting to an owner may take unless [said otherwise](Self::connect_timeout).
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

    /// How long an owner may take to begin its answer unless [said otherwise](Self::response_timeout).
    pub const DEFAULT_RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

    /// How long a connection may be idle unless [said otherwise](Self::idle_timeout).
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

    /// How long a stream that is carried goes on while this machine drains, unless [said
    /// otherwise](Self::stream_grace).
    pub const DEFAULT_STREAM_GRACE: Duration = Duration::from_secs(5);

    /// How many idle connections to one owner are kept unless [said otherwise](Self::max_idle).
    pub const DEFAULT_MAX_IDLE: usize = 256;

    /// How many requests are carried to one owner at a time unless [said otherwise](Self::max_requests).
    pub const DEFAULT_MAX_REQUESTS: usize = 2_048;

    /// Carries requests to the [`owner_address`](crate::Session::owner_address): what the owner wrote with
    /// its heartbeat, or else what is written with the session. An address with a path is refused with
    /// `directory-corrupt`, as one that is not on the list.
    pub fn to_owner_address<E: AsRef<str>>(
        allowed: impl IntoIterator<Item = E>,
    ) -> Result<Self, InvalidForward> {
        Ok(Self::to(Destination::OwnerAddress, Allowed::new(allowed)?))
    }

    /// Carries requests to the URL that a template makes, such as
    /// `http://{owner}.vm.example.internal:8080`. The placeholders are those of
    /// [`Redirect::to_template`](crate::Redirect::to_template); it may have no path.
    pub fn to_template<E: AsRef<str>>(
        template: &str,
        allowed: impl IntoIterator<Item = E>,
    ) -> Result<Self, InvalidForward> {
        let to = Destination::parse(template)?;
        Ok(Self::to(to, Allowed::new(allowed)?))
    }

    fn to(to: Destination, allowed: Allowed) -> Self {
        Self {
            to,
            allowed,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            response_timeout: Self::DEFAULT_RESPONSE_TIMEOUT,
            idle_timeout: Self::DEFAULT_IDLE_TIMEOUT,
            stream_grace: Self::DEFAULT_STREAM_GRACE,
            max_idle: Self::DEFAULT_MAX_IDLE,
            max_requests: Self::DEFAULT_MAX_REQUESTS,
            always_http2: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// How long connecting may take, with resolving a name and the TLS handshake;
    /// [2 s](Self::DEFAULT_CONNECT_TIMEOUT) by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = at_least(timeout);
        self
    }

    /// How long the owner may take until the head of its answer is there;
    /// [60 s](Self::DEFAULT_RESPONSE_TIMEOUT) by default. Time in which the request's body moves, or the
    /// client is waited for, does not count. Once the head is there, a response may take as long as it likes.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = at_least(timeout);
        self
    }

    /// How long a connection may be idle before it is closed; [20 s](Self::DEFAULT_IDLE_TIMEOUT) by default.
    /// It should be shorter than what the owner's server allows.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = at_least(timeout);
        self
    }

    /// How long an event stream, a gRPC call or another [stream](crate::OwnershipLayerBuilder::ends_streams) that
    /// is carried goes on once this machine [drains](crate::NodeState::Draining), or from its begin if that is
    /// later; [5 s](Self::DEFAULT_STREAM_GRACE) by default. It ends with an error, or `UNAVAILABLE`, and its client
    /// connects again: the machine could not end for as long as the client listens. Longer than requests are
    /// sent here after the drain has begun.
    ///
    /// Other responses are carried to their ends, and tunnels for as long as the process runs.
    #[must_use]
    pub fn stream_grace(mut self, grace: Duration) -> Self {
        self.stream_grace = grace;
        self
    }

    /// How many idle connections to one owner are kept; [256](Self::DEFAULT_MAX_IDLE) by default.
    #[must_use]
    pub fn max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// How many requests are carried to one owner at a time, each for as long as its response takes, and how
    /// many connections with another protocol; [2,048](Self::DEFAULT_MAX_REQUESTS) by default. One more
    /// is 503 `owner-unreachable`. An owner that has stopped answering takes no more connections than
    /// that from this machine.
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// Speaks HTTP/2 with owners for all requests but upgrades: without TLS by prior knowledge (RFC 9113,
    /// section 3.3). By default only for gRPC calls.
    #[must_use]
    pub fn always_http2(mut self) -> Self {
        self.always_http2 = true;
        self
    }

    /// Lets owners have `https` addresses, and says whom to trust. The protocols that it offers (ALPN) are
    /// set here, by what is spoken.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: &rustls::ClientConfig) -> Self {
        self.tls = Some(tls::Tls::new(config));
        self
    }

    /// Whether owners may be spoken to with TLS.
    #[cfg(feature = "tls")]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Marks a layer that carries requests to their owners:
/// [`OwnershipLayer<Forwarding>`](crate::OwnershipLayer).
#[derive(Clone, Debug)]
pub struct Forwarding(pub(crate) std::sync::Arc<Carrier>);

/// Why a [`Forward`] cannot be made.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidForward {
    /// The template makes no address.
    #[error(transparent)]
    Template(#[from] InvalidRedirect),
    /// The template has a path, which requests bring themselves.
    #[error("the template {template:?} has a path; requests are carried with their own")]
    Path {
        /// The template.
        template: String,
    },
    /// An entry is neither a name nor a network.
    #[error(
        "{entry:?} is nothing that requests could be carried to: `a.example.internal`, `*.example.internal`, `10.0.0.0/8` or `fdaa::/16`, each with a port or without"
    )]
    NotAnEntry {
        /// The entry.
        entry: String,
    },
    /// The list is empty.
    #[error("the list of what requests may be carried to is empty")]
    NothingAllowed,
}

crate::observe::debug_as_chain!(InvalidForward);
