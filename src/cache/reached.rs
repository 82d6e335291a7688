//! When the directory was last reached.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{LookupError, LookupErrorKind, clock::Tick};

/// When the directory last answered, and when it last did not: two words, for health checks.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// A tick and one; 0 for never.
    answered: AtomicU64,
    failed: AtomicU64,
}

/// How long ago the directory last answered, and last did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastReached {
    pub(crate) answered: Option<Duration>,
    pub(crate) failed: Option<Duration>,
}

impl Reached {
    pub(super) fn note<T>(&self, answer: &Result<T, LookupError>, now: Tick) {
        match answer {
            Err(error) if error.kind() != LookupErrorKind::Corrupt => self.failed(now),
            // What it says about one session tells that it is there.
            Ok(_) | Err(_) => self.answered.store(now.0 + 1, Ordering::Relaxed),
        }
    }

    pub(super) fn failed(&self, now: Tick) {
        self.failed.store(now.0 + 1, Ordering::Relaxed);
    }

    pub(super) fn last(&self, now: Tick) -> LastReached {
        let ago = |at: &AtomicU64| {
            let at = at.load(Ordering::Relaxed).checked_sub(1)?;
            Some(Duration::from_millis(now.since(Tick(at))))
        };
        LastReached {
            answered: ago(&self.answered),
            failed: ago(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrupt_row_is_an_answer_and_a_failure_is_none() {
        let reached = Reached::default();
        assert_eq!(reached.last(Tick(9)), LastReached::default());
        reached.note(&Ok(()), Tick(0));
        reached.note(&Err::<(), _>(LookupError::unavailable("down")), Tick(5));
        let ago = |milliseconds| Some(Duration::from_millis(milliseconds));
        let last = reached.last(Tick(9));
        assert_eq!((last.answered, last.failed), (ago(9), ago(4)));
        reached.note(&Err::<(), _>(LookupError::corrupt("one bad row")), Tick(7));
        assert_eq!(reached.last(Tick(9)).answered, ago(2));
    }
}
