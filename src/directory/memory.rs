//! A directory in this process's memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use futures_util::FutureExt;

use super::nodes::Nodes;
use crate::{
    LookupError, MachineId, Node, OwnerStatus, Refresh, Session, SessionId, SessionIds,
    SessionLookup, SessionStatus,
};

mod directory;
#[cfg(feature = "membership")]
mod feed;
mod fleet;
#[cfg(feature = "membership")]
mod held;
#[cfg(feature = "membership")]
mod membership;
mod stored;

#[cfg(feature = "membership")]
pub use feed::MemoryChanges;
use fleet::Fleet;
use stored::Stored;

/// A directory in memory, for development, demos, tests and simulations.
///
/// It does all that a directory does, and lives and dies with its process, so it is none for a real
/// fleet. Clones share everything; [`another_process`](Self::another_process) shares the sessions and
/// machines, and is what another process of a simulated fleet has.
///
/// It keeps epochs as soon as a session is claimed or inserted with one, and machines as soon as one
/// is registered. Until then its sessions promise what a table without them does.
#[derive(Clone, Default)]
pub struct MemoryDirectory {
    memory: Arc<RwLock<Memory>>,
    nodes: Arc<Nodes>,
    ids: SessionIds,
}

#[derive(Default)]
struct Memory {
    sessions: HashMap<SessionId, Stored>,
    fleet: Fleet,
    #[cfg(feature = "membership")]
    changes: feed::Sender,
}

impl Memory {
    /// Tells every feed that this session changed; `None`: any may have.
    #[cfg_attr(
        not(feature = "membership"),
        allow(clippy::unused_self, reason = "without the feature there is no feed")
    )]
    fn changed(&self, session: Option<&SessionId>) {
        #[cfg(feature = "membership")]
        self.changes.tell(session);
        let _ = session;
    }
}

impl MemoryDirectory {
    /// After what silence a machine is lost by default.
    pub const DEFAULT_LOST_AFTER: Duration = Duration::from_secs(15);

    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a machine lost after this silence, for all who share the directory.
    #[must_use]
    pub fn with_lost_after(self, silence: Duration) -> Self {
        self.write().fleet.lost_after = silence;
        self
    }

    /// Takes the time from `now` instead of the system's monotonic clock: how long ago a moment of
    /// the caller's choice was. It must not go backwards.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.write().fleet.clock = Box::new(now);
        self
    }

    /// The same directory for another process of a simulated fleet.
    #[must_use]
    pub fn another_process(&self) -> Self {
        Self {
            memory: Arc::clone(&self.memory),
            nodes: Arc::default(),
            ids: self.ids,
        }
    }

    /// Limits which ids its sessions can have; any text by default. What is inserted is not checked.
    #[must_use]
    pub fn for_ids(mut self, ids: SessionIds) -> Self {
        self.ids = ids;
        self
    }

    /// Writes a session, in place of what was known of it. What it has to live counts from now on.
    pub fn insert(&self, session: Session) {
        let (mut memory, id) = (self.write(), session.id().clone());
        let stored = Stored::new(session, memory.fleet.now());
        memory.changed(Some(&id));
        memory.sessions.insert(id, stored);
    }

    /// Adds an active session, as an orchestrator does: at epoch 0 without an owner, and at 1 with one.
    pub fn add(&self, id: &SessionId, owner: Option<MachineId>) {
        let session = Session::new(id.clone(), SessionStatus::Active);
        self.insert(match owner {
            Some(owner) => session.with_owner(owner).with_epoch(1),
            None => session.with_epoch(0),
        });
    }

    /// Gives the session to `owner`, or to no machine, and raises its epoch if that is a change: what
    /// an orchestrator does. Returns whether there is such a session.
    #[allow(
        clippy::must_use_candidate,
        reason = "the effect matters more than the answer"
    )]
    pub fn assign(&self, id: &SessionId, owner: Option<MachineId>) -> bool {
        let mut memory = self.write();
        let Some(stored) = memory.sessions.get_mut(id) else {
            return false;
        };
        let session = &mut stored.session;
        if session.owner() != owner.as_ref() {
            let epoch = epoch_of(session) + 1;
            let moved = session.clone().without_owner().with_epoch(epoch);
            *session = match owner {
                Some(owner) => moved.with_owner(owner),
                None => moved,
            };
            memory.changed(Some(id));
        }
        true
    }

    /// Forgets a session, and returns what was known of it. One that is added later under the same id
    /// begins at its first epoch.
    #[allow(
        clippy::must_use_candidate,
        reason = "the effect matters more than the answer"
    )]
    pub fn remove(&self, id: &SessionId) -> Option<Session> {
        let mut memory = self.write();
        memory.changed(Some(id));
        let now = memory.fleet.now();
        memory.sessions.remove(id).map(|stored| stored.read(now))
    }

    /// Forgets every session and every machine.
    pub fn clear(&self) {
        let mut memory = self.write();
        memory.sessions.clear();
        memory.fleet.clear();
        memory.changed(None);
    }

    /// What is known of a session.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<Session> {
        let memory = self.read();
        let mut session = memory.sessions.get(id)?.read(memory.fleet.now());
        let address = session.owner();
        if let Some(address) = address.and_then(|owner| memory.fleet.address_of(owner)) {
            session = session.with_owner_address(address);
        }
        // What was inserted with a status of its owner keeps it.
        let (OwnerStatus::Unknown, Some(owner)) = (session.owner_status(), session.owner()) else {
            return Some(session);
        };
        let (status, boot_id) = memory.fleet.status_of(owner);
        let told_apart = self.nodes.tell_apart(owner.as_str(), boot_id);
        Some(session.with_owner_status(told_apart.unwrap_or(status)))
    }

    /// An operator declares the machine gone: it is lost, and its processes stop serving.
    pub fn declare_gone(&self, machine: &MachineId) {
        self.write().fleet.declare_gone(machine);
    }

    /// Forgets a machine, as if it had never been registered.
    pub fn forget_machine(&self, machine: &MachineId) {
        self.write().fleet.forget(machine);
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that is born without an owner is at epoch 0, and one that is born with an owner at 1.
fn epoch_of(session: &Session) -> u64 {
    let born = u64::from(session.owner().is_some());
    session.epoch().unwrap_or(born)
}

impl SessionLookup for MemoryDirectory {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        Ok(self.get(&id))
    }

    fn session_ids(&self) -> SessionIds {
        self.ids
    }

    fn spawn(&self, refresh: Refresh) {
        // It waits for nothing.
        let _ = refresh.now_or_never();
    }

    fn node(&self, new: &Node) -> Node {
        self.nodes.node(new)
    }
}

impl fmt::Debug for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDirectory")
            .field("sessions", &self.read().sessions.len())
            .finish_non_exhaustive()
    }
}
