//! A clock that is cheap enough to read for every request.

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Monotonic milliseconds since the clock was made.
///
/// The kernel's coarse clock, which moves in ticks of 1 to 10 ms (4 ms on most Linux servers) and
/// is read in a few nanoseconds. `Instant::now` is exact to the nanosecond, and costs more than
/// parsing a session id. An age that is measured with it is wrong by less than a tick.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: coarsetime::Instant,
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
            started: coarsetime::Instant::now(),
            #[cfg(test)]
            by_hand: None,
        }
    }

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
    fn it_moves_forward_with_the_exact_clock() {
        let (clock, exact) = (Clock::start(), std::time::Instant::now());
        let mut last = clock.now();
        while exact.elapsed().as_millis() < 50 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!((30..70).contains(&last.0), "{last:?}");
    }
}
