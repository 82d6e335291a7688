//! How old what is cached may be.

use std::time::Duration;

use crate::{MachineId, OwnerStatus, SessionId, SessionStatus, session::Facts};

/// How old a cached session may be before it is read again, and how much memory the cache may take.
///
/// The bounds differ because being wrong costs differently. What is cached on the owner decides
/// who serves, so it is short. What is cached elsewhere is a hint, and a wrong one costs a hop. A
/// session that is unknown, or that has no owner yet, may change at any moment.
///
/// No bound reaches past the end of a session's life: by then it may have been put off.
///
/// Every bound is shortened by a sixteenth to an eighth, differently for each session, so that what was
/// read together is not read again together. Ages are counted from before the read was sent, on
/// a clock that moves in ticks of a few milliseconds, and that may stand still while the machine is
/// suspended. A request that waited for a read uses it, however long that took: at most twice the
/// layer's lookup timeout, where it joined a read of another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing until a layer is built with it"]
pub struct CachePolicy {
    pub(crate) owned: u32,
    pub(crate) elsewhere: u32,
    pub(crate) unknown: u32,
    pub(crate) recheck: u32,
    pub(crate) stale_if_error: u32,
    pub(crate) stale_owned_if_error: u32,
    pub(crate) max_attribute_bytes: usize,
}

impl CachePolicy {
    /// The longest bound: what a longer one is cut to.
    pub const LONGEST: Duration = Duration::from_millis(MAX as u64);

    /// How many bytes attributes and addresses in the cache may take unless
    /// [said otherwise](Self::max_attribute_bytes): 64 MiB.
    pub const DEFAULT_MAX_ATTRIBUTE_BYTES: usize = 64 << 20;

    /// The defaults of each method below.
    pub const fn new() -> Self {
        Self {
            owned: 5_000,
            elsewhere: 30_000,
            unknown: 1_000,
            recheck: 250,
            stale_if_error: 60_000,
            stale_owned_if_error: 0,
            max_attribute_bytes: Self::DEFAULT_MAX_ATTRIBUTE_BYTES,
        }
    }

    /// Nothing is cached: every request asks, and requests that ask at the same time share the
    /// answer.
    pub const fn always_ask() -> Self {
        Self {
            owned: 0,
            elsewhere: 0,
            unknown: 0,
            recheck: 0,
            stale_if_error: 0,
            stale_owned_if_error: 0,
            max_attribute_bytes: Self::DEFAULT_MAX_ATTRIBUTE_BYTES,
        }
    }

    /// A session that this machine owns; 5 s by default. A session that moves away is served here
    /// for no longer than this.
    pub fn owned(mut self, bound: Duration) -> Self {
        self.owned = milliseconds(bound);
        self
    }

    /// A session that another machine owns; 30 s by default.
    pub fn elsewhere(mut self, bound: Duration) -> Self {
        self.elsewhere = milliseconds(bound);
        self
    }

    /// A session that is unknown, that has no owner yet, or whose owner is silent, lost or was
    /// never seen; 1 s by default.
    pub fn unknown(mut self, bound: Duration) -> Self {
        self.unknown = milliseconds(bound);
        self
    }

    /// Whatever it is, for a request that was replayed; 250 ms by default. Two machines that have
    /// old entries about each other can then not pass a request back and forth.
    pub fn recheck(mut self, bound: Duration) -> Self {
        self.recheck = milliseconds(bound);
        self
    }

    /// For how long past its bound a session that another machine owns may be used while the
    /// lookup fails; 60 s by default. Each use shows in the event. Not if its owner was lost or had
    /// never been seen: that may have changed, and what fails now is the lookup.
    pub fn stale_if_error(mut self, bound: Duration) -> Self {
        self.stale_if_error = milliseconds(bound);
        self
    }

    /// The same for a session that this machine owned when it was last read; zero by default.
    ///
    /// With more than zero, a machine that cannot reach the directory goes on serving sessions
    /// that may have been given to another one meanwhile: two machines serve one session.
    pub fn stale_owned_if_error(mut self, bound: Duration) -> Self {
        self.stale_owned_if_error = milliseconds(bound);
        self
    }

    /// How many bytes the attributes and addresses of the sessions in the cache may take in all;
    /// [64 MiB](Self::DEFAULT_MAX_ATTRIBUTE_BYTES) by default. Everything else of a session is of
    /// the same size in each, and bounded by their
    /// [number](crate::OwnershipLayerBuilder::cache_capacity). At either bound, what is used least
    /// is evicted.
    ///
    /// The size is estimated once per read, from the lengths of keys, values and URLs. By the
    /// defaults, some 760 bytes for each session leave the number as it is.
    ///
    /// A session that takes more than 1/512 of this (128 KiB by default; at least 1 KiB) is served and
    /// not kept: it would evict hundreds of others. Each request reads it again, which a layer says
    /// once, at WARN, and it cannot be used [while the lookup fails](Self::stale_if_error). A lookup
    /// that reads fewer columns is the better cure, a larger bound the other one.
    pub fn max_attribute_bytes(mut self, bytes: usize) -> Self {
        self.max_attribute_bytes = bytes;
        self
    }

    /// The bound for what was read, in milliseconds.
    pub(crate) fn of(&self, facts: &Facts, me: &MachineId) -> u32 {
        let over = facts.status == SessionStatus::Over || facts.remaining() == Some(0);
        let bound = match facts.serving_owner() {
            _ if over => return self.owned,
            None => self.unknown,
            Some(owner) if owner == me => self.owned,
            // The owner may come back, or another machine may take the session over.
            Some(_) if was_away(facts) || facts.presence == OwnerStatus::Silent => self.unknown,
            Some(_) => self.elsewhere,
        };
        // A request after the end of its life reads whether that was put off meanwhile.
        let life = facts.remaining().and_then(|life| u32::try_from(life).ok());
        life.map_or(bound, |life| bound.min(life))
    }

    /// How long what was read may be used after its bound while the lookup fails.
    pub(crate) fn grace(&self, facts: &Facts, me: &MachineId) -> u32 {
        match facts.serving_owner() {
            Some(owner) if owner != me && was_away(facts) => 0,
            Some(owner) if owner != me => self.stale_if_error,
            Some(_) => self.stale_owned_if_error,
            None => 0,
        }
    }
}

/// Whether its owner could not have been sent a request.
fn was_away(facts: &Facts) -> bool {
    matches!(facts.presence, OwnerStatus::Lost | OwnerStatus::NeverSeen)
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// What twenty bits hold: seventeen minutes.
const MAX: u32 = (1 << 20) - 1;

fn milliseconds(bound: Duration) -> u32 {
    u32::try_from(bound.as_millis()).unwrap_or(MAX).min(MAX)
}

/// When something was asked for and how long the answer may be used, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Shortens the bound by a sixteenth to an eighth. By at least a sixteenth, because the right to
    /// serve is judged again right before the handler: a request that finds an entry in its last
    /// milliseconds would be refused if anything held it up in between. The rest differs: the id's
    /// own bits are as good as dice here, and the moment keeps two machines from choosing alike.
    pub(crate) fn new(id: &SessionId, asked_at: crate::clock::Tick, bound: u32) -> Self {
        let dice = id.dice() ^ asked_at.0;
        let part = u64::from(bound / 16);
        let shorter = part + ((part * (dice.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56)) >> 8);
        Self(asked_at.0 << 20 | (u64::from(bound) - shorter))
    }

    pub(super) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The larger, the later it was asked for.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn asked_at(self) -> crate::clock::Tick {
        crate::clock::Tick(self.0 >> 20)
    }

    pub(crate) fn bound(self) -> u64 {
        self.0 & u64::from(MAX)
    }

    #[inline]
    pub(super) fn is_fresh(self, age: u64) -> bool {
        age < self.bound()
    }

    /// Whether it is time to read the session again: while it may still be used, so that requests for a
    /// busy one never wait for it.
    #[inline]
    pub(super) fn is_ageing(self, age: u64) -> bool {
        age >= self.bound() - self.bound() / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tick;

    #[test]
    fn bounds_are_shortened_by_a_sixteenth_to_an_eighth() {
        let mut seen = std::collections::HashSet::new();
        for n in 0..1000_u128 {
            let id = SessionId::new(uuid::Uuid::from_u128(n << 64 | n));
            let stamp = Stamp::new(&id, Tick(1_234_567), 8_000);
            assert_eq!(stamp.asked_at(), Tick(1_234_567));
            assert!(
                (7_000..=7_500).contains(&stamp.bound()),
                "{}",
                stamp.bound()
            );
            seen.insert(stamp.bound());
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }

    #[test]
    fn a_bound_too_long_is_cut() {
        let id = SessionId::new(uuid::Uuid::nil());
        let freshness = CachePolicy::new().owned(Duration::MAX);
        assert_eq!(
            Duration::from_millis(freshness.owned.into()),
            CachePolicy::LONGEST
        );
        assert!(Stamp::new(&id, Tick(u64::MAX >> 21), freshness.owned).bound() <= u64::from(MAX));
        assert_eq!(Stamp::new(&id, Tick(7), 0).bound(), 0);
    }
}
