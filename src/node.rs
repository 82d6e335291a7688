//! A node in one call.

use std::{
    error::Error,
    fmt,
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tracing::warn;

use crate::{
    Address, BuildError, ExtractSession, HeartbeatBuilder, HeartbeatError, MachineIdentity, Node,
    NodeState, OnLostOwner, OnUnassigned, OwnershipLayer, OwnershipLayerBuilder, Replay,
    health::{Check, HealthBuilder, HealthCheck},
    observe::Chain,
};

mod directory;
mod start;

pub use directory::{NodeDirectory, Unfit};

use start::{Failed, Start, State, note};

/// What a node says in the log.
const TARGET: &str = "tower_ownership::node";

/// Why a node cannot start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The layer cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The heartbeat cannot start, and trying again does not help.
    #[error(transparent)]
    Heartbeat(#[from] HeartbeatError),
    /// The directory is not set up as this machine needs it.
    #[error("the directory does not fit")]
    Directory(#[source] Box<dyn Error + Send + Sync>),
}

impl Node {
    /// A node in this directory: a layer, its heartbeat, its feed of changes and its drain, with
    /// defaults that suit most.
    pub fn builder<D: NodeDirectory>(directory: D) -> NodeBuilder<D> {
        let layer = OwnershipLayer::builder(directory.clone());
        NodeBuilder {
            layer: layer.directory(directory.clone()).awaits_presence(),
            heartbeat: HeartbeatBuilder::new(directory.clone()),
            directory,
            linger: RunningNode::<D>::DEFAULT_LINGER,
            drain_limit: RunningNode::<D>::DEFAULT_DRAIN_LIMIT,
        }
    }
}

/// Configures a node. Everything is checked in [`start`](Self::start).
#[must_use = "a builder does nothing before `start`"]
pub struct NodeBuilder<D> {
    directory: D,
    layer: OwnershipLayerBuilder,
    heartbeat: HeartbeatBuilder<D>,
    linger: Duration,
    drain_limit: Duration,
}

impl<D: NodeDirectory> NodeBuilder<D> {
    /// Where in a request the session id stands. Required.
    pub fn session(self, extract: impl ExtractSession) -> Self {
        self.layer(|layer| layer.session(extract))
    }

    /// How a request is handed to another machine. Required.
    pub fn replay(self, replay: impl Replay) -> Self {
        self.layer(|layer| layer.replay(replay))
    }

    /// Which machine this is; what [`detect`](crate::detect) finds by default.
    pub fn machine(self, identity: impl MachineIdentity) -> Self {
        self.layer(|layer| layer.machine(identity))
    }

    /// Claims a session that has no owner for the machine that its request reaches. Otherwise such a
    /// request is refused with `session-starting`.
    pub fn claim_unassigned(self) -> Self {
        self.layer(|layer| layer.on_unassigned(OnUnassigned::Claim))
    }

    /// Takes a session over from a lost owner. Otherwise such a request is refused with `owner-lost`.
    pub fn take_over_lost(self) -> Self {
        self.layer(|layer| layer.on_lost_owner(OnLostOwner::TakeOver))
    }

    /// Where clients reach this machine, for [redirects](crate::Redirect). Default: nowhere.
    pub fn address(self, address: &Address) -> Self {
        self.heartbeat(|heartbeat| heartbeat.address(address))
    }

    /// Sets anything else of the layer.
    pub fn layer(
        mut self,
        set: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) -> Self {
        self.layer = set(self.layer);
        self
    }

    /// Sets anything else of the heartbeat.
    pub fn heartbeat(
        mut self,
        set: impl FnOnce(HeartbeatBuilder<D>) -> HeartbeatBuilder<D>,
    ) -> Self {
        self.heartbeat = set(self.heartbeat);
        self
    }

    /// For how long the listener stays open after a shutdown has begun; 5 s by default. Requests that
    /// the platform still sends here are handed to the sessions' next owners meanwhile. It should be
    /// longer than the platform takes to stop sending.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How long giving up all sessions may take; 20 s by default.
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Builds the layer, verifies the directory, registers the machine, and follows changes.
    ///
    /// If the directory cannot be reached now, the node starts all the same: it refuses its own
    /// sessions with `session-starting`, tries again until it has registered, and says so in the log
    /// and in its [health](RunningNode::health). An error is final: trying again does not help.
    ///
    /// In a tokio runtime with its clock and its network enabled.
    pub async fn start(self) -> Result<RunningNode<D>, NodeError> {
        let runtime = Handle::try_current().map_err(|_| HeartbeatError::NoRuntime)?;
        let layer = self.layer.build()?;
        let start = Start {
            directory: self.directory,
            heartbeat: self.heartbeat,
            node: layer.node().clone(),
        };
        let changes = start.directory.follow(layer.cache());
        let changes = changes.map_err(NodeError::Directory)?;
        let state = Arc::new(Mutex::new(State::Starting(None)));
        let (stop, stopped) = oneshot::channel();
        match start.attempt().await {
            Ok(heartbeat) => *lock(&state) = State::Running(Box::new(heartbeat)),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Later(error)) => {
                note(&state, &error);
                let work = start.until_it_runs(Arc::clone(&state));
                runtime.spawn(async move {
                    futures_util::future::select(std::pin::pin!(work), stopped).await;
                });
            }
        }
        Ok(RunningNode {
            shared: Arc::new(Shared {
                state,
                node: layer.node().clone(),
                linger: self.linger,
                drain_limit: self.drain_limit,
                stop: Mutex::new(Some(stop)),
            }),
            changes: changes.map(Arc::from),
            layer,
        })
    }
}

impl<D> fmt::Debug for NodeBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("layer", &self.layer)
            .field("linger", &self.linger)
            .field("drain_limit", &self.drain_limit)
            .finish_non_exhaustive()
    }
}

struct Shared<D> {
    state: Arc<Mutex<State<D>>>,
    node: Node,
    linger: Duration,
    drain_limit: Duration,
    /// Its drop ends the attempts to start.
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

/// A node that was started: its layer, its health, and how it ends.
///
/// It derefs to its [`Node`]. If it is dropped without [draining](Self::drained_on), the machine is
/// lost after a while, as if it had crashed.
#[must_use = "the machine is lost soon after this is dropped"]
pub struct RunningNode<D> {
    shared: Arc<Shared<D>>,
    changes: Option<Arc<dyn HealthCheck>>,
    layer: OwnershipLayer,
}

impl<D> RunningNode<D> {
    /// For how long the listener stays open after a shutdown has begun, by default.
    pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);

    /// How long giving up all sessions may take, by default.
    pub const DEFAULT_DRAIN_LIMIT: Duration = Duration::from_secs(20);
}

impl<D: NodeDirectory> RunningNode<D> {
    /// The layer.
    #[must_use]
    pub fn layer(&self) -> OwnershipLayer {
        self.layer.clone()
    }

    /// The machine's health, with the heartbeat, and with the feed of changes where there is one. A
    /// node without the feed is ready: it reads sessions again when they are too old.
    pub fn health(&self) -> HealthBuilder {
        // Not what keeps the heartbeat running: a node that is dropped has ended.
        let state = Arc::downgrade(&self.shared.state);
        let heartbeat = move || match state.upgrade() {
            Some(state) => match &*lock(&state) {
                State::Starting(None) => Check::failing("this machine is not registered yet"),
                State::Starting(Some(why)) | State::Ended(why) => Check::failing(why.clone()),
                State::Running(heartbeat) => heartbeat.check(),
            },
            None => Check::failing("the node has ended"),
        };
        let health = self.layer.health().check("heartbeat", heartbeat);
        match &self.changes {
            Some(changes) => health.report("changes", Arc::clone(changes)),
            None => health,
        }
    }

    /// Waits for `signal`, and then ends the node so that no session waits for it: gives up all
    /// sessions, which ends their streams, lets the listener stay open for as long as it should
    /// [linger](NodeBuilder::linger), and leaves the fleet. Completes when the listener may close, so
    /// it is what a server's graceful shutdown takes.
    ///
    /// The next process of this machine then serves at once.
    pub fn drained_on(
        &self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            signal.await;
            shared.end().await;
        }
    }
}

impl<D: NodeDirectory> Shared<D> {
    async fn end(&self) {
        let began = Instant::now();
        let machine = self.node.machine().as_str();
        self.node.advance(NodeState::Draining);
        drop(lock(&self.stop).take());
        let State::Running(heartbeat) = self.ended("this machine is draining") else {
            sleep_until(began + self.linger).await;
            return;
        };
        match heartbeat.drain(self.drain_limit).await {
            Ok(drained) if drained.is_empty => {}
            Ok(_) => warn!(target: TARGET, machine, "not all sessions were given up in time"),
            Err(error) => {
                warn!(target: TARGET, machine, error = %Chain(&error), "no session was given up");
            }
        }
        sleep_until(began + self.linger).await;
        if let Err(error) = heartbeat.leave().await {
            warn!(target: TARGET, machine, error = %Chain(&error), "the fleet does not know that this machine has left");
        }
        self.ended("this machine has left");
    }

    /// Replaces the state, which is returned, by what the health page says from now on.
    fn ended(&self, why: &str) -> State<D> {
        let ended = State::Ended(why.to_owned());
        std::mem::replace(&mut *lock(&self.state), ended)
    }
}

impl<D> Deref for RunningNode<D> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.shared.node
    }
}

impl<D> fmt::Debug for RunningNode<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunningNode")
            .field(&self.shared.node)
            .finish()
    }
}

/// Completes when the process is asked to end: by SIGTERM, or by SIGINT, which Ctrl-C and Fly.io send.
pub async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            let interrupted = std::pin::pin!(tokio::signal::ctrl_c());
            let terminated = std::pin::pin!(terminated.recv());
            futures_util::future::select(terminated, interrupted).await;
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        warn!(target: TARGET, "signals cannot be heard, so the node does not drain when it is ended");
        std::future::pending::<()>().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

crate::observe::debug_as_chain!(NodeError);

#[cfg(test)]
mod tests;
