//! What this process may do at all, whatever it owns.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process may serve the sessions that its machine owns.
///
/// A process serves from its start, and each of the others is for good: it ends with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// It may.
    #[default]
    Serving,
    /// It gives its sessions up, and serves and claims none any more.
    Draining,
    /// Another process says that it is this machine, and is the younger one.
    Duplicate,
    /// An operator declared this machine gone.
    Gone,
}

impl Standing {
    pub(crate) const ALL: [Self; 4] = [Self::Serving, Self::Draining, Self::Duplicate, Self::Gone];

    /// The standing as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Duplicate => "duplicate",
            Self::Gone => "gone",
        }
    }
}

/// The standing of this process, which only ever gets worse.
#[derive(Debug, Default)]
pub(crate) struct AtomicStanding(AtomicU8);

impl AtomicStanding {
    pub(crate) fn get(&self) -> Standing {
        let at = usize::from(self.0.load(Ordering::Acquire));
        Standing::ALL.get(at).copied().unwrap_or(Standing::Gone)
    }

    /// Says whether that is news.
    pub(crate) fn worsen(&self, to: Standing) -> bool {
        self.0.fetch_max(to as u8, Ordering::AcqRel) < to as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stopped_serving_never_begins_again() {
        let standing = AtomicStanding::default();
        for (at, to) in Standing::ALL.into_iter().enumerate() {
            assert_eq!(standing.worsen(to), at > 0);
            assert_eq!(standing.get(), to);
            assert!(!standing.worsen(Standing::Serving));
        }
        assert_eq!(standing.get(), Standing::Gone);
    }
}
