//! Sessions that are none, or none any more, in a request that may do without.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, request::Parts};
use tracing::debug;

use super::{Policy, Question, refuse::expiring};
use crate::{
    CacheStatus, Head, MalformedSession, Observed, RejectionCode, RenderContext, SessionId,
    Verdict, cache::Found, decision::Refusal, extract::MAX_CANDIDATES, observe::RequestSpan,
};

/// The answer to a request that is not served, unless it is to be read again.
pub(crate) type Answer = Result<Response<Bytes>, Box<Unsettled>>;

/// Why a request has to be read again.
pub(crate) enum Unsettled {
    /// This was taken out of it.
    TakenOut(Refused),
    /// It names these sessions.
    Twins(Vec<SessionId>),
}

/// Why a request is refused, unless it may do without what was taken out of it.
pub(crate) struct Refused {
    pub(crate) why: Why,
    /// What makes the client forget that.
    pub(super) expiry: Vec<HeaderValue>,
}

#[derive(Clone)]
pub(crate) enum Why {
    /// It cannot be an id.
    Malformed(MalformedSession),
    /// Its session is unknown or over; or the directory does not say whether it is.
    Judged {
        question: Question,
        refusal: Box<Refusal>,
        read: Read,
    },
}

/// Where what is known of a session comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(super) cache_status: CacheStatus,
    pub(super) age: Duration,
    pub(super) waited: Option<Duration>,
}

impl Refused {
    /// The client is not made to forget it: its session may be alive.
    pub(super) fn without_expiry(why: Why) -> Self {
        let expiry = Vec::new();
        Self { why, expiry }
    }

    /// For two sessions in one request.
    pub(super) fn ambiguous() -> Self {
        Self::without_expiry(Why::Malformed(MalformedSession::Ambiguous))
    }
}

impl Read {
    pub(crate) fn of(found: &Found) -> Self {
        Self {
            cache_status: found.cache_status,
            age: found.age,
            waited: found.waited,
        }
    }
}

impl Why {
    pub(crate) fn judged(question: Question, refusal: Refusal, read: Read) -> Self {
        let refusal = Box::new(refusal);
        Self::Judged {
            question,
            refusal,
            read,
        }
    }

    /// How long the request waited for it to be looked up.
    pub(super) fn waited(&self) -> Option<Duration> {
        match self {
            Self::Malformed(_) => None,
            Self::Judged { read, .. } => read.waited,
        }
    }

    /// The code of the refusal, and the session.
    pub(crate) fn code(&self) -> (RejectionCode, Option<&SessionId>) {
        match self {
            Self::Malformed(MalformedSession::NotAnId) => (RejectionCode::SessionUnknown, None),
            Self::Malformed(_) => (RejectionCode::SessionMalformed, None),
            Self::Judged {
                question, refusal, ..
            } => (refusal.code, Some(&question.session)),
        }
    }
}

impl Policy {
    /// Takes the dead session out of the request, or refuses the request.
    #[cold]
    pub(super) fn turn_down(
        &self,
        head: &mut Parts,
        question: &Question,
        refusal: Refusal,
        seen: &Observed<'_>,
        read: Read,
        span: &RequestSpan,
    ) -> Answer {
        let (is_out, expiry) = self.take_out(head);
        if is_out {
            let why = Why::judged(question.clone(), refusal, read);
            return Err(self.settle_without(Refused { why, expiry }));
        }
        let context = RenderContext::of(&Head::from(&*head));
        let response = self.reject(&refusal, question, seen, span, context);
        Ok(expiring(response, &expiry))
    }

    /// The same for a request whose session id cannot be read.
    #[cold]
    pub(crate) fn malformed(&self, head: &mut Parts, malformed: MalformedSession) -> Answer {
        if malformed == MalformedSession::Ambiguous {
            let twins = self.extract.candidates(&Head::from(&*head));
            if (2..=MAX_CANDIDATES).contains(&twins.len()) {
                return Err(Box::new(Unsettled::Twins(twins)));
            }
            return Ok(self.refuse_unread(malformed, &Head::from(&*head)));
        }
        let (is_out, expiry) = self.take_out(head);
        if is_out {
            let why = Why::Malformed(malformed);
            return Err(self.settle_without(Refused { why, expiry }));
        }
        let response = self.refuse_unread(malformed, &Head::from(&*head));
        Ok(expiring(response, &expiry))
    }

    /// Takes out of the request what the extractor reads there. Returns whether it did, and what makes
    /// the client forget it.
    pub(crate) fn take_out(&self, head: &mut Parts) -> (bool, Vec<HeaderValue>) {
        // As it is written there: a directory may write the id in another way.
        let id = self.extract.session(&Head::from(&*head)).ok().flatten();
        let expiry = self.extract.expiry(&Head::from(&*head)).to_vec();
        (self.forget(head, id.as_ref()), expiry)
    }

    /// Takes this session out of the request; `None`: what cannot be one.
    pub(super) fn forget(&self, head: &mut Parts, id: Option<&SessionId>) -> bool {
        let is_out = self.extract.forget(head, id);
        // A probe is answered for the session that it was sent for, and for no other.
        #[cfg(feature = "probe")]
        if is_out {
            crate::probe::forget(head);
        }
        is_out
    }

    /// Says in the log what was taken out.
    pub(super) fn tell_taken_out(&self, why: &Why) {
        let (code, session) = why.code();
        let what = match why {
            Why::Malformed(MalformedSession::Ambiguous) => "another spelling of the session",
            Why::Malformed(_) => "what cannot be an id",
            Why::Judged { .. } => "a dead session",
        };
        debug!(
            target: "tower_ownership::extract",
            rejection_code = code.as_str(),
            session_id = session.map(|id| tracing::field::display(id.short())),
            extractor = &*self.extract.describe(),
            "{what} is taken out of the request"
        );
    }

    fn settle_without(&self, taken_out: Refused) -> Box<Unsettled> {
        self.tell_taken_out(&taken_out.why);
        Box::new(Unsettled::TakenOut(taken_out))
    }

    fn refuse_unread(&self, malformed: MalformedSession, head: &Head<'_>) -> Response<Bytes> {
        let line = self.early_line(head);
        self.refuse_malformed(malformed, line.as_deref(), RenderContext::of(head))
    }

    /// Refuses the request for what was taken out of it. `head`: its head, where that is still there.
    pub(crate) fn refuse_late(
        &self,
        refused: &Refused,
        head: Option<&Head<'_>>,
        context: RenderContext,
    ) -> Response<Bytes> {
        let line = head.and_then(|head| {
            let (code, session) = refused.why.code();
            self.line(
                head,
                session,
                Verdict::Reject(code),
                &RequestSpan::default(),
            )
        });
        let request = line.as_deref();
        let response = match &refused.why {
            Why::Malformed(malformed) => self.refuse_malformed(*malformed, request, context),
            Why::Judged {
                question,
                refusal,
                read,
            } => {
                let seen = Observed {
                    session: Some(&question.session),
                    origin: &question.origin,
                    cache_status: Some(read.cache_status),
                    age: Some(read.age),
                    lookup_time: read.waited,
                    request,
                    ..self.saw(Verdict::Reject(refusal.code))
                };
                // The request has left the span that it was in.
                self.reject(refusal, question, &seen, &self.span(question), context)
            }
        };
        expiring(response, &refused.expiry)
    }
}
