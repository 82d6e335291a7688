//! What is said of a request: to the log, to the meters and to the hook.

use tracing::{Level, level_filters::LevelFilter};

use super::Policy;
use crate::{
    Head, Observed, RejectionCode, RequestOrigin, SessionId, Verdict,
    observe::{RequestLine, RequestSpan, Say},
};

impl Policy {
    /// Notes a request that is for no session.
    #[inline]
    pub(crate) fn note_pass_without_session(&self, head: &Head<'_>) {
        self.searches.missed(head, &*self.extract);
        if self.has_listener(Level::TRACE) {
            let line = self.line(head, None, Verdict::Pass, &RequestSpan::default());
            let request = line.as_deref();
            let seen = Observed {
                request,
                ..self.saw(Verdict::Pass)
            };
            self.tell(&seen, &RequestSpan::default());
        } else {
            self.meter
                .reached(Verdict::Pass, None, &RequestOrigin::Direct);
        }
    }

    /// Whether a verdict that the log tells at this level has to be told at all. Where it has not, what
    /// would be told is not gathered.
    #[inline]
    pub(super) fn has_listener(&self, level: Level) -> bool {
        self.observe.is_some() || level <= LevelFilter::current()
    }

    /// What others call the request, if anything listens to this verdict.
    pub(super) fn line(
        &self,
        head: &Head<'_>,
        session: Option<&SessionId>,
        verdict: Verdict,
        span: &RequestSpan,
    ) -> Option<Box<RequestLine>> {
        const TARGET: &str = "tower_ownership::verdict";
        let is_logged = match verdict {
            Verdict::Reject(code)
                if code.entry().operator || code == RejectionCode::SessionUnknown =>
            {
                tracing::enabled!(target: TARGET, Level::WARN)
            }
            Verdict::Reject(_) => tracing::enabled!(target: TARGET, Level::INFO),
            Verdict::Pass if session.is_none() => tracing::enabled!(target: TARGET, Level::TRACE),
            Verdict::Pass | Verdict::Claim | Verdict::Replay => {
                tracing::enabled!(target: TARGET, Level::DEBUG)
            }
        };
        let is_asked_for = is_logged || self.observe.is_some() || span.get().is_some();
        is_asked_for.then(|| Box::new(RequestLine::of(head, session)))
    }

    /// What is seen of any request.
    pub(super) fn saw(&self, verdict: Verdict) -> Observed<'_> {
        Observed {
            verdict,
            session: None,
            owner: None,
            owner_status: None,
            epoch: None,
            machine: &self.machine,
            origin: &RequestOrigin::Direct,
            cache_status: None,
            age: None,
            lookup_time: None,
            detail: None,
            error: None,
            request: None,
            directory: None,
            sender_directory: None,
        }
    }

    pub(super) fn tell(&self, seen: &Observed<'_>, span: &RequestSpan) {
        let _entered = span.get().map(|span| {
            seen.record(span);
            span.enter()
        });
        self.meter
            .reached(seen.verdict, seen.cache_status, seen.origin);
        seen.emit(|code| {
            let cause = self.warnings.cause(code, seen);
            let say = self.warnings.say(cause, self.sessions.node.now());
            if say == Say::Quietly {
                self.meter.held_back(code);
            }
            say
        });
        if let Some(observe) = &self.observe {
            observe.observe(seen);
        }
    }
}
