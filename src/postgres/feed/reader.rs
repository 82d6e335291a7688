//! A listener's part in reading the change log.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;
use tokio_postgres::{Error, types::Type};

use super::{changes::Asked, wire::Wire};
use crate::random::{self, jittered};

/// How often the log is read. A change is announced that much after its commit, at most.
const TICK: Duration = Duration::from_millis(20);

/// A reader that has nothing to announce says so after this time, so that all listeners know of it.
const BEAT: Duration = Duration::from_secs(1);

/// After how long without a reader a listener takes a turn: this, and a part of [`SPREAD`], so that not
/// all of a fleet do at once.
const SILENCE: Duration = Duration::from_millis(1_500);

const SPREAD: Duration = Duration::from_secs(1);

/// How long a reader that refused this one's turn, or this one itself, may go unheard.
const UNHEARD: Duration = Duration::from_millis(2_500);

/// Every listener that may read the log is a candidate. It takes a turn when no reader is heard, and
/// reads on from then if the server says that no other one does.
///
/// The server's function decides; see `log_read.sql`. Two readers announce each change once, and one that
/// is paused holds nothing.
pub(super) struct Reader {
    /// Reads the log.
    sql: Option<Arc<str>>,
    may_read: bool,
    /// Tells readers apart, 16 bits.
    me: i32,
    /// Whether the last turn read the log.
    holds: bool,
    /// When a reader was last heard, this one included; or since when this one listens.
    heard_at: Instant,
    has_heard: bool,
    patience: Duration,
    next_at: Instant,
    turn: Option<Turn>,
    /// Until when the reader has to be heard that was there when this one took a turn.
    refused: Option<Instant>,
}

struct Turn {
    asked: Asked<bool>,
    began: Instant,
    until: Instant,
}

impl Reader {
    pub(super) fn new(sql: Option<Arc<str>>, may_read: bool) -> Self {
        let now = Instant::now();
        Self {
            sql,
            may_read,
            me: i32::try_from(random::number() >> 48).unwrap_or_default(),
            holds: false,
            heard_at: now,
            has_heard: false,
            patience: SILENCE + jittered(SPREAD),
            next_at: now,
            turn: None,
            refused: None,
        }
    }

    /// What the last look at the database has found.
    pub(super) fn may_read(&mut self, may_read: bool) {
        self.may_read = may_read;
        self.holds &= may_read;
    }

    /// A reader has announced something.
    pub(super) fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.has_heard = true;
        self.refused = None;
    }

    /// When [`begin`](Self::begin) or [`is_silent`](Self::is_silent) is to be called next.
    pub(super) fn wake_at(&self) -> Instant {
        const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
        match (&self.turn, self.refused) {
            (Some(turn), _) => turn.until,
            (None, Some(until)) => until,
            (None, None) if self.holds => self.next_at,
            (None, None) if self.may_read => self.heard_at + self.patience,
            // Without a right to read it may still have relied on a reader.
            (None, None) if self.has_heard => self.heard_at + UNHEARD,
            (None, None) => Instant::now() + NEVER,
        }
    }

    /// Whether a reader should have been heard, and was not: there is none that this connection hears.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let relies = self.holds || self.has_heard && !self.may_read;
        self.turn.as_ref().is_some_and(|turn| turn.until <= now)
            || self.refused.is_some_and(|until| until <= now)
            || relies && self.heard_at + UNHEARD <= now
    }

    /// Takes a turn, if it is time for one.
    pub(super) fn begin(&mut self, wire: &Wire, limit: Duration) {
        let now = Instant::now();
        let is_due = self.holds && self.next_at <= now
            || self.may_read && self.refused.is_none() && self.heard_at + self.patience <= now;
        let Some(sql) = self.sql.as_ref().filter(|_| is_due && self.turn.is_none()) else {
            return;
        };
        let (sql, client) = (Arc::clone(sql), wire.client());
        let (me, holds) = (self.me, self.holds);
        let says = self.heard_at + BEAT <= now;
        let asked = async move {
            let parameters = [
                (&me as _, Type::INT4),
                (&holds as _, Type::BOOL),
                (&says as _, Type::BOOL),
            ];
            let rows = client.query_typed(&sql, &parameters).await?;
            rows.first().map_or(Ok(false), |row| row.try_get(0))
        };
        self.turn = Some(Turn {
            asked: Box::pin(asked),
            began: now,
            until: now + limit,
        });
    }

    /// Goes on with a turn; ready when one has ended. A reader whose turn fails has to be connected anew:
    /// what it announced is not known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(turn) = &mut self.turn else {
            return Poll::Pending;
        };
        let read = ready!(turn.asked.as_mut().poll(cx));
        let (began, now) = (turn.began, Instant::now());
        self.turn = None;
        match read {
            Ok(true) => {
                self.holds = true;
                // Half of the time at most.
                self.next_at = (began + TICK).max(now + (now - began));
            }
            Ok(false) => {
                self.holds = false;
                self.refused = Some(now + UNHEARD);
            }
            Err(error) if self.holds => return Poll::Ready(Err(error)),
            Err(error) => {
                // A role without the right, or a server that is set to be read-only. It is not asked
                // again before the next look.
                tracing::debug!(target: "tower_ownership::feed", cause = %error, "the change log cannot be read");
                self.may_read = false;
            }
        }
        Poll::Ready(Ok(()))
    }
}
