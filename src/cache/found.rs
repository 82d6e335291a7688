//! What is known of a session, and where from.

use std::time::Duration;

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
