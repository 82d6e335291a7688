//! A short pause for a directory that only fails.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{LookupError, LookupErrorKind, clock::Tick};

/// How many lookups in a row have to fail: one may be an accident.
const IN_A_ROW: u32 = 3;

/// For how many milliseconds no lookup may have been answered: those of one batch fail together, while
/// others are answered.
const SILENCE: u64 = 250;

/// How long no lookup is sent then, in milliseconds: long enough to spare a directory that is coming
/// back, short enough not to be noticed once it is.
const PAUSE: u64 = 100;

/// Once lookups only fail, lets one through every now and then, and answers the others with the
/// last failure.
#[derive(Debug, Default)]
pub(super) struct HoldDown {
    /// When the next may ask; zero while all may.
    until: AtomicU64,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    last: Option<LookupError>,
    answered_at: Option<Tick>,
}

impl HoldDown {
    /// Why no lookup may be sent now; `None` if the caller may send one.
    pub(super) fn refusal(&self, now: Tick) -> Option<LookupError> {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 {
            return None;
        }
        let next = now.0 + PAUSE;
        let swap = |until| {
            self.until
                .compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire)
        };
        // The caller that moves the time on is the one that may ask.
        if until <= now.0 && swap(until).is_ok() {
            return None;
        }
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last
            .clone()
    }

    /// The permitted lookup was dropped before it was sent; another one may be.
    ///
    /// Not every lookup runs refreshes, and those of busy sessions would be first every time.
    pub(super) fn pass_on(&self, now: Tick) {
        let until = self.until.load(Ordering::Acquire);
        if until > now.0 {
            // If it has changed since, another lookup was sent.
            let _ = self.until.compare_exchange(
                until,
                now.0.max(1),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
    }

    pub(super) fn note<T>(&self, answer: &Result<T, LookupError>, now: Tick) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            // What the directory says about one session tells that it is there.
            Err(error) if error.kind() != LookupErrorKind::Corrupt => {
                failures.in_a_row = failures.in_a_row.saturating_add(1);
                failures.last = Some(error.clone());
                let is_silent = failures
                    .answered_at
                    .is_none_or(|answered| now.since(answered) >= SILENCE);
                if failures.in_a_row >= IN_A_ROW && is_silent {
                    self.until.store(now.0 + PAUSE, Ordering::Release);
                }
            }
            Ok(_) | Err(_) => {
                *failures = Failures {
                    answered_at: Some(now),
                    ..Failures::default()
                };
                self.until.store(0, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(hold_down: &HoldDown, at: u64) {
        hold_down.note(&Err::<(), _>(LookupError::unavailable("down")), Tick(at));
    }

    #[test]
    fn after_three_failures_in_a_row_one_may_ask_per_pause() {
        let hold_down = HoldDown::default();
        for at in [1, 2] {
            fail(&hold_down, at);
            assert!(hold_down.refusal(Tick(at)).is_none());
        }
        fail(&hold_down, 3);
        assert_eq!(
            hold_down.refusal(Tick(3)).unwrap().kind(),
            LookupErrorKind::Unavailable
        );
        assert!(hold_down.refusal(Tick(102)).is_some());
        assert!(hold_down.refusal(Tick(103)).is_none(), "the pause is over");
        assert!(
            hold_down.refusal(Tick(103)).is_some(),
            "and was over for one"
        );
    }

    #[test]
    fn lookups_that_fail_together_stop_no_others_while_the_directory_answers() {
        let hold_down = HoldDown::default();
        hold_down.note(&Ok::<_, LookupError>(()), Tick(1_000));
        // One batch that is cut off fails all of its lookups at once.
        for _ in 0..64 {
            fail(&hold_down, 1_000 + SILENCE - 1);
        }
        assert!(hold_down.refusal(Tick(1_000 + SILENCE - 1)).is_none());
        fail(&hold_down, 1_000 + SILENCE);
        assert!(
            hold_down.refusal(Tick(1_000 + SILENCE)).is_some(),
            "nothing has answered for long"
        );
    }

    #[test]
    fn an_answer_ends_it_at_once() {
        let hold_down = HoldDown::default();
        for at in 1..=3 {
            fail(&hold_down, at);
        }
        hold_down.note(&Err::<(), _>(LookupError::corrupt("one bad row")), Tick(3));
        assert!(hold_down.refusal(Tick(3)).is_none());
        fail(&hold_down, 4);
        assert!(
            hold_down.refusal(Tick(4)).is_none(),
            "the count begins anew"
        );
    }
}
