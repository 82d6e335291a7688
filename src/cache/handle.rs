//! What the outside may do with a layer's cache.

use std::sync::Arc;

use super::Cache;
use crate::SessionId;

/// Makes a layer forget what it knows of sessions.
///
/// For whoever learns of a change before the freshness runs out: a push from the directory, or an
/// orchestrator in the same process. A lookup that is under way when a session is forgotten comes
/// back to those who wait for it, and is not kept.
#[derive(Clone, Debug)]
pub struct CacheHandle(Arc<Cache>);

impl CacheHandle {
    pub(crate) fn new(cache: &Arc<Cache>) -> Self {
        Self(Arc::clone(cache))
    }

    /// Forgets one session, also that it was unknown.
    pub fn forget(&self, session: SessionId) {
        self.0.invalidate(session);
    }

    /// Forgets every session.
    pub fn forget_all(&self) {
        self.0.invalidate_all();
    }

    /// How many sessions are known now, with those whose freshness has run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.known.len()
    }

    /// Whether no session is known now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
