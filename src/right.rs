//! The right to serve a session: two machines never have it at once.
//!
//! Pure arithmetic on one machine's own clock, so that a model checker can walk through all of it
//! (`tests/model`) and the request path can afford it. Times are ticks of any length, milliseconds
//! in the layer; no tick of one machine is ever compared with another's.
//!
//! # The argument
//! Let F be the fleet's bound. (a) A machine serves only from a read that it sent no more than F
//! ago. (b) A machine that took a session over from another one serves it only when F has passed
//! since it first *completed* a read that names it at this epoch. Say A serves at t from a read
//! sent at or after t - F, and B serves at t because it saw its own epoch committed before t - F:
//! then A's read began after that commit and saw it. So A did not serve.
//!
//! Nobody waits who has nobody to wait for: at the first epoch there was no owner before, and with
//! a release proof the one before had stopped.

/// How long a read may be relied on, in ticks: one value for the whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// F itself.
    pub freshness: u64,
    /// What a clock may be wrong by, added to every wait: a coarse clock moves in ticks, and the
    /// clocks of two machines do not run equally fast.
    pub slack: u64,
}

impl Bound {
    /// F and no slack.
    #[must_use]
    pub const fn new(freshness: u64) -> Self {
        Self {
            freshness,
            slack: 0,
        }
    }

    /// How long a new owner waits at most.
    #[must_use]
    pub const fn longest_wait(self) -> u64 {
        self.freshness.saturating_add(self.slack)
    }

    /// Adds to every wait.
    #[must_use]
    pub const fn with_slack(self, slack: u64) -> Self {
        Self { slack, ..self }
    }
}

/// An epoch of a session at which this machine is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tenure {
    /// The epoch.
    pub epoch: u64,
    /// When this machine first completed a read that names it at this epoch.
    pub named_at: u64,
}

impl Tenure {
    /// A machine learned at `named_at` that it owns a session at `epoch`.
    #[must_use]
    pub const fn new(epoch: u64, named_at: u64) -> Self {
        Self { epoch, named_at }
    }

    /// The earliest time at which this machine may serve. `released` is the epoch that the row's
    /// release proof made, if there is one.
    #[must_use]
    pub const fn serves_from(self, released: Option<u64>, bound: Bound) -> u64 {
        if owner_before_may_serve(self.epoch, released) {
            self.named_at.saturating_add(bound.longest_wait())
        } else {
            0
        }
    }

    /// What this machine may write into the row as the proof of its release, at `now`: nothing if
    /// it was still waiting itself, for then the owner before it may still be serving.
    ///
    /// It has to have stopped serving before it asks.
    #[must_use]
    pub const fn release_proof(self, released: Option<u64>, now: u64, bound: Bound) -> Option<u64> {
        if self.serves_from(released, bound) <= now {
            // Giving the session up raises the epoch once.
            Some(self.epoch.saturating_add(1))
        } else {
            None
        }
    }
}

/// Whether an owner before this epoch may still be serving.
///
/// Not at the first epoch: a row born without an owner starts at 0, so whoever is the owner at 1 is
/// the first. Not if the epoch just before this one was made by a proven release.
#[must_use]
pub const fn owner_before_may_serve(epoch: u64, released: Option<u64>) -> bool {
    if epoch <= 1 {
        return false;
    }
    match released {
        Some(released) => released != epoch - 1,
        None => true,
    }
}

/// What a read of a session allows its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Right {
    /// It may serve, for so many ticks from now on.
    #[non_exhaustive]
    Serve {
        /// How long the read still proves it.
        left: u64,
    },
    /// It is the owner and has to wait, because the owner before it may still be serving.
    #[non_exhaustive]
    Wait {
        /// How long.
        left: u64,
    },
    /// The read is too old to prove anything.
    Expired,
}

impl Right {
    /// What a read that was sent at `read_at` allows at `now`.
    #[must_use]
    pub const fn of(read_at: u64, serves_from: u64, now: u64, bound: Bound) -> Self {
        let age = now.saturating_sub(read_at);
        if age >= bound.freshness {
            Self::Expired
        } else if now < serves_from {
            Self::Wait {
                left: serves_from - now,
            }
        } else {
            Self::Serve {
                left: bound.freshness - age,
            }
        }
    }

    /// Whether the owner may serve now.
    #[must_use]
    pub const fn may_serve(self) -> bool {
        matches!(self, Self::Serve { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Bound = Bound::new(5_000).with_slack(20);

    #[test]
    fn the_first_owner_waits_for_nobody() {
        assert_eq!(Tenure::new(1, 700).serves_from(None, F), 0);
    }

    #[test]
    fn who_takes_over_waits_from_when_it_knew() {
        assert_eq!(Tenure::new(2, 700).serves_from(None, F), 5_720);
        let right = |now| Right::of(now, 5_720, now, F);
        assert_eq!(right(5_719), Right::Wait { left: 1 });
        assert_eq!(right(5_720), Right::Serve { left: 5_000 });
    }

    #[test]
    fn only_the_release_just_before_is_a_proof() {
        assert_eq!(Tenure::new(3, 700).serves_from(Some(2), F), 0);
        for other in [0, 1, 3, 4] {
            assert_eq!(Tenure::new(3, 700).serves_from(Some(other), F), 5_720);
        }
    }

    #[test]
    fn who_still_waits_proves_nothing_by_its_release() {
        let waiting = Tenure::new(2, 700);
        assert_eq!(waiting.release_proof(None, 5_719, F), None);
        assert_eq!(waiting.release_proof(None, 5_720, F), Some(3));
        assert_eq!(Tenure::new(1, 700).release_proof(None, 700, F), Some(2));
    }

    #[test]
    fn a_read_is_relied_on_for_less_than_the_bound() {
        assert_eq!(Right::of(0, 0, 4_999, F), Right::Serve { left: 1 });
        assert_eq!(Right::of(0, 0, 5_000, F), Right::Expired);
    }
}
