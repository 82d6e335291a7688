//! How much memory the sessions in the cache may take.

use std::sync::atomic::{AtomicBool, Ordering};

use quick_cache::{Weighter, sync::Cache as Table};
use tracing::warn;

use super::known::Entry;
use crate::{
    Session,
    session::{Facts, SessionKey},
};

/// A session that takes more than this part of the budget is not kept: it would evict hundreds of
/// others, and no shard of a table with many of them has room for it.
const LARGEST_SHARE: usize = 512;
/// Where the budget is small, sessions with an address and a few attributes are kept all the same.
const SMALL_BYTES: usize = 1_024;

/// How many bytes the attributes and addresses of all entries may take, beside the number of entries,
/// which bounds all that is of the same size in each.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    has_warned: AtomicBool,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            has_warned: AtomicBool::new(false),
        }
    }

    /// A table for `sessions` entries at most, which stay within the budget.
    pub(super) fn table(&self, sessions: usize) -> Table<SessionKey, Entry, Weight> {
        // The table reserves a part of its weight, so it has no room for one entry of all of it.
        let sessions = sessions.max(2);
        let share = (self.bytes / sessions).max(1);
        // Shares divide the weight evenly, so that exactly so many entries fit.
        let weight = share.saturating_mul(sessions);
        Table::with_weighter(sessions, weight as u64, Weight { share })
    }

    /// Whether a session is small enough to be kept.
    pub(super) fn has_room(&self, facts: &Facts) -> bool {
        facts.heap_bytes() <= self.largest()
    }

    /// Says once that sessions are too large to be kept: nothing else shows why each request for one
    /// asks the directory.
    pub(super) fn check(&self, session: &Session) {
        let bytes = session.heap_bytes();
        if bytes > self.largest() && !self.has_warned.swap(true, Ordering::Relaxed) {
            warn!(
                target: "tower_ownership::layer",
                session_id = %session.id().short(),
                bytes,
                largest = self.largest(),
                "the attributes of a session are too large to be cached, so each request for it \
                 reads it again: read fewer columns, or raise CachePolicy::max_attribute_bytes"
            );
        }
    }

    fn largest(&self) -> usize {
        (self.bytes / LARGEST_SHARE).max(SMALL_BYTES)
    }
}

/// Weighs entries so that one capacity bounds their number and their bytes.
///
/// An entry weighs what its attributes, its address, and an id that is no UUID take, and at least its share of the budget if
/// all entries were alike. As long as entries take no more than their shares, their number decides.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    share: usize,
}

impl Weighter<SessionKey, Entry> for Weight {
    fn weight(&self, key: &SessionKey, entry: &Entry) -> u64 {
        let bytes = key.heap_bytes() + entry.facts.heap_bytes();
        bytes.max(self.share) as u64
    }
}
