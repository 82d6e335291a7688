//! The machines of a fleet, as a directory keeps them.

use std::{future::Future, time::Duration};

use uuid::Uuid;

use crate::{LookupError, MachineId, Node, SessionId};

/// One life of a machine: after a restart it is another process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Process {
    /// The machine.
    pub machine: MachineId,
    /// Tells this process from the others of the machine.
    pub boot_id: Uuid,
}

impl Process {
    /// A process of `machine`.
    #[must_use]
    pub fn new(machine: MachineId, boot_id: Uuid) -> Self {
        Self { machine, boot_id }
    }
}

/// What a machine tells of itself, for people who read the directory and for clients that are
/// redirected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineInfo {
    /// The application that the machine runs.
    pub app: Option<String>,
    /// Where the machine is.
    pub region: Option<String>,
    /// Where a client or another machine can reach it: a URL that [`Address`](crate::Address) reads.
    pub address: Option<String>,
    /// The version of the application.
    pub version: Option<String>,
    /// Whether it is giving its sessions up.
    pub draining: bool,
}

/// How a machine was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// The directory did not know the machine.
    First,
    /// The machine was registered before, by a process that has left or by this one. No other process of it
    /// can be running.
    Again,
    /// The machine was registered by another process that has not left, or by one after such a
    /// process: it may be running.
    TookOver,
    /// An operator declared the machine gone. It is not registered.
    Removed,
}

/// What a heartbeat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Beat {
    /// The machine is registered by this process, and alive.
    Alive {
        /// A number that changes whenever a process that was there before shows that it still is.
        rival: Option<i64>,
    },
    /// The machine was not registered any more, and this process has registered it again. Another
    /// process may be running.
    Restored,
    /// Another process registered the machine since. That one learns of this one by its next
    /// heartbeat.
    Superseded {
        /// The [boot id](Process::boot_id) of the other process.
        by: Uuid,
    },
    /// An operator declared the machine gone.
    Removed,
}

/// A session that was given up, and has no owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Released {
    /// Which session.
    pub session: SessionId,
    /// Its epoch now.
    pub epoch: u64,
    /// Whether the directory proves that its owner had stopped and no owner before it may still be
    /// serving, so that the next owner need not wait.
    pub proven: bool,
}

impl Released {
    /// A session that was given up.
    #[must_use]
    pub fn new(session: SessionId, epoch: u64, proven: bool) -> Self {
        Self {
            session,
            epoch,
            proven,
        }
    }
}

/// A directory that keeps the machines of a fleet, and tells by its own clock which of them are
/// alive.
///
/// [`Heartbeat`](crate::Heartbeat) is what calls it.
///
/// # Contract
/// - A machine is one row, of the process that registered it last. What another process of the machine
///   writes changes nothing but for its rival.
/// - A machine is lost if it was silent for [`lost_after`](Self::lost_after) while another one was
///   heard without a gap of half of that. Machines that are all silent are not lost: then the
///   directory was away.
/// - A session that is read comes with the [address](MachineInfo::address) of its owner's row, as
///   [`owner_address`](crate::Session::with_owner_address).
/// - Every write may be made twice, and may land after its future was dropped.
/// - `within` bounds the wait. The caller gives up after it; a directory that can should end the write
///   on its side, too.
pub trait Membership: Send + Sync + 'static {
    /// How long a machine may be silent before it is lost.
    fn lost_after(&self) -> Duration;

    /// The lease TTL of the fleet, which is `ours` if no machine wrote one before.
    fn agree_ttl(
        &self,
        ours: Duration,
    ) -> impl Future<Output = Result<Duration, LookupError>> + Send;

    /// Makes the machine this process's. It does not drain, and has not left.
    fn register(
        &self,
        me: &Process,
        info: &MachineInfo,
    ) -> impl Future<Output = Result<Registration, LookupError>> + Send;

    /// Notes that this process is alive; registers the machine again if it is not registered.
    fn beat(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> impl Future<Output = Result<Beat, LookupError>> + Send;

    /// Notes that the machine gives its sessions up: no session is assigned to it any more. Otherwise
    /// the same as a beat.
    fn set_draining(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> impl Future<Output = Result<Beat, LookupError>> + Send;

    /// Notes that this process ends. `clean`: no process of the machine can be serving any more, so
    /// that the next one [takes nothing over](Registration::Again).
    fn leave(
        &self,
        me: &Process,
        clean: bool,
        within: Duration,
    ) -> impl Future<Output = Result<(), LookupError>> + Send;

    /// Gives up the session, unless it is at a later epoch than `last`, at which it was given to this
    /// machine again. `None`: this machine does not own it.
    ///
    /// [`Node::begin_release`] comes before the write, and the release is confirmed after it.
    fn release(
        &self,
        node: &Node,
        session: &SessionId,
        last: u64,
    ) -> impl Future<Output = Result<Option<Released>, LookupError>> + Send;

    /// Gives up all active sessions of the machine that no other writer has locked, and adds each to
    /// `released` once it is written. Returns whether some were left. The node
    /// [drains](crate::NodeState::Draining) already.
    fn release_all(
        &self,
        node: &Node,
        within: Duration,
        released: &mut Vec<Released>,
    ) -> impl Future<Output = Result<bool, LookupError>> + Send;

    /// The sessions of the machine that are active or starting, with their epochs; not necessarily all
    /// of them at once.
    fn held(
        &self,
        me: &MachineId,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<(SessionId, u64)>, LookupError>> + Send;

    /// Ends those of `sessions` that the machine owns at these epochs, and adds each to `ended` once it
    /// is written. Returns those that are as they were: another writer has locked them.
    ///
    /// An error if another process registered the machine: the sessions are that one's.
    fn end_held(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        within: Duration,
        ended: &mut Vec<(SessionId, u64)>,
    ) -> impl Future<Output = Result<Vec<(SessionId, u64)>, LookupError>> + Send;

    /// How many active sessions the machine owns.
    fn owned(
        &self,
        me: &MachineId,
        within: Duration,
    ) -> impl Future<Output = Result<usize, LookupError>> + Send;

    /// Whether the machine owns no active session.
    fn owns_nothing(
        &self,
        me: &MachineId,
        within: Duration,
    ) -> impl Future<Output = Result<bool, LookupError>> + Send {
        async move { Ok(self.owned(me, within).await? == 0) }
    }

    /// What is missing of the directory's own means to keep epochs, such as triggers. While something
    /// is, a session whose owner changes is served by no machine.
    fn missing(
        &self,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<String>, LookupError>> + Send {
        let _ = within;
        std::future::ready(Ok(Vec::new()))
    }

    /// The node was registered. Returns whether there was room to note that.
    fn joined(&self, node: &Node) -> bool {
        let _ = node;
        true
    }

    /// The node has left.
    fn left(&self, node: &Node) {
        let _ = node;
    }
}
