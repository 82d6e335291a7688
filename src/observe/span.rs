//! The span around a request for a session.

use std::time::Duration;

use tracing::{Span, Value, field::Empty, span::Entered};

use super::Observed;
use crate::{Code, MachineId, Presence, SessionId, Source};

/// A span, where somebody collects it; otherwise nothing that a request would have to carry.
#[derive(Debug, Default)]
pub(crate) struct RequestSpan(Option<Box<Span>>);

impl RequestSpan {
    pub(crate) fn begin(session: SessionId, machine: &MachineId, hops: u8) -> Self {
        // The macro below asks the same, and then still shows its fields to the `log` crate where
        // somebody in the tree turned that on.
        if !tracing::span_enabled!(target: "tower_ownership::request", tracing::Level::DEBUG) {
            return Self::default();
        }
        let span = tracing::debug_span!(
            target: "tower_ownership::request",
            "ownership",
            verdict = Empty,
            code = Empty,
            session = %session.short(),
            owner = Empty,
            owner.presence = Empty,
            epoch = Empty,
            me = machine.as_str(),
            hops,
            source = Empty,
            age.seconds = Empty,
            lookup.seconds = Empty,
        );
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.0.as_ref().map(|span| span.enter())
    }

    /// Adds what became of the request. A second verdict takes the place of the first.
    pub(crate) fn record(&self, seen: &Observed<'_>) {
        let Some(span) = &self.0 else { return };
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        record(span, "verdict", Some(seen.verdict.as_str()));
        record(span, "code", seen.code().map(Code::as_str));
        record(span, "owner", seen.owner.map(MachineId::as_str));
        let presence = seen.presence.map(Presence::as_str);
        record(span, "owner.presence", presence);
        record(span, "epoch", seen.epoch);
        record(span, "source", seen.source.map(Source::as_str));
        record(span, "age.seconds", seconds(seen.age));
        record(span, "lookup.seconds", seconds(seen.lookup_time));
    }
}

/// What is `None` says nothing anyway, but some subscribers leave room for it.
fn record(span: &Span, field: &str, value: Option<impl Value>) {
    if let Some(value) = value {
        span.record(field, value);
    }
}
