//! What is counted of a feed of changes.

use super::{
    kept::{Counter, Each, Gauge},
    names,
};

/// How changes are heard.
pub(crate) struct Feed {
    listening: Gauge,
    last_heard: Gauge,
    notifications: Each<Counter>,
    losses: Counter,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let kinds = ["read", "unreadable"];
        let new = Self {
            listening: Gauge::new(&names::FEED_LISTENING, &[]),
            last_heard: Gauge::new(&names::FEED_LAST_HEARD, &[]),
            notifications: Each::new(&names::FEED_CHANGES, &[], "kind", kinds),
            losses: Counter::new(&names::FEED_LOSSES, &[]),
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

    /// A change, or a delivery that cannot be read.
    pub(crate) fn notified(&self, is_read: bool) {
        let kind = if is_read { "read" } else { "unreadable" };
        if let Some(counter) = self.notifications.of(kind) {
            counter.count();
        }
    }

    /// Whether the directory tells of every change.
    pub(crate) fn is_complete(is: bool) {
        Gauge::new(&names::FEED_COMPLETE, &[]).set(f64::from(u8::from(is)));
    }

    pub(crate) fn lost(&self) {
        self.losses.count();
    }
}
