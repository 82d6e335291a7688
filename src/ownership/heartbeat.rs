//! Keeping a machine alive.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::events;
use crate::{
    Beat, LookupError, MachineInfo, Membership, Node, NodeState, Process, Released, SessionId,
    health::{Check, HealthCheck},
    meter,
};

mod builder;
mod error;
mod give_up;
mod health;
mod liveness;
mod status;
mod task;

pub use builder::HeartbeatBuilder;
pub use error::HeartbeatError;
pub use health::{HeartbeatHealth, HeartbeatState};

use status::{Checked, Status};

/// Writes every few seconds, into the directory, that a machine is alive.
///
/// Lookups of the whole fleet then know whether a session's owner is alive, draining, or lost, by the
/// directory's clock alone. A heartbeat is one small write of the machine's own row, and never touches
/// a session. [`PostgresDirectory::heartbeat`](crate::PostgresDirectory::heartbeat) begins one.
///
/// # Several layers
/// It covers every layer of the node that it is started with, also one that is built later. All of them join, drain and
/// stop together. A layer on another lookup has to be built for
/// [the same node](crate::OwnershipLayerBuilder::node).
///
/// # Two processes of one machine
/// Each process registers the machine with a boot id of its own. One whose beat finds another boot
/// id was there before that other, and [stops serving](NodeState::Fenced), for good; and it says
/// so in the row, so that the other process hears of it with its own next beat. Both say
/// `duplicate-identity`, with level ERROR, once a beat for as long as both are there. After a
/// restart the process before is no more, and nothing is said. So start one presence for a machine
/// id in a process (attempts that fail share a boot id), and start it before the server takes its first request.
///
/// What the older process reads with the lookup of this directory tells it, too, and no read counts
/// for it any more. A process whose predecessor has not [left](Self::leave) refuses its machine's
/// sessions with `session-moving` until that one can serve nothing any more, which is
/// one [TTL](Node::lease_ttl) from when it has registered.
///
/// # When the database cannot be reached
/// Beats that fail show in [`health`](Self::health), and as one event of level WARN. The next one
/// goes out when it is due: nothing is made up for. If the beats of another machine arrive
/// meanwhile, that one may claim this machine's sessions after
/// [`lost_after`](Membership::lost_after), and this one notices when it reads them
/// again. While no machine's beats arrive, no machine becomes lost.
///
/// # When the machine's row is missing
/// A row of a living machine that was deleted, or lost with a truncated table, comes back with the
/// next beat. Until then, what this process reads lets it serve none of its sessions, and after that
/// it waits like a successor: without the row, nothing tells this process from an older one that was
/// paused. Sessions of the machine are refused with `session-moving` for up to a beat and
/// one [TTL](Node::lease_ttl).
///
/// # An operator's word
/// A machine that was [declared gone](crate::PostgresDirectory::declare_gone) stops serving with its next
/// beat, for good.
///
/// # Ending it
/// The beats are one task on the runtime it was started on. Dropping this handle ends it, and after
/// a while the machine is lost, as if it had crashed; [`leave`](Self::leave) says at once that it
/// is away.
#[must_use = "the machine is lost soon after this is dropped"]
pub struct Heartbeat<D> {
    member: Arc<Member<D>>,
    status: Arc<Status>,
    counts_sessions: bool,
    /// Held for its drop, which ends the task.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What became of a [drain](Heartbeat::drain).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The sessions that were given up, with their epochs now.
    pub released: Vec<Released>,
    /// The sessions that were ended, with their last epochs: those of a machine whose sessions are
    /// [volatile](crate::OwnershipLayerBuilder::volatile), of which none is released.
    pub ended: Vec<(SessionId, u64)>,
    /// Whether the machine then owned no active session. If not, the time was not enough, sessions
    /// are still assigned to it, or the directory lets it release none of those that are left.
    pub is_empty: bool,
}

impl Drained {
    /// How many sessions were released or ended.
    fn given_up(&self) -> usize {
        self.released.len() + self.ended.len()
    }
}

/// How long to wait before what failed, or was not enough, is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(2);

impl<D: Membership> Heartbeat<D> {
    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> HeartbeatHealth {
        self.status.health()
    }

    /// The same as a check for the machine's [health](crate::health). It does not keep the presence
    /// running, and says that it has ended once it has.
    #[must_use]
    pub fn health_check(&self) -> impl HealthCheck + use<D> {
        Checked(Arc::clone(&self.status))
    }

    /// Under which this process registered the machine.
    #[must_use]
    pub fn boot_id(&self) -> Uuid {
        self.member.me.boot_id
    }

    /// Gives up all active sessions of this machine, and reports when it owns none, when it can
    /// release none of the rest, or when `limit` (cut to a day) has passed.
    ///
    /// First the node becomes [`Draining`](NodeState::Draining), for good: its layers serve and claim
    /// nothing any more. Then the machine's row says that it drains, so that it is given no
    /// more sessions. Then it gives up those that it has, some thousand with each statement, with
    /// the proof that it has stopped, so that their next owners need not wait. A session whose row
    /// another transaction has locked keeps back no other one: it is given up when the lock is gone.
    /// Where sessions are [volatile](crate::OwnershipLayerBuilder::volatile) they are ended instead, each only
    /// if the machine still owns it at the epoch at which it was listed.
    /// A session whose owner was changed without a new epoch cannot be released, and is not waited for.
    /// There is no proof for a session that this process was itself still waiting for, and none at
    /// all until one [TTL](Node::lease_ttl) after it has registered, if its predecessor had not
    /// [left](Self::leave). It goes on beating until it [leaves](Self::leave).
    ///
    /// # Errors
    /// Nothing was given up, as far as is known, within the limit; it may be called again. An
    /// error at once if another process registered this machine id: the sessions are that one's.
    pub async fn drain(&self, limit: Duration) -> Result<Drained, LookupError> {
        let drained = self.drain_within(limit).await;
        let machine = self.member.node.machine();
        match &drained {
            Ok(drained) => events::drained(machine, drained),
            Err(error) => events::not_drained(machine, error),
        }
        drained
    }

    async fn drain_within(&self, limit: Duration) -> Result<Drained, LookupError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let deadline = Instant::now() + limit.min(DAY);
        self.member.node.advance(NodeState::Draining);
        self.member.info().draining = true;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut drained = Drained {
            released: Vec::new(),
            ended: Vec::new(),
            is_empty: false,
        };
        let mut is_marked = false;
        let mut is_mine = true;
        let mut is_given_up = false;
        let mut idle = 0;
        loop {
            let step = async {
                if !is_marked {
                    match self.member.set_draining(left()).await? {
                        Beat::Restored => self.member.node.joined_after_takeover(),
                        Beat::Superseded { .. } => is_mine = false,
                        Beat::Alive { .. } | Beat::Removed => {}
                    }
                    is_marked = true;
                }
                let before = drained.given_up();
                let is_locked = self.member.give_up(left(), &mut drained).await?;
                let is_idle = !is_locked && drained.given_up() == before;
                idle = if is_idle { idle + 1 } else { 0 };
                is_given_up = true;
                drained.is_empty = self.member.has_given_up_all(left()).await?;
                if drained.is_empty && self.counts_sessions {
                    meter::owns(0);
                }
                Ok::<_, LookupError>(())
            };
            let step = in_time(left(), step).await;
            let is_late = Instant::now() + AGAIN >= deadline;
            match step {
                // One may have been assigned after the first release of all; the second one finds it.
                Ok(()) if drained.is_empty || is_late || idle > 1 => return Ok(drained),
                Err(_) if is_late && (is_given_up || drained.given_up() > 0) => {
                    return Ok(drained);
                }
                Err(error) if is_late || !is_mine => return Err(error),
                Ok(()) | Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// Says that the machine is away, and ends the beats. Takes at most 2 s.
    ///
    /// This node becomes [`Draining`](NodeState::Draining), since others may claim its sessions
    /// from now on. [Drain](Self::drain) before: what was not given up, its next owner has to wait
    /// for.
    ///
    /// # Errors
    /// It is not written that it is away, so it is lost a little later.
    pub async fn leave(self) -> Result<(), LookupError> {
        let Self {
            member,
            status: _,
            counts_sessions: _,
            stop,
            task,
        } = self;
        member.node.advance(NodeState::Draining);
        member.directory.left(&member.node);
        drop(stop);
        // It fails only if the runtime has ended the task before us.
        let _ = task.await;
        let is_alone = member.node.is_alone();
        let left = member.directory.leave(&member.me, is_alone, LEAVE);
        in_time(LEAVE, left).await
    }
}

impl<D: Membership> HealthCheck for Heartbeat<D> {
    fn check(&self) -> Check {
        Check::from(&self.health())
    }
}

impl<D> fmt::Debug for Heartbeat<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("process", &self.member.me)
            .field("health", &self.status)
            .finish_non_exhaustive()
    }
}

/// The node as a member of its fleet.
struct Member<D> {
    directory: D,
    node: Node,
    me: Process,
    info: Mutex<MachineInfo>,
}

impl<D: Membership> Member<D> {
    async fn beat(&self, within: Duration) -> Result<Beat, LookupError> {
        let info = self.info().clone();
        in_time(within, self.directory.beat(&self.me, &info, within)).await
    }

    async fn set_draining(&self, within: Duration) -> Result<Beat, LookupError> {
        let info = self.info().clone();
        in_time(within, self.directory.set_draining(&self.me, &info, within)).await
    }

    fn info(&self) -> std::sync::MutexGuard<'_, MachineInfo> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(
    within: Duration,
    write: impl Future<Output = Result<T, LookupError>>,
) -> Result<T, LookupError> {
    timeout(within, write)
        .await
        .unwrap_or_else(|_| Err(LookupError::timeout("the directory did not answer in time")))
}

#[cfg(test)]
mod tests;
