//! A session as the memory keeps it.

use std::time::Duration;

use crate::Session;

/// A session, and when it ends.
#[derive(Clone)]
pub(super) struct Stored {
    /// As it was written, without an end.
    pub(super) session: Session,
    /// By the directory's clock; `None`: it has no end, or ended at a time that is not known.
    pub(super) ends_at: Option<Duration>,
}

impl Stored {
    /// A session that is written `now`.
    pub(super) fn new(session: Session, now: Duration) -> Self {
        let remaining = session.remaining();
        Self {
            // More than the clock can count is as good as no end.
            ends_at: remaining.and_then(|remaining| now.checked_add(remaining)),
            session: session.with_remaining(Duration::MAX),
        }
    }

    /// The session as a read tells it.
    pub(super) fn read(&self, now: Duration) -> Session {
        let session = self.session.clone();
        let Some(ends_at) = self.ends_at else {
            return session;
        };
        session.with_remaining(ends_at.saturating_sub(now))
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.read(now).is_over(Duration::ZERO)
    }

    /// How long ago it ended, if that is known.
    pub(super) fn ended_ago(&self, now: Duration) -> Option<Duration> {
        self.ends_at.and_then(|ends_at| now.checked_sub(ends_at))
    }
}
