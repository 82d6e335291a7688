//! How long each step of a lookup may take.

use std::time::Duration;

use super::PostgresConfigError;

/// What a longer bound is cut to.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounds, none of which is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// For a connection of the pool to become free.
    pub(super) pool: Duration,
    /// For a new connection to be ready: name resolution, TCP, TLS and authentication.
    pub(super) connect: Duration,
    /// For the query.
    pub(super) query: Duration,
    /// For all of it, a second attempt included.
    pub(super) overall: Duration,
}

impl Default for Bounds {
    /// Together less than the 2 s that the layer waits, so that its answer can tell which step
    /// was slow. A lookup by primary key takes well under a millisecond; a new connection with TLS
    /// across a region takes about 100 ms.
    fn default() -> Self {
        Self {
            pool: Duration::from_millis(300),
            connect: Duration::from_millis(700),
            query: Duration::from_millis(800),
            overall: Duration::from_millis(1_800),
        }
    }
}

impl Bounds {
    /// How long one query may take, which also bounds it at the server.
    pub(super) fn statement(&self) -> Duration {
        self.query.min(self.overall)
    }

    /// None of them is zero, nor so long that a clock could not count it.
    pub(super) fn checked(self) -> Result<Self, PostgresConfigError> {
        for (what, bound) in [
            ("pool_timeout", self.pool),
            ("connect_timeout", self.connect),
            ("query_timeout", self.query),
            ("timeout", self.overall),
        ] {
            if bound.is_zero() {
                return Err(PostgresConfigError::Zero { what });
            }
        }
        Ok(Self {
            pool: self.pool.min(DAY),
            connect: self.connect.min(DAY),
            query: self.query.min(DAY),
            overall: self.overall.min(DAY),
        })
    }
}
