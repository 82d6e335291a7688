//! What is known of a session, and where from.

use std::time::Duration;

use super::{
    Stamp,
    plain::{Plain, Usual},
};
use crate::{LookupError, Session, clock::Tick};

/// What is known of a session, one way or another.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) session: Result<Option<Session>, LookupError>,
    /// When the question was sent. What it proves is judged by this: a request may lie about between
    /// finding and judging.
    pub(crate) asked_at: Tick,
    /// How long that was before it was found.
    pub(crate) age: Duration,
    pub(crate) cache_status: CacheStatus,
    /// How long the request waited for it, if it did.
    pub(crate) waited: Option<Duration>,
}

/// What the cache holds of a session, without the session.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    pub(super) plain: Plain,
    pub(crate) asked_at: Tick,
    pub(crate) now: Tick,
    /// Whether it is time to read it again.
    pub(crate) ageing: bool,
}

impl Glance {
    #[inline]
    pub(super) fn of(plain: Plain, stamp: Stamp, now: Tick) -> Option<Self> {
        let asked_at = stamp.asked_at();
        let age = now.since(asked_at);
        stamp.is_fresh(age).then(|| Self {
            plain,
            asked_at,
            now,
            ageing: stamp.is_ageing(age),
        })
    }

    #[inline]
    pub(crate) fn usual(&self) -> Usual {
        self.plain.usual()
    }

    /// The number of the session's owner, which means the same owner and address each time.
    #[inline]
    pub(crate) fn owner(&self) -> u16 {
        self.plain.owner()
    }

    /// Whether the read may be relied on for no longer than the lease.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.plain.has_epoch()
    }

    pub(crate) fn age(&self) -> Duration {
        Duration::from_millis(self.now.since(self.asked_at))
    }
}

/// A session that is in the cache, and fresh enough.
pub(crate) struct Hit {
    pub(crate) session: Session,
    pub(crate) asked_at: Tick,
    pub(crate) age: Duration,
    /// Whether it is time to read it again.
    pub(crate) ageing: bool,
}

impl Hit {
    pub(crate) fn found(self) -> Found {
        Found {
            session: Ok(Some(self.session)),
            asked_at: self.asked_at,
            age: self.age,
            cache_status: CacheStatus::Hit,
            waited: None,
        }
    }
}

/// How a cache answered, in the words of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheStatus {
    /// The directory was asked.
    Miss,
    /// The directory was asked a moment ago.
    Hit,
    /// The directory was asked longer ago than the freshness allows, and cannot be asked now.
    Stale,
}

impl CacheStatus {
    /// The status as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Hit => "hit",
            Self::Stale => "stale",
        }
    }
}
