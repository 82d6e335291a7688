//! Whether sessions are found in requests at all.

use std::sync::atomic::{AtomicU32, Ordering};

use tracing::warn;

use super::request_line::shown;
use crate::{ExtractSession, Head};

/// Whether a layer finds sessions. One that never does guards nothing, and nothing else shows that:
/// every machine serves every request, as it would without the layer.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// Whether a request without a session is refused.
    pub(crate) are_required: bool,
    /// How many requests had no session; [`SETTLED`] once one had, or the warning was given. From
    /// then on it is only read, so that no request writes what all cores share.
    without: AtomicU32,
}

const SETTLED: u32 = u32::MAX;

/// After so many requests without a session the layer says so: more than a health check and the
/// first page of an application make.
const MANY: u32 = 100;

impl Searches {
    /// Whether a session was found, or the warning was given.
    #[inline]
    pub(crate) fn are_over(&self) -> bool {
        self.without.load(Ordering::Relaxed) == SETTLED
    }

    /// A request names a session.
    #[inline]
    pub(crate) fn found(&self) {
        if !self.are_over() {
            self.without.store(SETTLED, Ordering::Relaxed);
        }
    }

    /// A request names none.
    #[inline]
    pub(crate) fn missed(&self, head: &Head<'_>, extract: &dyn ExtractSession) {
        if !self.are_over() {
            self.count(head, extract);
        }
    }

    #[cold]
    fn count(&self, head: &Head<'_>, extract: &dyn ExtractSession) {
        let before = self.without.load(Ordering::Relaxed);
        if before == SETTLED {
            return;
        }
        let is_last = before + 1 >= MANY;
        let after = if is_last { SETTLED } else { before + 1 };
        // A count that another thread overtakes is lost, which only delays the warning.
        let (relaxed, counted) = (Ordering::Relaxed, &self.without);
        let counted = counted.compare_exchange(before, after, relaxed, relaxed);
        if is_last && counted.is_ok() {
            warn!(
                target: "tower_ownership::layer",
                path = shown(head.uri.path(), None),
                extractor = &*extract.describe(),
                "none of the first {MANY} requests named a session, so each machine serves all of \
                 them: is the layer where it sees whole paths?"
            );
        }
    }
}
