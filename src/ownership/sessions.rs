//! The sessions of one layer.

#[cfg(test)]
use std::time::Duration;
use std::{fmt, sync::Arc};

use super::{
    claims::Claims,
    lease::Lease,
    node::{Layer, Node},
};
#[cfg(test)]
use crate::{CachePolicy, clock::Clock, directory::lookup::DynLookup};
use crate::{
    Session, SessionId,
    cache::{Cache, CachePart, Found, Pending},
    directory::DynDirectory,
};

/// What one layer knows of sessions, and what its node allows it: the cache, the node, and the claims
/// under way.
pub(crate) struct Sessions {
    pub(crate) cache: Arc<Cache>,
    pub(crate) node: Node,
    claims: Arc<Claims>,
}

impl Sessions {
    /// The node has to be one that accepts the freshness of what is owned as its TTL.
    pub(crate) fn new(node: Node, part: CachePart, directory: Option<DynDirectory>) -> Arc<Self> {
        let serves_stale = part.freshness.stale_owned_if_error > 0;
        let on_read = Box::new(node.clone());
        let cache = Arc::new(Cache::new(
            node.machine().clone(),
            node.clock().clone(),
            part,
            on_read,
        ));
        let claims = Arc::new(Claims::new(Arc::clone(&cache), directory));
        let sessions = Arc::new(Self {
            cache,
            node,
            claims,
        });
        let layer = Arc::downgrade(&sessions);
        sessions.node.attach(layer, serves_stale);
        sessions
    }

    /// What the read allows this machine.
    pub(crate) fn lease(&self, found: &Found, session: &Session) -> Lease {
        self.node.lease(session, found.asked_at, found.cache_status)
    }

    /// Becomes the owner of a session that is as it was `seen`.
    pub(crate) fn claim(&self, seen: &Session) -> Pending {
        self.claims.claim(seen)
    }

    /// Ends a session whose owner was `seen` to be lost.
    pub(crate) fn end(&self, seen: &Session) -> Pending {
        self.claims.end(seen)
    }

    /// Forgets one session, also that it was unknown. What is under way is not kept.
    pub(crate) fn forget(&self, id: &SessionId) {
        self.claims.detach(id, || self.cache.invalidate(id));
        self.cache.notify(id);
    }

    pub(crate) fn forget_all(&self) {
        self.claims.detach_all(|| self.cache.invalidate_all());
        self.cache.notify_all();
    }
}

impl Layer for Sessions {
    fn forget(&self, id: &SessionId) {
        self.forget(id);
    }

    fn forget_all(&self) {
        self.forget_all();
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("node", &self.node)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Sessions {
    /// Those of machine `me`.
    pub(crate) fn for_test(
        lookup: DynLookup,
        directory: Option<DynDirectory>,
        timeout: Duration,
        freshness: CachePolicy,
        capacity: usize,
        clock: Clock,
    ) -> Arc<Self> {
        #[allow(clippy::unwrap_used, reason = "a test")]
        let node = Node::new("me".parse().unwrap(), capacity, clock);
        assert!(node.extend_ttl(freshness.owned));
        let part = CachePart {
            lookup,
            timeout,
            freshness,
            capacity,
        };
        Self::new(node, part, directory)
    }
}
