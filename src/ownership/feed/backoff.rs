//! How long to wait before connecting again.

use std::time::Duration;

use crate::random::jittered;

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
}
