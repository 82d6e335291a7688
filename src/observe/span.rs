//! The span around a request for a session.

use std::time::Duration;

use tracing::{Level, Span, Value, field::Empty, level_filters::LevelFilter};

use super::{Chain, Observed};
use crate::{CacheStatus, MachineId, OwnerStatus, RejectionCode, RequestOrigin, SessionId};

/// A span, where a subscriber collects it; otherwise nothing that a request would have to carry.
///
/// A caller that enters it asks [`get`](Self::get) first and does without a guard if there is none: a
/// guard that may be empty costs every request more than the one comparison that it should.
#[derive(Debug, Default)]
pub(crate) struct RequestSpan(Option<Box<Span>>);

impl RequestSpan {
    #[inline]
    pub(crate) fn begin(session: &SessionId, machine: &MachineId, origin: &RequestOrigin) -> Self {
        if Level::DEBUG <= LevelFilter::current() {
            Self::open(session, machine, origin.hops())
        } else {
            Self(None)
        }
    }

    #[cold]
    fn open(session: &SessionId, machine: &MachineId, hops: u8) -> Self {
        // Asked first, because with tracing's feature `log`, which any crate in the application may
        // turn on, a span that no subscriber collects still formats its fields.
        if !tracing::span_enabled!(target: "tower_ownership::request", Level::DEBUG) {
            return Self(None);
        }
        let span = tracing::debug_span!(
            target: "tower_ownership::request",
            "ownership",
            verdict = Empty,
            rejection_code = Empty,
            session_id = %session.short(),
            owner = Empty,
            owner_status = Empty,
            epoch = Empty,
            machine = machine.as_str(),
            hops,
            replay_failed = Empty,
            replay_source = Empty,
            cache_status = Empty,
            age_seconds = Empty,
            lookup_seconds = Empty,
            detail = Empty,
            cause = Empty,
            request_id = Empty,
            traceparent = Empty,
            method = Empty,
            path = Empty,
            otel.status_code = Empty,
        );
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    /// The span of a request that went on without its layer.
    #[cfg(feature = "forward")]
    pub(crate) fn of(span: Option<Span>) -> Self {
        Self(span.map(Box::new))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&Span> {
        self.0.as_deref()
    }
}

impl Observed<'_> {
    /// Adds what became of the request to its span. A second verdict takes the place of the first.
    pub(crate) fn record(&self, span: &Span) {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        record(span, "verdict", Some(self.verdict.as_str()));
        record(
            span,
            "rejection_code",
            self.code().map(RejectionCode::as_str),
        );
        // What `tracing-opentelemetry` makes the span's status of.
        let is_error = self.code().is_some_and(|code| self.concerns_operator(code));
        record(span, "otel.status_code", is_error.then_some("ERROR"));
        record(span, "owner", self.owner.map(MachineId::as_str));
        let owner_status = self.owner_status.map(OwnerStatus::as_str);
        record(span, "owner_status", owner_status);
        record(span, "epoch", self.epoch);
        if let Some(failure) = self.failure() {
            record(span, "replay_failed", Some(failure.reason.as_str()));
            let source = failure.replay_source.as_ref();
            record(span, "replay_source", source.map(MachineId::as_str));
        }
        record(
            span,
            "cache_status",
            self.cache_status.map(CacheStatus::as_str),
        );
        record(span, "age_seconds", seconds(self.age));
        record(span, "lookup_seconds", seconds(self.lookup_time));
        record(span, "detail", self.detail);
        let error = self
            .error
            .map(|error| tracing::field::display(Chain(error)));
        record(span, "cause", error);
        if let Some(request) = self.request {
            record(span, "request_id", request.request_id());
            record(span, "traceparent", request.traceparent());
            record(span, "method", Some(request.method()));
            record(span, "path", Some(request.path()));
        }
    }
}

/// What is `None` says nothing anyway, but some subscribers leave room for it.
fn record(span: &Span, field: &str, value: Option<impl Value>) {
    if let Some(value) = value {
        span.record(field, value);
    }
}
