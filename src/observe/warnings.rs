//! Warnings, said often enough to be noticed and rarely enough to be read.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{RejectionCode, clock::Tick};

/// When which cause was last said at WARN, and how often it was not since.
///
/// A fleet whose database is down refuses every request, and each refusal is the operator's
/// business. What the operator needs is one line per cause, and how many it stands for. By code
/// alone, so that the memory has a bound that no client can reach.
pub(crate) struct Warnings {
    /// Milliseconds.
    every: u64,
    causes: [Cause; RejectionCode::ALL.len()],
}

#[derive(Default)]
struct Cause {
    /// Milliseconds of the clock, and one; 0 before it was ever said.
    said: AtomicU64,
    held_back: AtomicU64,
}

/// How a warning is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// At WARN, for so many more since the last time.
    Aloud { held_back: u64 },
    /// At DEBUG: it was said at WARN a moment ago.
    Quietly,
}

impl Warnings {
    pub(crate) fn every(interval: Duration) -> Self {
        Self {
            every: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            causes: Default::default(),
        }
    }

    /// Of any number of threads that ask at once, one is told to say it aloud.
    pub(crate) fn say(&self, code: RejectionCode, now: Tick) -> Say {
        let Some(cause) = self.causes.get(code as usize) else {
            return Say::Aloud { held_back: 0 };
        };
        let said = cause.said.load(Ordering::Relaxed);
        let due = said == 0 || now.0.saturating_sub(said - 1) >= self.every;
        let now = now.0.saturating_add(1);
        // At an interval of zero none is held back.
        let is_first = due
            && (self.every == 0
                || cause
                    .said
                    .compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok());
        if is_first {
            let held_back = cause.held_back.swap(0, Ordering::Relaxed);
            return Say::Aloud { held_back };
        }
        cause.held_back.fetch_add(1, Ordering::Relaxed);
        Say::Quietly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALOUD: Say = Say::Aloud { held_back: 0 };

    #[test]
    fn a_cause_is_said_once_per_interval_with_how_often_it_was_not() {
        let warnings = Warnings::every(Duration::from_secs(10));
        let say = |now| warnings.say(RejectionCode::OwnerLost, Tick(now));
        assert_eq!(say(0), ALOUD);
        for now in [0, 1, 9_999] {
            assert_eq!(say(now), Say::Quietly);
        }
        assert_eq!(say(10_000), Say::Aloud { held_back: 3 });
        assert_eq!(say(10_001), Say::Quietly);
        assert_eq!(say(60_000), Say::Aloud { held_back: 1 });
        assert_eq!(say(90_000), ALOUD);
    }

    #[test]
    fn no_cause_holds_another_back() {
        let warnings = Warnings::every(Duration::from_secs(10));
        for code in RejectionCode::ALL {
            assert_eq!(warnings.say(*code, Tick(5)), ALOUD, "{code:?}");
        }
        for code in RejectionCode::ALL {
            assert_eq!(warnings.say(*code, Tick(6)), Say::Quietly, "{code:?}");
        }
    }

    #[test]
    fn at_an_interval_of_zero_nothing_is_held_back() {
        let warnings = Warnings::every(Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(warnings.say(RejectionCode::ReplayLoop, Tick(7)), ALOUD);
        }
    }

    #[test]
    fn of_a_crowd_one_says_it_and_the_others_are_counted() {
        let warnings = Warnings::every(Duration::from_secs(10));
        let (aloud, counted) = (AtomicU64::new(0), AtomicU64::new(0));
        let say = |now| match warnings.say(RejectionCode::OwnerLost, Tick(now)) {
            Say::Quietly => {}
            Say::Aloud { held_back } => {
                aloud.fetch_add(1, Ordering::Relaxed);
                counted.fetch_add(held_back, Ordering::Relaxed);
            }
        };
        for now in [0, 10_000] {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| (0..100).for_each(|_| say(now)));
                }
            });
        }
        say(20_000);
        assert_eq!(aloud.into_inner(), 3);
        assert_eq!(counted.into_inner(), 2 * 799);
    }
}
