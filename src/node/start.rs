//! Becoming a member of the fleet.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::sleep;
use tracing::{error, info, warn};

use super::{NodeDirectory, NodeError, TARGET, Unfit, lock};
use crate::{
    Heartbeat, HeartbeatBuilder, HeartbeatError, LookupError, Node, observe::Chain,
    random::jittered,
};

/// How long to wait before a start that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

pub(super) enum State<D> {
    /// With why the last attempt failed.
    Starting(Option<String>),
    Running(Box<Heartbeat<D>>),
    /// It drains, it has left, or its start failed for good.
    Ended(String),
}

pub(super) enum Failed {
    Final(NodeError),
    Later(LookupError),
}

/// What it takes to become a member of the fleet.
pub(super) struct Start<D> {
    pub(super) directory: D,
    pub(super) heartbeat: HeartbeatBuilder<D>,
    pub(super) node: Node,
}

impl<D: NodeDirectory> Start<D> {
    pub(super) async fn attempt(&self) -> Result<Heartbeat<D>, Failed> {
        match self.directory.verify(self.node.machine()).await {
            Ok(()) => {}
            Err(Unfit::Unreachable(error)) => return Err(Failed::Later(error)),
            Err(Unfit::Misconfigured(error)) => {
                return Err(Failed::Final(NodeError::Directory(error)));
            }
        }
        let started = self.heartbeat.clone().start(&self.node).await;
        started.map_err(|error| match error {
            HeartbeatError::Directory(error) => Failed::Later(error),
            error => Failed::Final(error.into()),
        })
    }

    pub(super) async fn until_it_runs(self, state: Arc<Mutex<State<D>>>) {
        loop {
            sleep(jittered(RETRY)).await;
            match self.attempt().await {
                Ok(heartbeat) => {
                    info!(target: TARGET, machine = self.node.machine().as_str(), "the node has joined its fleet");
                    *lock(&state) = State::Running(Box::new(heartbeat));
                    return;
                }
                Err(Failed::Later(error)) => note(&state, &error),
                Err(Failed::Final(error)) => {
                    let why = Chain(&error).to_string();
                    error!(
                        target: TARGET,
                        machine = self.node.machine().as_str(),
                        cause = why,
                        "the node cannot join its fleet, and serves no session"
                    );
                    *lock(&state) = State::Ended(error.to_string());
                    return;
                }
            }
        }
    }
}

/// Notes why an attempt failed, and says so once for each reason.
pub(super) fn note<D>(state: &Mutex<State<D>>, error: &LookupError) {
    let why = error.to_string();
    let mut state = lock(state);
    let is_news = !matches!(&*state, State::Starting(Some(before)) if *before == why);
    *state = State::Starting(Some(why));
    drop(state);
    if is_news {
        warn!(
            target: TARGET,
            cause = %Chain(error),
            "the node has not joined its fleet yet, and serves no session until it has"
        );
    }
}
