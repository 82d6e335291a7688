//! What is said of a request: to the log, to the meters and to the hook.

use tracing::{Level, level_filters::LevelFilter};

use super::Policy;
use crate::{
    Head, Observed, RequestOrigin, Verdict,
    observe::{RequestSpan, Say},
};

impl Policy {
    /// Notes a request that is for no session.
    #[inline]
    pub(crate) fn note_pass_without_session(&self, head: &Head<'_>) {
        self.searches.missed(head, &*self.extract);
        if self.has_listener(Level::TRACE) {
            self.tell(&self.saw(Verdict::Pass), &RequestSpan::default());
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
            let say = self.warnings.say(code, self.sessions.node.now());
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
