//! Random numbers, and waits that differ.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
#[cfg(feature = "membership")]
use std::time::Duration;

/// A number that no other process has.
pub(crate) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Between a half and the whole of it.
#[cfg(feature = "membership")]
pub(crate) fn jittered(most: Duration) -> Duration {
    let half = most / 2;
    // The upper bits, so that the product fits.
    let part = u32::try_from(number() >> 48).unwrap_or_default();
    half + half.saturating_mul(part) / (1 << 16)
}

#[cfg(all(test, feature = "membership"))]
mod tests {
    use super::*;

    #[test]
    fn waits_differ() {
        let longest = Duration::from_secs(5);
        let waits: std::collections::HashSet<Duration> =
            (0..100).map(|_| jittered(longest)).collect();
        assert!(waits.len() > 90, "{}", waits.len());
    }

    #[test]
    fn the_longest_wait_can_be_jittered() {
        assert!(jittered(Duration::from_secs(u64::from(u32::MAX))) > Duration::ZERO);
    }
}
