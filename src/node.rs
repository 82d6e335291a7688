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
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tracing::warn;

use crate::{
    BuildError, HeartbeatError, Node, NodeState, OwnershipLayer,
    health::{Check, HealthBuilder, HealthCheck},
    observe::Chain,
};

mod builder;
mod directory;
mod serve;
#[cfg(unix)]
mod signals;
mod start;

pub use builder::NodeBuilder;
pub use directory::{NodeDirectory, Unfit};
pub use serve::GracefulShutdown;

use start::State;

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
        NodeBuilder::new(directory)
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
pub struct RunningNode<D, F = ()> {
    shared: Arc<Shared<D>>,
    changes: Option<Arc<dyn HealthCheck>>,
    layer: OwnershipLayer<F>,
}

impl<D> RunningNode<D> {
    /// For how long the listener stays open after a shutdown has begun, by default.
    pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);

    /// How long giving up all sessions may take, by default.
    pub const DEFAULT_DRAIN_LIMIT: Duration = Duration::from_secs(20);
}

impl<D: NodeDirectory, F: Clone> RunningNode<D, F> {
    /// The layer.
    #[must_use]
    pub fn layer(&self) -> OwnershipLayer<F> {
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
            Some(changes) => health.optional_check("changes", Arc::clone(changes)),
            None => health,
        }
    }

    /// Waits for `signal`, and then ends the node so that no session waits for it: gives up all
    /// sessions (or [ends](NodeBuilder::volatile) them), which ends their streams, lets the listener stay open for as long as it should
    /// [linger](NodeBuilder::linger), and leaves the fleet. Completes when the listener may close, so
    /// it is what a server's graceful shutdown takes.
    ///
    /// The next process of this machine then serves at once.
    ///
    /// A server's graceful shutdown goes on to wait for open responses, without a bound, which
    /// [`serve`](Self::serve) puts on it. Streams of sessions end as soon as the drain begins, if they
    /// [ask](crate::Owned::lost) for that or the layer [ends them](crate::OwnershipLayerBuilder::ends_streams).
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
        // What became of it is logged by the drain itself.
        let _ = heartbeat.drain(self.drain_limit).await;
        sleep_until(began + self.linger).await;
        if let Err(error) = heartbeat.leave().await {
            warn!(target: TARGET, machine, cause = %Chain(&error), "the fleet does not know that this machine has left");
        }
        self.ended("this machine has left");
    }

    /// Replaces the state, which is returned, by what the health page says from now on.
    fn ended(&self, why: &str) -> State<D> {
        let ended = State::Ended(why.to_owned());
        std::mem::replace(&mut *lock(&self.state), ended)
    }
}

impl<D, F> Deref for RunningNode<D, F> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.shared.node
    }
}

impl<D, F> fmt::Debug for RunningNode<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunningNode")
            .field(&self.shared.node)
            .finish()
    }
}

/// Completes when the process is asked to end: by SIGTERM, or by SIGINT, which Ctrl-C and Fly.io send.
///
/// On Unix a second signal of these ends the process at once, whatever is still under way, as the first
/// would have done without this: with status 128 and the signal's number. No session is given up then that was
/// not given up before.
///
/// Signals count from the call on, or, if that is outside of a tokio runtime, from the first poll. Needs
/// a tokio runtime with its drivers enabled.
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let listening = tokio::runtime::Handle::try_current().ok();
    #[cfg(unix)]
    let listening = listening.map(|_| signals::Signals::listen());
    async move {
        #[cfg(unix)]
        if let Ok(mut signals) = listening.unwrap_or_else(signals::Signals::listen) {
            signals.next().await;
            tokio::spawn(async move {
                let status = 128 + signals.next().await;
                warn!(target: TARGET, "asked to end once more: ending without what is still under way");
                std::process::exit(status);
            });
            return;
        }
        ended_by_ctrl_c().await;
    }
}

async fn ended_by_ctrl_c() {
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
