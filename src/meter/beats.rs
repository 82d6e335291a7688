//! What is counted of heartbeats.

use super::{
    kept::{Counter, Each, Gauge},
    names,
};

/// This machine's heartbeats.
pub(crate) struct Beats {
    outcomes: Each<Counter>,
    last: Gauge,
    missing_triggers: Gauge,
}

impl Beats {
    /// Of a machine that was registered just now, which is as good as a beat.
    pub(crate) fn new() -> Self {
        let outcomes = ["written", "failed", "withheld"];
        let new = Self {
            outcomes: Each::new(&names::BEATS, &[], "outcome", outcomes),
            last: Gauge::new(&names::LAST_BEAT, &[]),
            missing_triggers: Gauge::new(&names::TRIGGERS_MISSING, &[]),
        };
        new.last.set_now();
        new
    }

    /// So many triggers are missing or disabled.
    pub(crate) fn misses(&self, triggers: usize) {
        self.missing_triggers.set_count(|| triggers);
    }

    /// A heartbeat was written, or was not.
    pub(crate) fn beaten(&self, is_written: bool) {
        let outcome = if is_written { "written" } else { "failed" };
        if let Some(counter) = self.outcomes.of(outcome) {
            counter.count();
        }
        if is_written {
            self.last.set_now();
        }
    }

    /// None was sent, because the machine serves nothing.
    pub(crate) fn withheld(&self) {
        if let Some(counter) = self.outcomes.of("withheld") {
            counter.count();
        }
    }
}

/// The directory gives so many sessions to this machine.
pub(crate) fn owns(sessions: usize) {
    Gauge::new(&names::OWNED_SESSIONS, &[]).set_count(|| sessions);
}
