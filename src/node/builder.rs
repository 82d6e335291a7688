//! The builder of a node.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    NodeDirectory, NodeError, RunningNode, Shared, lock,
    start::{Failed, Start, State, note},
};
use crate::{
    Address, BuildError, ExtractSession, HeartbeatBuilder, HeartbeatError, MachineIdentity,
    OnLostOwner, OnUnassigned, OwnershipLayer, OwnershipLayerBuilder, Replay,
};

/// Configures a node. Everything is checked in [`start`](Self::start).
#[must_use = "a builder does nothing before `start`"]
pub struct NodeBuilder<D, F = ()> {
    directory: D,
    layer: OwnershipLayerBuilder,
    build: Box<BuildLayer<F>>,
    heartbeat: HeartbeatBuilder<D>,
    linger: Duration,
    drain_limit: Duration,
}

/// Builds a layer, which the builder of a node has made a layer that forwards, or one that does not.
type BuildLayer<F> =
    dyn FnOnce(OwnershipLayerBuilder) -> Result<OwnershipLayer<F>, BuildError> + Send;

impl<D: NodeDirectory> NodeBuilder<D> {
    pub(super) fn new(directory: D) -> Self {
        let layer = OwnershipLayer::builder(directory.clone());
        Self {
            layer: layer.directory(directory.clone()).require_membership(),
            build: Box::new(OwnershipLayerBuilder::build),
            heartbeat: HeartbeatBuilder::new(directory.clone()),
            directory,
            linger: RunningNode::<D>::DEFAULT_LINGER,
            drain_limit: RunningNode::<D>::DEFAULT_DRAIN_LIMIT,
        }
    }

    /// Carries requests to their owners, as [`OwnershipLayerBuilder::forward`] says.
    #[cfg(feature = "forward")]
    pub fn forward(
        self,
        forward: crate::forward::Forward,
    ) -> NodeBuilder<D, crate::forward::Forwarding> {
        NodeBuilder {
            directory: self.directory,
            layer: self.layer,
            build: Box::new(|layer| layer.forward(forward).build()),
            heartbeat: self.heartbeat,
            linger: self.linger,
            drain_limit: self.drain_limit,
        }
    }
}

impl<D: NodeDirectory, F> NodeBuilder<D, F> {
    /// Where in a request the session id stands. Required.
    pub fn session(self, extract: impl ExtractSession) -> Self {
        self.layer(|layer| layer.session(extract))
    }

    /// How a request is handed to another machine. Required, but for nodes that forward (feature `forward`).
    pub fn replay(self, replay: impl Replay) -> Self {
        self.layer(|layer| layer.replay(replay))
    }

    /// Which machine this is; what [`detect`](crate::detect) finds by default.
    pub fn machine(self, identity: impl MachineIdentity) -> Self {
        self.layer(|layer| layer.machine(identity))
    }

    /// Claims a session that has no owner for the machine that its request reaches. Otherwise such a
    /// request is refused with `session-starting`, or with `session-unassigned` if its last owner gave it up.
    pub fn claim_unassigned(self) -> Self {
        self.layer(|layer| layer.on_unassigned(OnUnassigned::Claim))
    }

    /// Takes a session over from a lost owner. Otherwise such a request is refused with `owner-lost`.
    pub fn take_over_lost(self) -> Self {
        self.layer(|layer| layer.on_lost_owner(OnLostOwner::TakeOver))
    }

    /// Ends sessions with the process that holds them, as
    /// [`OwnershipLayerBuilder::volatile`] says. Not together with claims and take-overs.
    pub fn volatile(self) -> Self {
        self.layer(OwnershipLayerBuilder::volatile)
    }

    /// Where this machine is reached: by clients, for [redirects](crate::Redirect), or by other
    /// machines that carry requests to it (feature `forward`). Default: nowhere.
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

    /// How long giving up all sessions may take, and open responses, where
    /// [`serve`](RunningNode::serve) runs the server; 20 s by default.
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
    pub async fn start(self) -> Result<RunningNode<D, F>, NodeError> {
        let runtime = Handle::try_current().map_err(|_| HeartbeatError::NoRuntime)?;
        let layer = (self.build)(self.layer)?;
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

impl<D, F> fmt::Debug for NodeBuilder<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("layer", &self.layer)
            .field("linger", &self.linger)
            .field("drain_limit", &self.drain_limit)
            .finish_non_exhaustive()
    }
}
