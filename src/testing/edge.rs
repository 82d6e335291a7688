//! The edge itself.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::builder::FlyEdgeBuilder;
use super::event::EdgeEvent;
use super::hop::Hop;
use super::log::EdgeWatch;
use super::machine::EdgeMachine;
use super::shared::Shared;

/// A running edge. Everything it does can be read from it; dropping it ends all its connections.
pub struct FlyEdge {
    shared: Arc<Shared>,
}

impl FlyEdge {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// An edge with the default settings, on a free port of 127.0.0.1.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// An edge with other settings.
    pub fn builder() -> FlyEdgeBuilder {
        FlyEdgeBuilder::default()
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// The address of a path at the edge: `url("/session/7f")`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.shared.addr)
    }

    /// Registers a running machine of the edge's own app and region.
    pub fn add(&self, id: impl Into<String>, addr: SocketAddr) {
        self.add_machine(EdgeMachine::new(id, addr));
    }

    /// Registers a machine; one with the same id is replaced.
    pub fn add_machine(&self, machine: EdgeMachine) {
        let settings = &self.shared.settings;
        self.shared
            .fleet
            .add(machine.into_slot(&settings.app, &settings.region));
    }

    /// Forgets a machine, as if it were destroyed: a replay to it fails with `no_candidate`.
    /// Requests that it is serving go on. One that is not registered is none the less gone.
    pub fn remove(&self, id: &str) {
        self.shared.fleet.remove(id);
    }

    /// The ids of the registered machines, in the order of their registration.
    #[must_use]
    pub fn machines(&self) -> Vec<String> {
        self.shared.fleet.ids()
    }

    /// From now on lets every fresh request land on this machine, unless its client asks for
    /// another one or the replay cache knows one. A machine that is not registered is a 503.
    pub fn land_on(&self, id: impl Into<String>) {
        self.shared.pin(Some(id.into()));
    }

    /// From now on lets fresh requests land on the machines in turn.
    pub fn land_anywhere(&self) {
        self.shared.pin(None);
    }

    /// The last hops of all requests, oldest first. How many: [`FlyEdgeBuilder::log_capacity`].
    #[must_use]
    pub fn hops(&self) -> Vec<Hop> {
        self.shared.log.hops()
    }

    /// The hops of one request, by the `Fly-Request-Id` of its response.
    #[must_use]
    pub fn hops_of(&self, request_id: &str) -> Vec<Hop> {
        self.shared.log.hops_of(request_id)
    }

    /// The last errors of the edge, oldest first: what Fly would write into the app's log.
    #[must_use]
    pub fn events(&self) -> Vec<EdgeEvent> {
        self.shared.log.events()
    }

    /// Reads the hops of requests for as long as it likes, whatever becomes of the edge.
    #[cfg(feature = "doctor")]
    pub(crate) fn reader(&self) -> HopsOf {
        HopsOf(Arc::clone(&self.shared))
    }

    /// Hops and errors from now on, as they happen.
    #[must_use]
    pub fn subscribe(&self) -> EdgeWatch {
        self.shared.log.watch()
    }

    /// Forgets all hops and errors so far.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    /// How many replays are cached now.
    #[must_use]
    pub fn cached_replays(&self) -> usize {
        self.shared.cache.len()
    }

    /// Moves the clock of the replay cache forward, so that a test need not wait until an entry is
    /// too old. Nothing else goes by this clock.
    pub fn advance(&self, by: Duration) {
        self.shared.cache.advance(by);
    }

    /// Ends all connections, tunnels and tasks, and waits until they are gone.
    pub async fn shutdown(self) {
        self.shared.tasks.shutdown().await;
    }
}

/// The hops of an edge that may be gone by now.
#[cfg(feature = "doctor")]
#[derive(Clone)]
pub(crate) struct HopsOf(Arc<Shared>);

#[cfg(feature = "doctor")]
impl HopsOf {
    pub(crate) fn of(&self, request_id: &str) -> Vec<Hop> {
        self.0.log.hops_of(request_id)
    }
}

impl fmt::Debug for FlyEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlyEdge")
            .field("addr", &self.shared.addr)
            .field("machines", &self.machines())
            .finish_non_exhaustive()
    }
}

impl Drop for FlyEdge {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}
