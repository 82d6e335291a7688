//! A directory in this process's memory.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures_util::FutureExt;

use crate::{
    LookupError, MachineId, Presence, Refresh, Session, SessionDirectory, SessionId, SessionLookup,
};

/// Sessions in memory, for development, demos and tests.
///
/// Clones share their sessions, so a test or an orchestrator in the same process can keep one and
/// change who owns what. It lives and dies with the process and knows of no other one: it is no
/// directory for a fleet. Who owns a session, and whether that machine is lost, is what was inserted
/// last, or [claimed](SessionDirectory::claim) since.
#[derive(Clone, Debug, Default)]
pub struct MemoryLookup(Arc<RwLock<HashMap<SessionId, Session>>>);

impl MemoryLookup {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a session, in place of what was known of it.
    pub fn insert(&self, session: Session) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.id(), session);
    }

    /// Forgets a session; says what was known of it.
    pub fn remove(&self, id: SessionId) -> Option<Session> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
    }

    /// What is known of a session.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<Session> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }
}

impl SessionDirectory for MemoryLookup {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Session>, LookupError> {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = sessions.get_mut(&seen.id()) else {
            return Ok(None);
        };
        let unchanged = now.owner() == seen.owner() && now.epoch() == seen.epoch();
        let free = now.is_unassigned() || now.presence() == Presence::Lost;
        if unchanged && free && !now.is_over(Duration::ZERO) {
            // Born without an owner is epoch 0, and born with one is 1.
            let born = u64::from(now.owner().is_some());
            let epoch = now.epoch().unwrap_or(born) + 1;
            *now = now
                .clone()
                .with_owner(machine)
                .with_epoch(epoch)
                .with_presence(Presence::Alive);
        }
        Ok(Some(now.clone()))
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
