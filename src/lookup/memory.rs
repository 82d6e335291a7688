//! A directory in this process's memory.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use futures_util::FutureExt;

use crate::{
    LookupError, MachineId, Node, NodeState, Presence, Refresh, Session, SessionDirectory,
    SessionId, SessionLookup, ownership::previous_owner_may_serve,
};

/// Sessions in memory, for development, demos and tests.
///
/// Clones share their sessions, so a test or an orchestrator in the same process can keep one and
/// change who owns what. It lives and dies with the process and knows of no other one: it is no
/// directory for a fleet.
///
/// It keeps presence as soon as a machine [beats](Self::beat), and epochs as soon as a session is
/// claimed or inserted with one. Until then its sessions have none, and promise what a table
/// without them does.
#[derive(Clone, Debug, Default)]
pub struct MemoryLookup(Arc<RwLock<Memory>>);

#[derive(Debug)]
struct Memory {
    sessions: HashMap<SessionId, Session>,
    /// When each was last heard of; `None` after it has left.
    machines: HashMap<MachineId, Option<Instant>>,
    lost_after: Duration,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            machines: HashMap::new(),
            lost_after: MemoryLookup::DEFAULT_LOST_AFTER,
        }
    }
}

impl MemoryLookup {
    /// After what silence a machine is lost, unless [said otherwise](Self::lost_after).
    pub const DEFAULT_LOST_AFTER: Duration = Duration::from_secs(15);

    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a machine that beats for lost after this silence, for all clones.
    #[must_use]
    pub fn lost_after(self, silence: Duration) -> Self {
        self.write().lost_after = silence;
        self
    }

    /// Writes a session, in place of what was known of it.
    pub fn insert(&self, session: Session) {
        self.write().sessions.insert(session.id(), session);
    }

    /// Forgets a session; says what was known of it.
    #[allow(
        clippy::must_use_candidate,
        reason = "what it does matters more than what it says"
    )]
    pub fn remove(&self, id: SessionId) -> Option<Session> {
        self.write().sessions.remove(&id)
    }

    /// Forgets every session, and every machine that ever beat.
    pub fn clear(&self) {
        let mut memory = self.write();
        memory.sessions.clear();
        memory.machines.clear();
    }

    /// What is known of a session.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<Session> {
        self.read().session(id)
    }

    /// A machine says that it is there.
    pub fn beat(&self, machine: &MachineId) {
        let now = Some(Instant::now());
        self.write().machines.insert(machine.clone(), now);
    }

    /// A machine says that it goes. From now on it is lost.
    pub fn leave(&self, machine: &MachineId) {
        self.write().machines.insert(machine.clone(), None);
    }

    /// A machine gives all of its sessions up, and serves none from now on; returns which. The next
    /// owner of one need not wait, unless this machine still did.
    #[allow(
        clippy::must_use_candidate,
        reason = "what it does matters more than what it says"
    )]
    pub fn drain(&self, node: &Node) -> Vec<SessionId> {
        node.advance(NodeState::Draining);
        let waited = node.waited_out();
        let mut memory = self.write();
        let mut released = Vec::new();
        for session in memory.sessions.values_mut() {
            if session.owner() != Some(node.machine()) {
                continue;
            }
            let (id, epoch) = (session.id(), session.epoch().unwrap_or(1));
            let free = session.clone().without_owner().with_epoch(epoch + 1);
            let had_to_wait = previous_owner_may_serve(epoch, session.released());
            let proven = !had_to_wait || waited.contains(&(id, epoch));
            *session = if proven {
                free.with_released(epoch + 1)
            } else {
                free
            };
            released.push(id);
        }
        released
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn session(&self, id: SessionId) -> Option<Session> {
        let session = self.sessions.get(&id)?.clone();
        // What was inserted with a presence keeps it.
        if session.presence() != Presence::Unknown {
            return Some(session);
        }
        let presence = session
            .owner()
            .map_or(Presence::Unknown, |o| self.presence(o));
        Some(session.with_presence(presence))
    }

    fn presence(&self, owner: &MachineId) -> Presence {
        match self.machines.get(owner) {
            None if self.machines.is_empty() => Presence::Unknown,
            None => Presence::NeverSeen,
            Some(Some(beat)) if beat.elapsed() < self.lost_after => Presence::Alive,
            Some(_) => Presence::Lost,
        }
    }
}

impl SessionDirectory for MemoryLookup {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Session>, LookupError> {
        let mut memory = self.write();
        let Some(now) = memory.session(seen.id()) else {
            return Ok(None);
        };
        let unchanged = now.owner() == seen.owner() && now.epoch() == seen.epoch();
        let free = now.is_unassigned() || now.presence() == Presence::Lost;
        if unchanged && free && !now.is_over(Duration::ZERO) {
            // Born without an owner is epoch 0, and born with one is 1.
            let born = u64::from(now.owner().is_some());
            let epoch = now.epoch().unwrap_or(born) + 1;
            let claimed = now
                .with_owner(machine)
                .with_epoch(epoch)
                .with_presence(Presence::Unknown);
            memory.sessions.insert(claimed.id(), claimed);
        }
        Ok(memory.session(seen.id()))
    }
}

impl SessionLookup for MemoryLookup {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        Ok(self.get(id))
    }

    fn spawn(&self, refresh: Refresh) {
        // It waits for nothing.
        let _ = refresh.now_or_never();
    }
}
