//! Warnings, said often enough to be noticed and rarely enough to be read.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Chain, Observed};
use crate::{RejectionCode, clock::Tick};

/// When which cause was last said at WARN, and how often it was not since.
///
/// A fleet whose database is down refuses every request, and each refusal is the operator's
/// business. What the operator needs is one line per cause, and how many it stands for. By code alone,
/// the loss of a second machine within ten seconds would not be said, nor the missing column behind a
/// timeout.
pub(crate) struct Warnings {
    /// Milliseconds.
    every: u64,
    hasher: RandomState,
    causes: Mutex<Causes>,
}

struct Causes {
    each: HashMap<Cause, Said>,
    /// What has no place among them any more, by code.
    rest: [Said; RejectionCode::ALL.len()],
}

/// Beside a code, what tells one cause from another: the owner, the reason of a replay that failed and the
/// error. As a hash, since an error may be long.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cause {
    code: RejectionCode,
    what: u64,
}

#[derive(Clone, Copy, Default)]
struct Said {
    /// Milliseconds of the clock; `None` before it was ever said.
    at: Option<u64>,
    held_back: u64,
}

/// How a warning is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// At WARN, for so many more since the last time.
    Aloud { held_back: u64 },
    /// At DEBUG: it was said at WARN a moment ago.
    Quietly,
}

/// So many causes are distinguished, so that neither ids in the texts of errors nor a fleet of a thousand lost
/// machines fill the log or the memory. Beyond them, one of each code is said.
const MOST: usize = 64;

impl Warnings {
    pub(crate) fn every(interval: Duration) -> Self {
        Self {
            every: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            hasher: RandomState::new(),
            causes: Mutex::new(Causes {
                each: HashMap::new(),
                rest: [Said::default(); RejectionCode::ALL.len()],
            }),
        }
    }

    /// Why the request was refused.
    pub(crate) fn cause(&self, code: RejectionCode, seen: &Observed<'_>) -> Cause {
        let reason = seen.failure().map(|failure| failure.reason.as_str());
        let error = seen.error.map(|error| Chain(error).to_string());
        let what = self.hasher.hash_one((seen.owner, reason, error));
        Cause { code, what }
    }

    /// Of any number of threads that ask at once, one is told to say it aloud.
    pub(crate) fn say(&self, cause: Cause, now: Tick) -> Say {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = causes.place(cause, now.0, self.every) else {
            return Say::Aloud { held_back: 0 };
        };
        let is_due = said
            .at
            .is_none_or(|at| now.0.saturating_sub(at) >= self.every);
        if is_due {
            said.at = Some(now.0);
            let held_back = std::mem::take(&mut said.held_back);
            return Say::Aloud { held_back };
        }
        said.held_back += 1;
        Say::Quietly
    }
}

impl Causes {
    fn place(&mut self, cause: Cause, now: u64, every: u64) -> Option<&mut Said> {
        let Self { each, rest } = self;
        if each.len() >= MOST && !each.contains_key(&cause) {
            each.retain(|other, said| {
                let is_over = said.at.is_none_or(|at| now.saturating_sub(at) >= every);
                // It is counted where the next of its code is.
                if is_over && let Some(rest) = rest.get_mut(other.code as usize) {
                    rest.held_back += said.held_back;
                }
                !is_over
            });
        }
        if each.len() >= MOST && !each.contains_key(&cause) {
            return rest.get_mut(cause.code as usize);
        }
        let said = each.entry(cause).or_default();
        if let Some(rest) = rest.get_mut(cause.code as usize) {
            said.held_back += std::mem::take(&mut rest.held_back);
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const ALOUD: Say = Say::Aloud { held_back: 0 };

    fn of(code: RejectionCode, what: u64) -> Cause {
        Cause { code, what }
    }

    #[test]
    fn a_cause_is_said_once_per_interval_with_how_often_it_was_not() {
        let warnings = Warnings::every(Duration::from_secs(10));
        let say = |now| warnings.say(of(RejectionCode::OwnerLost, 1), Tick(now));
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
            for what in [1, 2] {
                assert_eq!(warnings.say(of(*code, what), Tick(5)), ALOUD, "{code:?}");
            }
        }
        for code in RejectionCode::ALL {
            let again = warnings.say(of(*code, 1), Tick(6));
            assert_eq!(again, Say::Quietly, "{code:?}");
        }
    }

    #[test]
    fn of_more_causes_than_are_told_apart_one_per_code_is_said() {
        let warnings = Warnings::every(Duration::from_secs(10));
        let say = |what, now| warnings.say(of(RejectionCode::OwnerLost, what), Tick(now));
        let aloud = (0..10_000).filter(|what| say(*what, 5) == ALOUD).count();
        assert_eq!(aloud, MOST + 1);
        assert_eq!(warnings.causes.lock().unwrap().each.len(), MOST);
        // What had no place is counted by the next, and those that are over make room.
        let held_back = u64::try_from(10_000 - MOST - 1).unwrap();
        assert_eq!(say(20_000, 20_000), Say::Aloud { held_back });
        assert_eq!(warnings.causes.lock().unwrap().each.len(), 1);
    }

    #[test]
    fn at_an_interval_of_zero_nothing_is_held_back() {
        let warnings = Warnings::every(Duration::ZERO);
        for _ in 0..3 {
            let said = warnings.say(of(RejectionCode::ReplayLoop, 1), Tick(7));
            assert_eq!(said, ALOUD);
        }
    }

    #[test]
    fn of_a_crowd_one_says_it_and_the_others_are_counted() {
        let warnings = Warnings::every(Duration::from_secs(10));
        let (aloud, counted) = (AtomicU64::new(0), AtomicU64::new(0));
        let say = |now| match warnings.say(of(RejectionCode::OwnerLost, 1), Tick(now)) {
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
