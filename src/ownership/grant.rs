//! A decision to serve, and what it rests on.

use std::sync::Arc;

use super::{Lease, Node, Owned, Sessions};
use crate::{CacheStatus, Session, clock::Tick};

/// A request may pass, by this read of its session.
///
/// Not [`Owned`], which shares the layer's sessions: to count that reference would have each request
/// write what all cores share, whether or not a handler takes it.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) session: Session,
    /// When the read was sent.
    pub(crate) read_at: Tick,
    pub(crate) cache_status: CacheStatus,
}

impl Grant {
    /// Whether the machine, which could serve when the read was judged, can for certain do so still.
    #[inline]
    pub(crate) fn still_serves(&self, node: &Node) -> bool {
        node.still_serves(self.read_at)
    }

    /// What the read allows the machine now.
    #[inline]
    pub(crate) fn lease(&self, node: &Node) -> Lease {
        node.lease(&self.session, self.read_at, self.cache_status)
    }

    /// What a handler learns of it.
    pub(crate) fn owned(self, sessions: &Arc<Sessions>) -> Owned {
        Owned::new(self, sessions)
    }
}
