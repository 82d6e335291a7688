//! How an edge is set up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::edge::FlyEdge;
use super::server;
use super::session_cache::EdgeSessionCache;
use super::settings::Settings;
use super::shared::Shared;

/// Settings of a [`FlyEdge`], each with its default.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing listens until `start`"]
pub struct FlyEdgeBuilder {
    settings: Settings,
}

impl FlyEdgeBuilder {
    /// Where to listen. Default: `127.0.0.1:0`, a free port.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.settings.listen = addr;
        self
    }

    /// The app that the edge takes requests for, and that machines belong to unless they say
    /// otherwise. Default: `app`.
    pub fn app(mut self, app: impl Into<String>) -> Self {
        self.settings.app = app.into();
        self
    }

    /// The region of the edge (`Fly-Region`), and of machines that do not say otherwise.
    /// Default: `iad`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = region.into();
        self
    }

    /// Let every fresh request land on this machine instead of taking turns. Can be changed while
    /// the edge runs: [`FlyEdge::land_on`]. Default: take turns.
    pub fn land_on(mut self, id: impl Into<String>) -> Self {
        self.settings.land_on = Some(id.into());
        self
    }

    /// `false` gives answers with a replay to the client as they are, as a proxy does that knows
    /// nothing of replays. Default: `true`.
    pub fn honour_replay(mut self, honour: bool) -> Self {
        self.settings.honour_replay = honour;
        self
    }

    /// `true` lets a client's own `fly-replay-src`, `fly-replay-failed`, `fly-replay-cache-status`
    /// and the like reach the machine, which is the worst case that an app must stand: whether
    /// Fly Proxy removes them is not documented. Default: `false`, they are removed.
    pub fn pass_forged_headers(mut self, pass: bool) -> Self {
        self.settings.pass_forged_headers = pass;
        self
    }

    /// The largest request body, in bytes, that can be replayed. Larger ones are passed on to the
    /// first machine only. Default: 1,000,000 ("requests larger than 1MB cannot be replayed", Fly
    /// docs: Dynamic Request Routing).
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// How long a replay waits for the end of a body that is still arriving. Default: 10 s. After
    /// that the request counts as too large.
    pub fn body_wait(mut self, wait: Duration) -> Self {
        self.settings.body_wait = wait;
        self
    }

    /// How long one attempt to connect may take. Default: 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How many attempts are made on each machine before the reason is `retries_exhausted`.
    /// Default: 4. (Fly's documents speak of up to 90; too long for a test.)
    pub fn connect_attempts(mut self, attempts: u32) -> Self {
        self.settings.connect_attempts = attempts;
        self
    }

    /// The pause between two rounds of attempts. Default: 50 ms.
    pub fn connect_pause(mut self, pause: Duration) -> Self {
        self.settings.connect_pause = pause;
        self
    }

    /// How long all attempts to reach a machine may take, waking it included, where a replay
    /// gives no `timeout`. Default: 7.5 s, what was measured on Fly.
    pub fn replay_timeout(mut self, timeout: Duration) -> Self {
        self.settings.replay_timeout = timeout;
        self
    }

    /// How long a machine may take to send the head of its answer. Default: 60 s.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings.answer_timeout = timeout;
        self
    }

    /// How long the rest of an HTTP/1.1 upload is read and forgotten after the answer, so that the
    /// client gets to see the answer. Default: 5 s.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// The most entries of the replay cache; the oldest goes first. Default: 1,024; 0 switches the
    /// cache off.
    pub fn cache_capacity(mut self, entries: usize) -> Self {
        self.settings.cache_capacity = entries;
        self
    }

    /// Also remembers replays by session, as `fly.toml` may configure it. May be called several times.
    /// Default: by path only, where the emitter asks for it.
    pub fn session_cache(mut self, cache: EdgeSessionCache) -> Self {
        self.settings.session_caches.push(cache);
        self
    }

    /// Lets apps of the organisation `of` be the target of replays from the organisation `source`, as
    /// `fly orgs replay-sources add` does. Default: none, `PA05`.
    pub fn replay_source(mut self, of: impl Into<String>, source: impl Into<String>) -> Self {
        let allowed = (of.into(), source.into());
        self.settings.replay_sources.push(allowed);
        self
    }

    /// Lets apps of this organisation be the target of replays from other private networks, as
    /// `fly orgs cross-network-replays enable` does. Default: off, as on Fly since May 2026.
    pub fn cross_network_replays(mut self, organization: impl Into<String>) -> Self {
        let allows = organization.into();
        self.settings.cross_network_replays.push(allows);
        self
    }

    /// How many records the log keeps; the oldest goes first. Default: 4,096, and at least 1.
    pub fn log_capacity(mut self, records: usize) -> Self {
        self.settings.log_capacity = records;
        self
    }

    /// How many client connections are served at once, tunnels included; more wait to be
    /// accepted. Default: 1,024, and at least 1.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Starts to listen. Must be called inside a tokio runtime; the edge lives on that runtime. A session
    /// cache that `fly.toml` could not configure is [`io::ErrorKind::InvalidInput`].
    pub async fn start(self) -> io::Result<FlyEdge> {
        for cache in &self.settings.session_caches {
            let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
            cache.check().map_err(invalid)?;
        }
        let listener = TcpListener::bind(self.settings.listen).await?;
        let shared = Arc::new(Shared::new(self.settings, listener.local_addr()?));
        let accept = server::accept(listener, Arc::clone(&shared));
        shared.tasks.spawn(accept).detach();
        Ok(FlyEdge::new(shared))
    }
}
