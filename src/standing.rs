//! What this process may do at all, whatever it owns.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process may serve the sessions that its machine owns.
///
/// A process serves from its start, or from when it has [joined](Self::Joining). What comes after
/// that is for good: it ends with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// It does not take part in its fleet yet; see
    /// [`awaits_presence`](crate::OwnershipLayerBuilder::awaits_presence).
    Joining,
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
    pub(crate) const ALL: [Self; 5] = [
        Self::Joining,
        Self::Serving,
        Self::Draining,
        Self::Duplicate,
        Self::Gone,
    ];

    /// The standing as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Duplicate => "duplicate",
            Self::Gone => "gone",
        }
    }
}

/// The standing of this process, which only ever goes on.
#[derive(Debug)]
pub(crate) struct AtomicStanding(AtomicU8);

impl AtomicStanding {
    pub(crate) fn new(standing: Standing) -> Self {
        Self(AtomicU8::new(standing as u8))
    }

    pub(crate) fn get(&self) -> Standing {
        let at = usize::from(self.0.load(Ordering::Acquire));
        Standing::ALL.get(at).copied().unwrap_or(Standing::Gone)
    }

    /// Goes on to this standing, and never back. Says whether that is news.
    pub(crate) fn go_on(&self, to: Standing) -> bool {
        self.0.fetch_max(to as u8, Ordering::AcqRel) < to as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stopped_serving_never_begins_again() {
        let standing = AtomicStanding::new(Standing::Joining);
        for (at, to) in Standing::ALL.into_iter().enumerate() {
            assert_eq!(standing.go_on(to), at > 0);
            assert_eq!(standing.get(), to);
            for earlier in &Standing::ALL[..at] {
                assert!(!standing.go_on(*earlier));
            }
        }
        assert_eq!(standing.get(), Standing::Gone);
    }
}
