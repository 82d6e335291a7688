//! What is counted of PostgreSQL.
//!
//! What happens seldom looks its metric up every time, and so needs no handle.

use super::{
    kept::{Counter, Each, Gauge, Histogram, Stopwatch},
    names,
};

/// So many lookups were one query.
pub(crate) fn queried(lookups: usize, began: Stopwatch) {
    let lookups = u32::try_from(lookups).unwrap_or(u32::MAX);
    Histogram::new(&names::BATCH_SIZE, &[]).record(f64::from(lookups));
    Histogram::new(&names::BATCH_DURATION, &[]).record_since(began);
}

/// How changes are heard.
pub(crate) struct Watch {
    listening: Gauge,
    last_heard: Gauge,
    notifications: Each<Counter>,
    losses: Counter,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let kinds = ["read", "garbage"];
        let new = Self {
            listening: Gauge::new(&names::WATCH_LISTENING, &[]),
            last_heard: Gauge::new(&names::WATCH_LAST_HEARD, &[]),
            notifications: Each::new(&names::WATCH_NOTIFICATIONS, &[], "kind", kinds),
            losses: Counter::new(&names::WATCH_LOSSES, &[]),
        };
        new.listens(false);
        new
    }

    pub(crate) fn listens(&self, does: bool) {
        self.listening.set(f64::from(u8::from(does)));
    }

    pub(crate) fn heard(&self) {
        self.last_heard.set_now();
    }

    /// A notification of a change, or one that cannot be read.
    pub(crate) fn notified(&self, is_read: bool) {
        let kind = if is_read { "read" } else { "garbage" };
        if let Some(counter) = self.notifications.of(kind) {
            counter.count();
        }
    }

    /// Whether a trigger notifies the channel.
    pub(crate) fn has_trigger(does: bool) {
        Gauge::new(&names::WATCH_TRIGGERS, &[]).set(f64::from(u8::from(does)));
    }

    pub(crate) fn lost(&self) {
        self.losses.count();
    }
}

/// An audit ended and found so many of each kind. Those of which there are none have to be there,
/// too: what is not mentioned keeps its last value.
pub(crate) fn audited(findings: impl IntoIterator<Item = (&'static str, usize)>) {
    for (kind, count) in findings {
        Gauge::new(&names::AUDIT_FINDINGS, &[("kind", kind)]).set_count(|| count);
    }
    Gauge::new(&names::LAST_AUDIT, &[]).set_now();
}
