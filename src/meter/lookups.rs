//! What is counted of lookups and claims.

use super::{
    kept::{Counter, Each, Gauge, Histogram, Stopwatch},
    names,
};
use crate::{LookupError, LookupErrorKind, LossReason, Session};

/// How a question to the directory ended.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Answered(&'a Result<Option<Session>, LookupError>),
    /// No request waited any more.
    Abandoned,
}

/// What the cache does and asks.
pub(crate) struct Lookups {
    duration: Each<Histogram>,
    joined: Counter,
    refused: Counter,
    refreshes: Counter,
    known: Gauge,
    unknown: Gauge,
    claims: Each<Counter>,
    takeovers: Each<Counter>,
    losses: Each<Counter>,
}

impl Lookups {
    pub(crate) fn new() -> Self {
        let entries = |kind| Gauge::new(&names::CACHE_ENTRIES, &[("kind", kind)]);
        let outcomes = ["won", "lost", "gone", "failed", "abandoned"];
        let claims = |kind| Each::new(&names::CLAIMS, &[("kind", kind)], "outcome", outcomes);
        let lookups = [
            "found",
            "unknown",
            "timeout",
            "unavailable",
            "corrupt",
            "abandoned",
        ];
        Self {
            duration: Each::new(&names::LOOKUP_DURATION, &[], "outcome", lookups),
            joined: Counter::new(&names::LOOKUPS_JOINED, &[]),
            refused: Counter::new(&names::LOOKUPS_REFUSED, &[]),
            refreshes: Counter::new(&names::REFRESHES, &[]),
            known: entries("known"),
            unknown: entries("unknown"),
            claims: claims("unassigned"),
            takeovers: claims("takeover"),
            losses: Each::new(
                &names::LOSSES,
                &[],
                "kind",
                LossReason::ALL.map(LossReason::as_str),
            ),
        }
    }

    /// A lookup ended.
    pub(crate) fn looked_up(&self, began: Stopwatch, outcome: Outcome<'_>) {
        let outcome = match outcome {
            Outcome::Answered(Ok(Some(_))) => "found",
            Outcome::Answered(Ok(None)) => "unknown",
            Outcome::Answered(Err(error)) => match error.kind() {
                LookupErrorKind::Timeout => "timeout",
                LookupErrorKind::Unavailable => "unavailable",
                LookupErrorKind::Corrupt => "corrupt",
            },
            Outcome::Abandoned => "abandoned",
        };
        if let Some(duration) = self.duration.of(outcome) {
            duration.record_since(began);
        }
    }

    /// A claim ended, of a session without an owner or of one that is taken over.
    pub(crate) fn claimed(&self, takes_over: bool, outcome: Outcome<'_>, won: bool) {
        let kind = if takes_over {
            &self.takeovers
        } else {
            &self.claims
        };
        let outcome = match outcome {
            Outcome::Answered(Ok(Some(_))) if won => "won",
            Outcome::Answered(Ok(Some(_))) => "lost",
            Outcome::Answered(Ok(None)) => "gone",
            Outcome::Answered(Err(_)) => "failed",
            Outcome::Abandoned => "abandoned",
        };
        if let Some(counter) = kind.of(outcome) {
            counter.count();
        }
    }

    /// A request waits for a lookup that is under way.
    pub(crate) fn joined(&self) {
        self.joined.count();
    }

    /// No lookup may be sent now.
    pub(crate) fn refused(&self) {
        self.refused.count();
    }

    /// A session is read again in the background.
    pub(crate) fn refreshed(&self) {
        self.refreshes.count();
    }

    /// How much the cache holds now.
    pub(crate) fn holds(&self, known: impl FnOnce() -> usize, unknown: impl FnOnce() -> usize) {
        self.known.set_count(known);
        self.unknown.set_count(unknown);
    }

    /// A handler or a stream got the loss of its session.
    pub(crate) fn lost(&self, loss: LossReason) {
        if let Some(counter) = self.losses.of(loss.as_str()) {
            counter.count();
        }
    }
}
