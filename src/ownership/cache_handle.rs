//! What an application may do with a layer's cache.

use std::sync::Arc;

use super::sessions::Sessions;
use crate::{MachineId, SessionId};

/// Makes a layer forget what it knows of sessions.
///
/// For code that learns of a change before the freshness runs out: a push from the directory, or an
/// orchestrator in the same process. A lookup that is under way when a session is forgotten comes
/// back to the requests that wait for it, and is not kept.
#[derive(Clone, Debug)]
pub struct CacheHandle(Arc<Sessions>);

impl CacheHandle {
    pub(crate) fn new(sessions: &Arc<Sessions>) -> Self {
        Self(Arc::clone(sessions))
    }

    /// Forgets one session, also that it was unknown.
    pub fn forget(&self, session: &SessionId) {
        self.0.forget(session);
    }

    /// Forgets every session.
    pub fn forget_all(&self) {
        self.0.forget_all();
    }

    /// How many sessions are known now, with those whose freshness has run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.cache.len()
    }

    /// Whether no session is known now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The machine whose layer it is.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        self.0.node.machine()
    }
}
