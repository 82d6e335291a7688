//! Requests that pass at once.

use tracing::Level;

use super::Policy;
use crate::{CacheStatus, Head, RequestOrigin, Verdict, cache::Hit, decision, ownership::Grant};

impl Policy {
    /// Whether the request passes by what the cache and the node say, and its verdict has no listener:
    /// what most requests come to. All others go the long way, which gathers all reasons.
    #[inline]
    pub(crate) fn passes_at_once(&self, head: &Head<'_>, hit: &Hit) -> bool {
        let (node, session) = (&self.sessions.node, &hit.session);
        let lease = node.lease(session, hit.asked_at, CacheStatus::Hit);
        let passes = decision::serves(session, hit.age, &self.machine, node.state(), lease)
            && !self.has_listener(Level::DEBUG)
            // A replay casts doubt on what is cached.
            && self.replay.origin(head) == RequestOrigin::Direct
            // A guard is the application's, and may take longer than the read can be relied on.
            && self.guard.as_ref().is_none_or(|guard| {
                guard(head, session) && node.still_serves(hit.asked_at)
            });
        if passes {
            self.note_pass(hit);
        }
        passes
    }

    #[inline]
    fn note_pass(&self, hit: &Hit) {
        if hit.ageing {
            self.sessions.cache.refresh(hit.session.id());
        }
        if let (Some(sliding), Some(registrar)) = (&self.sliding, &self.births.registrar) {
            sliding.passed(&self.sessions, registrar, &hit.session, hit.age);
        }
        let hit = Some(CacheStatus::Hit);
        self.meter
            .reached(Verdict::Pass, hit, &RequestOrigin::Direct);
    }
}

impl From<Hit> for Grant {
    fn from(hit: Hit) -> Self {
        Self {
            session: hit.session,
            read_at: hit.asked_at,
            cache_status: CacheStatus::Hit,
        }
    }
}
