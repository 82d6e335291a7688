//! The one clock that all processes of a host share.

use std::fmt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// An instant: nanoseconds of `CLOCK_MONOTONIC`, which a container's and the test's can be compared
/// by. `std::time::Instant` does not tell its number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub u64);

impl At {
    /// What has not ended yet.
    pub const NEVER: Self = Self(u64::MAX);

    pub fn now() -> Self {
        Self(read(ClockId::CLOCK_MONOTONIC))
    }

    #[cfg(test)]
    pub const fn ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// How much later this is, if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for At {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(later)))
    }
}

impl std::ops::Sub<Duration> for At {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(earlier)))
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        write!(
            f,
            "{}.{:06}",
            self.0 / 1_000_000_000,
            self.0 / 1_000 % 1_000_000
        )
    }
}

/// How far the wall's clock, by which the database writes down its commits, is ahead of the
/// monotonic one. It is read again and again, as the wall's clock may be set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    least: i128,
    most: i128,
}

impl WallClock {
    pub fn read() -> Self {
        let ahead = ahead();
        Self {
            least: ahead,
            most: ahead,
        }
    }

    /// Notes what it is by now.
    pub fn read_again(&mut self) {
        let ahead = ahead();
        self.least = self.least.min(ahead);
        self.most = self.most.max(ahead);
    }

    /// The earliest instant that the wall's clock may have shown this at, in microseconds since
    /// 1970.
    pub fn at(self, unix_us: i64) -> At {
        let at = i128::from(unix_us) * 1_000 - self.most;
        At(u64::try_from(at.max(0)).unwrap_or(u64::MAX))
    }

    /// How much later than [`at`](Self::at) it may have been.
    pub fn doubt(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.most - self.least).unwrap_or(u64::MAX))
    }
}

fn ahead() -> i128 {
    // Between two readings of the one clock, so that a pause shows and does not count.
    (0..5)
        .map(|_| {
            let before = read(ClockId::CLOCK_MONOTONIC);
            let wall = read(ClockId::CLOCK_REALTIME);
            let after = read(ClockId::CLOCK_MONOTONIC);
            (after - before, i128::from(wall) - i128::from(before))
        })
        .min()
        .map(|(_, ahead)| ahead)
        .unwrap_or_default()
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("a clock");
    nanoseconds(Duration::from(time))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
