//! How long to wait before connecting again.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// Waits that grow. A fleet that lost its database together must not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    pub(super) const LONGEST: Duration = Duration::from_secs(5);

    /// What was failing has worked for a while.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(super) fn next(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        jittered(Self::FIRST.saturating_mul(factor).min(Self::LONGEST))
    }
}

/// Between a half and the whole of it.
pub(in crate::lookup::postgres) fn jittered(most: Duration) -> Duration {
    let half = most / 2;
    // The upper bits of the dice, so that the product fits.
    let part = u32::try_from(dice() >> 48).unwrap_or_default();
    half + half.saturating_mul(part) / (1 << 16)
}

/// A number that nobody else has.
pub(in crate::lookup::postgres) fn dice() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_shrink_again() {
        let mut backoff = Backoff::default();
        let mut most = Backoff::FIRST;
        for _ in 0..100 {
            let wait = backoff.next();
            assert!(most / 2 <= wait && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(Backoff::LONGEST);
        }
        backoff.reset();
        assert!(backoff.next() <= Backoff::FIRST);
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<Duration> =
            (0..100).map(|_| jittered(Backoff::LONGEST)).collect();
        assert!(waits.len() > 90, "{}", waits.len());
    }

    #[test]
    fn the_longest_wait_can_be_jittered() {
        assert!(jittered(Duration::from_secs(u64::from(u32::MAX))) > Duration::ZERO);
    }
}
