//! A clock that is cheap enough to read for every request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// The longest tick of a coarse clock, in milliseconds. The coarse clock may have lagged by this
/// much when it was started, and so be ahead of the exact one by as much later.
const LONGEST_TICK: u64 = 16;

/// Monotonic milliseconds since the clock was made, read in two ways.
///
/// [`now`](Self::now) is the kernel's coarse clock, for the request path: read in 4 to 6 ns on the
/// machine of `benches/RESULTS.md`. It moves in ticks of 1 to 10 ms, and stands still for longer
/// while a hypervisor holds the one CPU that advances it: up to 5 ticks since Linux 5.16, without
/// a bound before. So it lags behind, and an age measured with it is too young by the lag.
///
/// [`exact`](Self::exact) is `Instant`, read in 23 ns. It is for what a lookup or a claim is being
/// made for anyway, and for ages that are so close to a bound that the lag matters. It never shows
/// less than the coarse clock.
///
/// Not `CLOCK_BOOTTIME`, which also counts a suspension that the guest's kernel knows of: it has no
/// coarse form and costs 22 ns, twice for each request that is served, which is 15 % of what the
/// layer adds to one. And no clock of the guest counts what the guest's kernel does not know of,
/// such as a snapshot: [`Node::resumed`](crate::Node::resumed) covers both.
///
/// Clones show the same time and share their cuts.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: coarsetime::Instant,
    exactly: Instant,
    /// The last [cut](Self::cut).
    counts_from: Arc<AtomicU64>,
    #[cfg(test)]
    by_hand: Option<Arc<AtomicU64>>,
}

/// A moment, as a [`Clock`] tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// How many milliseconds have passed since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            exactly: Instant::now(),
            started: coarsetime::Instant::now(),
            counts_from: Arc::default(),
            #[cfg(test)]
            by_hand: None,
        }
    }

    /// The coarse clock: it may lag behind.
    pub(crate) fn now(&self) -> Tick {
        #[cfg(test)]
        if let Some(time) = &self.by_hand {
            return Tick(time.load(Ordering::SeqCst));
        }
        Tick(
            coarsetime::Instant::now_without_cache_update()
                .duration_since(self.started)
                .as_millis(),
        )
    }

    /// The exact clock.
    pub(crate) fn exact(&self) -> Tick {
        #[cfg(test)]
        if let Some(time) = &self.by_hand {
            return Tick(time.load(Ordering::SeqCst));
        }
        let elapsed = u64::try_from(self.exactly.elapsed().as_millis()).unwrap_or(u64::MAX / 2);
        Tick(elapsed + LONGEST_TICK)
    }

    /// When a read that is sent next counts as sent: now, or up to a millisecond later right after
    /// a [cut](Self::cut).
    pub(crate) fn stamp(&self) -> Tick {
        self.exact()
            .max(Tick(self.counts_from.load(Ordering::Acquire)))
    }

    /// Begins anew: reads that were sent before now, also those under way, no longer count. Returns
    /// the moment from which they do, which is the next millisecond: a read that was sent in this one
    /// may have been sent before.
    pub(crate) fn cut(&self) -> Tick {
        let from = self.exact().0 + 1;
        self.counts_from.fetch_max(from, Ordering::AcqRel);
        Tick(from)
    }

    /// Whether a read that was sent then was sent after the last cut.
    #[inline]
    pub(crate) fn is_after_cut(&self, sent: Tick) -> bool {
        sent.0 >= self.counts_from.load(Ordering::Acquire)
    }

    /// A clock that moves only when its hand is moved.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (Self, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(0));
        let clock = Self {
            by_hand: Some(Arc::clone(&hand)),
            ..Self::start()
        };
        (clock, hand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_follows_the_exact_one() {
        let (clock, began) = (Clock::start(), Instant::now());
        let (mut last, mut lag) = (clock.now(), u64::MAX);
        while began.elapsed().as_millis() < 50 {
            let now = clock.now();
            let exact = clock.exact();
            assert!(last <= now && now <= exact, "{last:?} {now:?} {exact:?}");
            // This thread may be held up between the two.
            (last, lag) = (now, lag.min(exact.since(now)));
        }
        assert!(last.0 >= 20 && lag <= 2 * LONGEST_TICK, "{last:?} {lag}");
    }
}
