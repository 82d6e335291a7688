//! The lease: what a read of a session allows its owner. Two machines never have a valid one at once.
//!
//! Pure arithmetic on one machine's own clock, so that a model checker can walk through all of it
//! (`tests/model` includes this file) and the request path can afford it. Times are ticks of any
//! length, milliseconds in the layer; no tick of one machine is ever compared with another's.
//!
//! # The argument
//! (a) A machine serves only from a read that it sent no more than the TTL ago. (b) A machine that
//! took a session over from another one serves it only when the TTL has passed since it first
//! *completed* a read that names it at this epoch. Say A serves at t from a read sent at or after
//! t - TTL, and B serves at t because it saw its own epoch committed before t - TTL: then A's read
//! began after that commit and saw it. So A did not serve.
//!
//! A machine without a predecessor does not wait: at the first epoch there was no owner before, and
//! with a release proof the one before had stopped.

/// How much longer than the TTL a wait is, in three parts. Milliseconds, since either end is rounded
/// to whole ones, and so are the other parts.
const ROUNDING: u64 = 4;

/// A thousandth of the TTL: the clocks of two machines, each of which is being corrected, may run
/// apart by that much.
const DRIFT: u64 = 1_000;

/// A fifth of the TTL, and no more than a second (1 s at the default TTL of 5 s): while a live
/// migration stops the old owner's machine, commonly for 0.1 to 1 s, the clock of a KVM guest does
/// not move, so its reads live longer by as much. It costs as much of each change of owner without a
/// proof; first owners, and those after a release, do not wait. A fixed second was rejected, since
/// it would double the wait of a fleet with a TTL of 1 s.
const STOPPED_PART: u64 = 5;
const LONGEST_STOP: u64 = 1_000;

/// An age that the coarse clock tells counts only if a quarter of the TTL is left, so this clock may
/// lag by up to that (1.25 s by default) without a wait being longer for it. A busy session is read
/// again before, so requests for it do not pay for the exact clock.
const MARGIN_PART: u64 = 4;

/// How long a read may be relied on, in ticks: one value for the whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTtl {
    pub(crate) ttl: u64,
    /// What clocks may be wrong by, added to every wait.
    pub(crate) slack: u64,
}

impl LeaseTtl {
    /// A TTL by clocks that are never wrong, for tests and for the model.
    #[cfg(test)]
    pub(crate) const fn exactly(ttl: u64) -> Self {
        Self { ttl, slack: 0 }
    }

    /// A TTL in milliseconds, with what real clocks may be wrong by.
    pub(crate) const fn in_milliseconds(ttl: u64) -> Self {
        let stopped = ttl / STOPPED_PART;
        let stopped = if stopped < LONGEST_STOP {
            stopped
        } else {
            LONGEST_STOP
        };
        let slack = ROUNDING + ttl / DRIFT + stopped;
        Self { ttl, slack }
    }

    /// How long a new owner waits at most.
    pub(crate) const fn longest_wait(self) -> u64 {
        self.ttl.saturating_add(self.slack)
    }

    /// Whether an age that a coarse clock tells is so far from both ends that its lag does not
    /// matter. Where there is something to wait for, it is not.
    pub(crate) const fn is_clear_of(self, age: u64, wait: u64) -> bool {
        wait == 0 && age < self.ttl - self.ttl / MARGIN_PART
    }
}

/// An epoch of a session at which this machine is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) epoch: u64,
    /// When this machine first completed a read that names it at this epoch.
    pub(crate) named_at: u64,
}

impl Term {
    pub(crate) const fn new(epoch: u64, named_at: u64) -> Self {
        Self { epoch, named_at }
    }

    /// The earliest time at which this machine may serve. `released` is the epoch that the row's
    /// release proof made, if there is one.
    pub(crate) const fn serves_from(self, released: Option<u64>, ttl: LeaseTtl) -> u64 {
        if previous_owner_may_serve(self.epoch, released) {
            self.named_at.saturating_add(ttl.longest_wait())
        } else {
            0
        }
    }

    /// What this machine may write into the row as the proof of its release, at `now`: nothing if
    /// it was still waiting itself, for then the owner before it may still be serving.
    ///
    /// It has to have stopped serving before it asks.
    pub(crate) const fn release_proof(
        self,
        released: Option<u64>,
        now: u64,
        ttl: LeaseTtl,
    ) -> Option<u64> {
        if self.serves_from(released, ttl) <= now {
            // Giving the session up raises the epoch once.
            Some(self.epoch.saturating_add(1))
        } else {
            None
        }
    }
}

/// Whether an owner before this epoch may still be serving.
///
/// Not at the first epoch: a row born without an owner starts at 0, so the owner at 1 is the first.
/// Not if the epoch just before this one was made by a proven release.
pub(crate) const fn previous_owner_may_serve(epoch: u64, released: Option<u64>) -> bool {
    if epoch <= 1 {
        return false;
    }
    match released {
        Some(released) => released != epoch - 1,
        None => true,
    }
}

/// What a read of a session allows its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// The owner may serve.
    Valid {
        /// For how many ticks from now on the read proves it.
        left: u64,
    },
    /// The owner has to wait, because the owner before it may still be serving.
    Pending {
        /// For how many ticks.
        left: u64,
    },
    /// This machine gave the session up at this epoch or a later one, whatever the row says.
    Released,
    /// The read is too old to prove anything, or names another machine.
    Expired,
}

impl Lease {
    /// What a read that was sent at `read_at` allows at `now`.
    pub(crate) const fn of(read_at: u64, serves_from: u64, now: u64, ttl: LeaseTtl) -> Self {
        let age = now.saturating_sub(read_at);
        if age >= ttl.ttl {
            Self::Expired
        } else if now < serves_from {
            Self::Pending {
                left: serves_from - now,
            }
        } else {
            Self::Valid {
                left: ttl.ttl - age,
            }
        }
    }

    pub(crate) const fn is_valid(self) -> bool {
        matches!(self, Self::Valid { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: LeaseTtl = LeaseTtl {
        ttl: 5_000,
        slack: 20,
    };

    #[test]
    fn the_first_owner_does_not_wait() {
        assert_eq!(Term::new(1, 700).serves_from(None, F), 0);
    }

    #[test]
    fn an_owner_that_took_over_waits_from_when_it_was_named() {
        assert_eq!(Term::new(2, 700).serves_from(None, F), 5_720);
        let lease = |now| Lease::of(now, 5_720, now, F);
        assert_eq!(lease(5_719), Lease::Pending { left: 1 });
        assert_eq!(lease(5_720), Lease::Valid { left: 5_000 });
    }

    #[test]
    fn only_the_release_just_before_is_a_proof() {
        assert_eq!(Term::new(3, 700).serves_from(Some(2), F), 0);
        for other in [0, 1, 3, 4] {
            assert_eq!(Term::new(3, 700).serves_from(Some(other), F), 5_720);
        }
    }

    #[test]
    fn a_release_during_the_wait_proves_nothing() {
        let waiting = Term::new(2, 700);
        assert_eq!(waiting.release_proof(None, 5_719, F), None);
        assert_eq!(waiting.release_proof(None, 5_720, F), Some(3));
        assert_eq!(Term::new(1, 700).release_proof(None, 700, F), Some(2));
    }

    #[test]
    fn a_read_is_relied_on_for_less_than_the_bound() {
        assert_eq!(Lease::of(0, 0, 4_999, F), Lease::Valid { left: 1 });
        assert_eq!(Lease::of(0, 0, 5_000, F), Lease::Expired);
    }
}
