//! The layer's builder.

use std::{fmt, time::Duration};

use http::response;

use super::OwnershipLayer;
use crate::{
    CachePolicy, ExtractSession, Head, MachineIdentity, Node, Observe, OnLostOwner, OnUnassigned,
    Render, Replay, Session, SessionDirectory,
    claim::Rule,
    directory::{DynDirectory, NewSession, lookup::DynLookup},
    extract::ExtractNewSession,
    future::DiscardLimits,
    observe::Searches,
    policy::{Births, Guard},
};

mod build;

/// Configures an [`OwnershipLayer`]. What cannot work is refused in [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, set by a method of its own"
)]
pub struct OwnershipLayerBuilder {
    lookup: DynLookup,
    lookup_timeout: Duration,
    freshness: CachePolicy,
    capacity: usize,
    extract: Option<Box<dyn ExtractSession>>,
    identity: Option<Box<dyn MachineIdentity>>,
    pub(super) replay: Option<Box<dyn Replay>>,
    #[cfg(feature = "forward")]
    pub(super) forward: Option<std::sync::Arc<crate::forward::Carrier>>,
    guard: Option<Box<Guard>>,
    directory: Option<DynDirectory>,
    node: Option<Node>,
    require_membership: bool,
    claims: Rule,
    takes_over: Rule,
    volatile: bool,
    max_hops: u8,
    tells_owned: bool,
    render: Option<Box<dyn Render>>,
    expose_internals: bool,
    searches: Searches,
    births: Births,
    sliding: Option<Duration>,
    ends_streams: bool,
    hosts_untrusted: bool,
    refused_bodies: DiscardLimits,
    observe: Option<Box<dyn Observe>>,
    warn_interval: Duration,
}

impl OwnershipLayerBuilder {
    pub(super) fn new(lookup: DynLookup) -> Self {
        Self {
            lookup,
            lookup_timeout: OwnershipLayer::DEFAULT_LOOKUP_TIMEOUT,
            freshness: CachePolicy::new(),
            capacity: OwnershipLayer::DEFAULT_CACHE_CAPACITY,
            extract: None,
            identity: None,
            replay: None,
            #[cfg(feature = "forward")]
            forward: None,
            guard: None,
            directory: None,
            node: None,
            require_membership: false,
            claims: Rule::Always(false),
            takes_over: Rule::Always(false),
            volatile: false,
            max_hops: OwnershipLayer::DEFAULT_MAX_HOPS,
            tells_owned: true,
            render: None,
            expose_internals: false,
            searches: Searches::default(),
            births: Births::default(),
            sliding: None,
            ends_streams: false,
            hosts_untrusted: false,
            refused_bodies: DiscardLimits {
                bytes: OwnershipLayer::DEFAULT_REFUSED_BODY_LIMIT,
                time: OwnershipLayer::DEFAULT_REFUSED_BODY_TIMEOUT,
            },
            observe: None,
            warn_interval: OwnershipLayer::DEFAULT_WARN_INTERVAL,
        }
    }

    /// Where in a request the session id stands. Required.
    pub fn session(mut self, extract: impl ExtractSession) -> Self {
        self.extract = Some(Box::new(extract));
        self
    }

    /// Refuses a request that names no session, with 404 `session-missing`. By default such a request
    /// passes to the application on every machine.
    ///
    /// For a layer around routes that are all about a session. A layer that is mounted where it sees
    /// other paths than it expects, such as within axum's `nest`, then refuses everything and does not
    /// silently guard nothing. Without it, a layer that finds no session in its first
    /// 100 requests says so once, at WARN, and a handler of axum can require a session for itself: it takes
    /// [`Owned`](crate::Owned).
    pub fn requires_session(mut self) -> Self {
        self.searches.are_required = true;
        self
    }

    /// Registers sessions that the application creates in its responses, and ends those that it ends.
    /// May be called several times, for several places. Needs a
    /// [directory](Self::directory).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ownership::{
    ///     FlyReplay, Header, MachineId, MemoryDirectory, OwnershipLayer, extract::ResponseHeader,
    /// };
    ///
    /// let sessions = MemoryDirectory::new();
    /// let layer = OwnershipLayer::builder(sessions.clone())
    ///     .directory(sessions)
    ///     .session(Header::mcp_session_id())
    ///     .registers(ResponseHeader::mcp_session_id())
    ///     .registers_with(|new, _head| new.lifetime(Duration::from_secs(24 * 60 * 60)))
    ///     .machine("56837ddda10348".parse::<MachineId>()?)
    ///     .replay(FlyReplay::new())
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// - A response that gives out an id is held back until the directory names this machine as the owner,
    ///   at most the [lookup timeout](Self::lookup_timeout). So no other machine is asked for a session that
    ///   the directory does not know.
    /// - If that fails, the client gets 503 `session-unregistered` in its place, and no id. The application
    ///   then holds a session that no client knows.
    /// - An id of a session that lives already is fine if it is this machine's, which the application may
    ///   tell of twice, and a failure if it is another machine's.
    /// - A `DELETE` of the session itself that is answered with 2xx ends it, if this machine still owns it
    ///   at the same epoch; what counts as one says the place. That the end could not be written is said at
    ///   WARN, and the client gets its answer.
    pub fn registers(mut self, place: impl ExtractNewSession) -> Self {
        self.births.places.push(Box::new(place));
        self
    }

    /// Completes what is [registered](Self::registers) of a session: its lifetime, address, attributes. By
    /// default it has none of its own.
    pub fn registers_with(
        mut self,
        complete: impl Fn(NewSession, &response::Parts) -> NewSession + Send + Sync + 'static,
    ) -> Self {
        self.births.complete = Some(Box::new(complete));
        self
    }

    /// Ends responses that stream for as long as a client listens when their session is lost, or this
    /// machine drains: for streams of services that know nothing of sessions. Off by default.
    ///
    /// A stream is what answers a GET with the content type `text/event-stream`, `application/x-ndjson` or
    /// `multipart/x-mixed-replace`, and what answers a gRPC call. What answers another request ends by itself,
    /// such as a tool call of MCP whose result comes as an event. A stream ends as
    /// [`Owned::until_lost`](crate::Owned::until_lost) has it: server-sent events with an event
    /// `ownership-lost`, gRPC with status 14. Without it a drain waits for the client of each stream, and
    /// clients stay at a machine that owns their session no more. Upgraded connections (WebSockets) are not
    /// seen here: there the handler has to wait for [`Owned::lost`](crate::Owned::lost).
    pub fn ends_streams(mut self) -> Self {
        self.ends_streams = true;
        self
    }

    /// Takes response headers off that the proxy in front would obey, for applications that serve what others
    /// wrote, such as previews and sandboxes. Off by default, where responses pass as they are.
    ///
    /// A response with `fly-replay` has Fly's proxy send the request to any application of the organisation, with
    /// another path if it likes, and one with `fly-replay-cache` has it do so for later requests, too. The content type
    /// `application/vnd.fly.replay+json` does the same by its body. `X-Accel-Redirect` has nginx answer from its
    /// internal locations. Taken off are all headers whose names begin with `fly-replay`, `x-accel-`, `x-owner`
    /// (which the shipped configuration of nginx reads) or `ownership-`, and that content type; for requests
    /// with a session and without. What an upgraded connection carries, no proxy reads as headers.
    ///
    /// A replay of your own may have other headers, and so may your proxy: take those off there.
    pub fn hosts_untrusted_content(mut self) -> Self {
        self.hosts_untrusted = true;
        self
    }

    /// Lets a session that has an expiry live for `lifetime` after each request that this machine serves.
    /// Needs a [directory](Self::directory). By default the layer leaves expiries alone.
    ///
    /// The expiry is put off in the background, at most once per tenth of the lifetime for a session, and
    /// only while less than nine tenths are left. So a session may expire up to a tenth early after its
    /// last request. A write that fails is said at WARN, and tried again after that time. The background
    /// is that of the [lookup](crate::SessionLookup::spawn), which for `lookup_fn` and other lookups of
    /// your own has to be said.
    pub fn sliding_expiry(mut self, lifetime: Duration) -> Self {
        self.sliding = Some(lifetime);
        self
    }

    /// Puts a [`Registrar`](crate::ownership::Registrar) into the extensions of requests that pass, for
    /// handlers that create sessions. Off by default, since it costs requests that name no session an
    /// allocation. Needs a [directory](Self::directory).
    pub fn insert_registrar(mut self) -> Self {
        self.births.tells_registrar = true;
        self
    }

    /// Which machine this is; what [`detect`](crate::detect) finds by default. Asked once, in
    /// [`build`](Self::build).
    pub fn machine(mut self, identity: impl MachineIdentity) -> Self {
        self.identity = Some(Box::new(identity));
        self
    }

    /// How a request is handed to another machine. Required, but for layers that forward (feature
    /// `forward`).
    pub fn replay(mut self, replay: impl Replay) -> Self {
        self.replay = Some(Box::new(replay));
        self
    }

    /// Lets a request near a session only if the closure says so; every request by default.
    ///
    /// Asked on every machine alike, before the application is called or a replay is sent. A
    /// request that it refuses is answered with 403 `session-forbidden`. The session's
    /// [attributes](Session::attributes) are there to compare the request with.
    pub fn guard(
        mut self,
        allows: impl Fn(&Head<'_>, &Session) -> bool + Send + Sync + 'static,
    ) -> Self {
        #[cfg(feature = "probe")]
        let allows = crate::probe::or_probe(allows);
        self.guard = Some(Box::new(allows));
        self
    }

    /// Where sessions are claimed, for [`on_unassigned`](Self::on_unassigned) and
    /// [`on_lost_owner`](Self::on_lost_owner); nowhere by default.
    pub fn directory(mut self, directory: impl SessionDirectory) -> Self {
        self.directory = Some(DynDirectory::new(directory));
        self
    }

    /// Which node the layer is part of; the one of its lookup by default, and otherwise one of its own.
    ///
    /// For a layer on another lookup than the machine's other layers in this process: heartbeats,
    /// drains and releases speak for all of them, so all have to be part of one node.
    pub fn node(mut self, node: &Node) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// Serves no session before this machine's presence has begun; from the start by default. Until
    /// then sessions of this machine are refused with `session-starting`.
    ///
    /// For machines that could be configured otherwise than their fleet, which their presence
    /// checks, and for those that start while the database is down.
    pub fn require_membership(mut self) -> Self {
        self.require_membership = true;
        self
    }

    /// What becomes of a request for a session without an owner;
    /// [`Reject`](OnUnassigned::Reject) by default. The guard is asked before anything is claimed.
    pub fn on_unassigned(mut self, what: OnUnassigned) -> Self {
        self.claims = Rule::Always(what == OnUnassigned::Claim);
        self
    }

    /// The same, by the request: only some routes may create what others only use.
    pub fn on_unassigned_by(
        mut self,
        what: impl Fn(&Head<'_>) -> OnUnassigned + Send + Sync + 'static,
    ) -> Self {
        self.claims = Rule::by(move |head| what(head) == OnUnassigned::Claim);
        self
    }

    /// What becomes of a request for a session whose owner is [lost](crate::OwnerStatus::Lost);
    /// [`Reject`](OnLostOwner::Reject) by default. An owner that was never seen is not lost: it may
    /// be starting.
    pub fn on_lost_owner(mut self, what: OnLostOwner) -> Self {
        self.takes_over = Rule::Always(what == OnLostOwner::TakeOver);
        self
    }

    /// The same, by the request.
    pub fn on_lost_owner_by(
        mut self,
        what: impl Fn(&Head<'_>) -> OnLostOwner + Send + Sync + 'static,
    ) -> Self {
        self.takes_over = Rule::by(move |head| what(head) == OnLostOwner::TakeOver);
        self
    }

    /// Ends sessions with the process that holds them; by default they outlive it. For sessions that live in
    /// the memory of one process, such as a game room or an MCP session.
    ///
    /// - A [drain](crate::Heartbeat::drain) ends this machine's sessions instead of releasing them.
    /// - A session whose owner is [lost](crate::OwnerStatus::Lost) is ended by the machine that a request for
    ///   it reaches, and refused with 410 `session-absent`. An owner that was only cut off stops
    ///   serving it, too, when it reads the row again, which is within one
    ///   [TTL](Node::lease_ttl).
    /// - When the machine is [registered](crate::HeartbeatBuilder::start) by another process than before, what
    ///   the directory holds for it is ended before this process serves anything. The new process waits
    ///   for none of them, and for no TTL.
    ///
    /// After that they are over: 410 `session-over`, also on a machine that was started since. A session that
    /// is created then is served at once.
    ///
    /// It needs a [`directory`](Self::directory) that can end sessions, [requires the
    /// membership](Self::require_membership), and claims nothing. All layers of one node have to agree
    /// on it, and so should all machines of a fleet: one without it waits for a lost owner
    /// with `owner-lost`.
    ///
    /// A session that is assigned to a machine which has left, or is lost, ends by the same rules. One that is
    /// assigned to a machine which was never registered is kept for it. A machine whose row
    /// is deleted by hand counts as never registered.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self.require_membership = true;
        self
    }

    /// The longest wait for a lookup; [2 s](OwnershipLayer::DEFAULT_LOOKUP_TIMEOUT) by default.
    pub fn lookup_timeout(mut self, timeout: Duration) -> Self {
        self.lookup_timeout = timeout;
        self
    }

    /// How old what is remembered of a session may be, and how much memory it may take; see
    /// [`CachePolicy`] for the defaults.
    pub fn cache_policy(mut self, freshness: CachePolicy) -> Self {
        self.freshness = freshness;
        self
    }

    /// How many sessions are remembered;
    /// [100,000](OwnershipLayer::DEFAULT_CACHE_CAPACITY) by default, at some 45 bytes each. An
    /// eighth of them is for unknown ids. As many sessions with attributes are remembered on top, which take
    /// more; what the attributes themselves take is bounded [in bytes](CachePolicy::max_attribute_bytes).
    ///
    /// It has to cover the sessions that requests reach this machine for within
    /// [the bounds](CachePolicy), and those that this machine took over from another one: as many
    /// epochs are remembered for which the wait for the previous owner is over. A machine that took
    /// over more is still correct, but a session whose epoch was evicted waits
    /// one [TTL](Node::lease_ttl) again. Epochs that still wait are not evicted; they do not count here,
    /// and take some 100 bytes each until a minute after the wait at most.
    pub fn cache_capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions;
        self
    }

    /// How often one request is replayed at most; [2](OwnershipLayer::DEFAULT_MAX_HOPS) by
    /// default. After that it is refused with `replay-loop`. The first replay is always allowed,
    /// so 0 means 1.
    pub fn max_hops(mut self, hops: u8) -> Self {
        self.max_hops = hops;
        self
    }

    /// Whether handlers find [`Owned`](crate::Owned) in a request's extensions; they do by default. Without it
    /// an owned request allocates nothing in this layer, where it is the first extension, and a handler of
    /// axum that takes `Owned` (feature `axum`) answers 500.
    pub fn insert_owned(mut self, tell: bool) -> Self {
        self.tells_owned = tell;
        self
    }

    /// The longest body in bytes that is read although the request is refused or handed over;
    /// [16 MiB](OwnershipLayer::DEFAULT_REFUSED_BODY_LIMIT) by default.
    ///
    /// A server that answers a request of HTTP/1 before it has read the body closes the connection. Proxies
    /// and clients that are still sending then report an error and drop the answer: nginx and Envoy say
    /// 502 or 503 of it, and node's `fetch` fails. So the body is read to its end, and thrown away, before
    /// the answer leaves. A request that declares a longer body is answered at once; one that turns out to
    /// have a longer one is answered at the limit.
    ///
    /// Not read is what HTTP/2 brings, where the answer arrives anyway, what follows
    /// `Expect: 100-continue`, and what follows an upgrade. At most 256 bodies are read at the same time in
    /// one process; requests beyond them are answered at once.
    pub fn refused_body_limit(mut self, bytes: u64) -> Self {
        self.refused_bodies.bytes = bytes;
        self
    }

    /// For how long such a body is read;
    /// [10 s](OwnershipLayer::DEFAULT_REFUSED_BODY_TIMEOUT) by default. Then the request is answered, and
    /// also when its client pauses for a second. With zero, none is read; more than an hour means an hour.
    pub fn refused_body_timeout(mut self, timeout: Duration) -> Self {
        self.refused_bodies.time = timeout.min(Duration::from_secs(3600));
        self
    }

    /// Writes the answers to refused requests; a [`DefaultRenderer`](crate::DefaultRenderer) by default.
    pub fn render(mut self, render: impl Render) -> Self {
        self.render = Some(Box::new(render));
        self
    }

    /// Whether answers tell machine ids, which help an operator and, a little, an attacker; they
    /// do not by default. Concerns the default renderer: one of your own decides for itself.
    pub fn expose_internals(mut self, show: bool) -> Self {
        self.expose_internals = show;
        self
    }

    /// What observes every verdict, beside the event; nothing by default.
    pub fn on_verdict(mut self, observe: impl Observe) -> Self {
        self.observe = Some(Box::new(observe));
        self
    }

    /// How often refusals of one cause are said at WARN at most;
    /// [10 s](OwnershipLayer::DEFAULT_WARN_INTERVAL) by default. Those that are held back meanwhile are
    /// said at DEBUG, and counted: see [`Observed`](crate::Observed#levels). With zero, none is held
    /// back.
    pub fn warn_interval(mut self, interval: Duration) -> Self {
        self.warn_interval = interval;
        self
    }
}

impl fmt::Debug for OwnershipLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnershipLayerBuilder")
            .finish_non_exhaustive()
    }
}
