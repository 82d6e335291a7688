//! How a heartbeat is configured, and its start.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};
use tracing::warn;

use super::{
    Heartbeat, HeartbeatError, Member,
    give_up::end_before,
    liveness::{Input, Liveness},
    status::{Status, TARGET},
    task::Task,
};
use crate::{HealthCheck, MachineInfo, Membership, Node, Process, Registration, observe::Chain};

/// Makes a [`Heartbeat`]. Everything is checked in [`start`](Self::start).
#[derive(Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct HeartbeatBuilder<D> {
    directory: D,
    info: MachineInfo,
    interval: Duration,
    timeout: Duration,
    counts_sessions_every: Option<Duration>,
    inputs: Vec<Input>,
    patience: Option<Duration>,
    checks_triggers_every: Duration,
}

impl<D: Membership> HeartbeatBuilder<D> {
    /// A heartbeat in this directory.
    pub fn new(directory: D) -> Self {
        Self {
            directory,
            info: MachineInfo::default(),
            interval: Duration::from_secs(3),
            timeout: Duration::from_secs(1),
            counts_sessions_every: None,
            inputs: Vec::new(),
            patience: None,
            checks_triggers_every: Duration::from_secs(30),
        }
    }

    /// The application that the machine runs, for people who read the table. Default: none.
    pub fn app(mut self, app: impl Into<String>) -> Self {
        self.info.app = Some(app.into());
        self
    }

    /// Where the machine is, for people who read the table. Default: none.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.info.region = Some(region.into());
        self
    }

    /// Where a client or another machine can reach the machine. Default: none. It is the
    /// [`owner_address`](crate::Session::owner_address) of its sessions. A session that this machine claims or
    /// is assigned also gets it as its [`address`](crate::Session::address); without one the session keeps what
    /// it has, which is where its owner before could be reached, so [redirects](crate::Redirect) need it.
    pub fn address(mut self, address: &crate::Address) -> Self {
        self.info.address = Some(address.to_string());
        self
    }

    /// The version of the application, for people who read the table. Default: none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.info.version = Some(version.into());
        self
    }

    /// How often it says that the machine is alive. Default: 3 s. At most a quarter of
    /// [`lost_after`](Membership::lost_after): a machine whose beats are further
    /// apart than half of it does not count as heard without a gap, and one beat may fail.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long a beat may take. Default: 1 s; over a connection of its own. No longer than
    /// the silence after which the machine is lost.
    pub fn timeout(mut self, bound: Duration) -> Self {
        self.timeout = bound;
        self
    }

    /// Counts the active sessions of this machine so often, after a beat, for the metric
    /// `tower_ownership_owned_sessions` (feature `metrics`). Default: never, since a beat touches no
    /// session. A count reads the machine's part of the index of owners, within the
    /// [time](Self::timeout) of a beat.
    pub fn count_sessions_every(mut self, interval: Duration) -> Self {
        self.counts_sessions_every = Some(interval);
        self
    }

    /// Beats only while something listens on this address, at which the machine serves: a machine
    /// that beats and serves nothing keeps its sessions, and no other one takes them over. Opens a
    /// connection and closes it, once for each beat. Refused connections are what counts; one that
    /// takes long is no evidence, since that may be full processors.
    pub fn serves_at(mut self, address: SocketAddr) -> Self {
        self.inputs.push(Input::Port(address));
        self
    }

    /// Beats only while the check is well; see [`serves_at`](Self::serves_at). The check has to be
    /// coarse: if it depends on the database, or fails under load, healthy machines lose their
    /// sessions.
    pub fn beats_while(mut self, check: impl HealthCheck) -> Self {
        self.inputs.push(Input::Check(Arc::new(check)));
        self
    }

    /// For how long what the beats depend on has to fail, without interruption, before they stop.
    /// Default: a third of [`lost_after`](Membership::lost_after), and no longer
    /// than that. Others may take over when the machine is lost, `lost_after` later.
    pub fn stops_after(mut self, failing_for: Duration) -> Self {
        self.patience = Some(failing_for);
        self
    }

    /// How often it looks, after a heartbeat, whether the triggers that raise epochs are there and
    /// enabled. Default: 30 s. Reads the catalog only, within the [time](Self::timeout) of a heartbeat.
    /// What is missing shows in [`health`](Heartbeat::health), in the metric
    /// `tower_ownership_triggers_missing`, and as an event of level ERROR.
    pub fn check_triggers_every(mut self, interval: Duration) -> Self {
        self.checks_triggers_every = interval;
        self
    }

    /// Registers the machine of a layer's [node](crate::OwnershipLayer::node), and begins to beat. It
    /// has left no more, and does not drain. The first machine of a fleet also writes
    /// down for how long it may rely on what it read, and no machine with another freshness of
    /// owned sessions starts after that.
    ///
    /// Where sessions are [volatile](crate::OwnershipLayerBuilder::volatile), it then ends those that the
    /// directory still holds for the machine, which were in the memory of a process before.
    ///
    /// Takes at most twice as long as a lookup, and up to 10 s more if there are sessions to end, in a
    /// tokio runtime with its clock and its network enabled. [`is_final`](HeartbeatError::is_final) tells whether trying again can help; do not
    /// serve before it succeeds.
    pub async fn start(self, node: &Node) -> Result<Heartbeat<D>, HeartbeatError> {
        let machine = node.machine().clone();
        // Boxed, since it is large, and callers hold it in futures of their own.
        let started = Box::pin(self.attempt(node)).await;
        let failure = started.as_ref().err();
        let failure = failure.map(|error| Chain(error).to_string());
        // A process tries again until it works, several times a second.
        if node.attempted(failure.clone())
            && let Some(error) = failure
        {
            let machine = machine.as_str();
            warn!(target: TARGET, machine, cause = error, "this machine cannot be registered");
        }
        started
    }

    async fn attempt(self, node: &Node) -> Result<Heartbeat<D>, HeartbeatError> {
        for (what, bound) in [("interval", self.interval), ("timeout", self.timeout)] {
            if bound.is_zero() {
                return Err(HeartbeatError::Zero { what });
            }
        }
        let lost_after = self.directory.lost_after();
        if self.interval > lost_after / 4 {
            return Err(HeartbeatError::TooSeldom {
                interval: self.interval,
                lost_after,
            });
        }
        if node.serves_stale_owned() {
            return Err(HeartbeatError::ServesStaleOwned);
        }
        let runtime = Handle::try_current().map_err(|_| HeartbeatError::NoRuntime)?;
        let machine = node.machine().clone();
        let me = Process::new(machine.clone(), node.attempt());
        let (directory, ours) = (self.directory, node.lease_ttl());
        let fleet = directory.agree_ttl(ours).await?;
        if ours != fleet {
            return Err(HeartbeatError::FreshnessDiffers { ours, fleet });
        }
        let registration = directory.register(&me, &self.info).await?;
        if registration == Registration::Removed {
            return Err(HeartbeatError::DeclaredGone { machine });
        }
        // A machine that was never registered held no session in memory; one that was written for it before
        // it starts is served. And a process that registers again must not end what it holds itself, so
        // it waits, as a successor does whose sessions are not volatile.
        let ends_before = node.is_volatile() && node.boot_id().is_none();
        if ends_before && registration != Registration::First {
            end_before(&directory, node, &me).await?;
        }
        // What the process before could still be serving has ended with `end_before`, and it reads nothing
        // that was created since without learning of this process.
        let took_over = registration == Registration::TookOver && !ends_before;
        node.registered_as(me.boot_id);
        if !directory.joined(node) {
            return Err(HeartbeatError::TooMany);
        }
        let address = self.info.address.as_ref().map(ToString::to_string);
        let status = Arc::new(Status::new(me.clone(), address, lost_after / 2));
        let member = Arc::new(Member {
            directory,
            node: node.clone(),
            me,
            info: Mutex::new(self.info),
        });
        let (stop, stopped) = oneshot::channel();
        let patience = self.patience.unwrap_or(lost_after / 3).min(lost_after);
        let task = Task {
            member: Arc::clone(&member),
            liveness: Liveness::new(self.inputs, self.interval, patience),
            status: Arc::clone(&status),
            interval: self.interval,
            timeout: self.timeout.min(lost_after),
            counts_sessions_every: self.counts_sessions_every,
            checks_triggers_every: self.checks_triggers_every,
        };
        if took_over {
            node.joined_after_takeover();
        } else {
            node.joined();
        }
        Ok(Heartbeat {
            member,
            status,
            counts_sessions: self.counts_sessions_every.is_some(),
            stop,
            task: runtime.spawn(task.run(stopped)),
        })
    }
}

impl<D: fmt::Debug> fmt::Debug for HeartbeatBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatBuilder")
            .field("directory", &self.directory)
            .field("info", &self.info)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("counts_sessions_every", &self.counts_sessions_every)
            .field("checks_triggers_every", &self.checks_triggers_every)
            .field("inputs", &self.inputs)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
