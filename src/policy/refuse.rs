//! Refusals: which one, and its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::{Policy, Question};
#[cfg(feature = "axum")]
use crate::axum::Mistake;
use crate::{
    Head, LookupError, MachineId, MalformedSession, NodeState, Observed, Rejection, RejectionCode,
    RenderContext, RequestOrigin, Session, SessionId, Verdict,
    decision::Refusal,
    observe::{RequestLine, RequestSpan},
    ownership::Lease,
};

impl Policy {
    /// The rejection of a request that the rules refuse.
    pub(crate) fn rejection(&self, refusal: &Refusal, question: &Question) -> Rejection {
        let Refusal {
            code,
            session,
            error,
            lease,
        } = refusal;
        let failed = error.as_ref().map(LookupError::kind);
        let owner = session.as_ref().and_then(Session::owner);
        let machine = self.machine.clone();
        let rejection = Rejection::of(*code, machine, owner, &question.origin, failed);
        match (code, lease, failed) {
            (RejectionCode::SessionMoving, Some(Lease::Pending { left }), _) => {
                rejection.retry_in(Duration::from_millis(*left))
            }
            (RejectionCode::LookupUnavailable, Some(Lease::Expired), _) => rejection.too_late(),
            (RejectionCode::SessionAbsent, ..) => rejection.with_its_process(),
            (RejectionCode::LookupUnavailable, _, Some(kind))
                if question.claimed && self.sessions.node.is_volatile() =>
            {
                rejection.of_an_end(kind)
            }
            (RejectionCode::LookupUnavailable, _, Some(kind)) if question.claimed => {
                rejection.of_a_claim(kind)
            }
            _ => rejection,
        }
    }

    /// Answers a request that the rules refuse.
    pub(super) fn reject(
        &self,
        refusal: &Refusal,
        question: &Question,
        seen: &Observed<'_>,
        span: &RequestSpan,
        context: RenderContext,
    ) -> Response<Bytes> {
        let seen = match &refusal.session {
            Some(session) => seen.of(session),
            None => *seen,
        };
        let error = refusal.error.as_ref();
        let rejection = self.rejection(refusal, question);
        self.refuse(rejection, &Observed { error, ..seen }, span, context)
    }

    /// Answers a request whose session id cannot be read.
    pub(super) fn refuse_malformed(
        &self,
        malformed: MalformedSession,
        request: Option<&RequestLine>,
        context: RenderContext,
    ) -> Response<Bytes> {
        let rejection = Rejection::malformed(self.machine.clone(), malformed);
        let seen = Observed {
            request,
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        self.refuse(rejection, &seen, &RequestSpan::default(), context)
    }

    /// Answers a request that names no session, where every request has to, or its handler needs one.
    /// `head`: its head, where that is still there.
    pub(crate) fn missing(
        &self,
        head: Option<&Head<'_>>,
        context: RenderContext,
    ) -> Response<Bytes> {
        let rejection = Rejection::missing(self.machine.clone(), &self.extract.describe());
        let line = head.and_then(|head| self.early_line(head));
        let seen = Observed {
            request: line.as_deref(),
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        self.refuse(rejection, &seen, &RequestSpan::default(), context)
    }

    /// Answers in the place of a handler that takes `Owned`, which did not reach it although the
    /// request names a session of this machine.
    #[cfg(feature = "axum")]
    pub(crate) fn not_told(&self, context: RenderContext) -> Response<Bytes> {
        let mistake = if self.tells_owned {
            Mistake::Removed
        } else {
            Mistake::NotInserted
        };
        finish(mistake.response(), context)
    }

    /// Answers in the place of an application that does not hold a session it should hold.
    pub(crate) fn absent(
        &self,
        session: &SessionId,
        expiry: &[HeaderValue],
        span: &RequestSpan,
        context: RenderContext,
    ) -> Response<Bytes> {
        let machine = self.machine.clone();
        let rejection = Rejection::of(
            RejectionCode::SessionAbsent,
            machine,
            None,
            &RequestOrigin::Direct,
            None,
        );
        let seen = Observed {
            session: Some(session),
            owner: Some(&self.machine),
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        expiring(self.refuse(rejection, &seen, span, context), expiry)
    }

    /// Adds which directories this machine and the one before read, where that one found the session and this
    /// one did not.
    pub(super) fn beside_sender<'a>(
        &self,
        seen: Observed<'a>,
        code: RejectionCode,
        head: &Head<'_>,
        origin: &RequestOrigin,
    ) -> Observed<'a> {
        if code != RejectionCode::SessionUnknown || !origin.is_handed_over() {
            return seen;
        }
        Observed {
            directory: self.sessions.cache.directory_id(),
            sender_directory: self.replay.directory(head),
            ..seen
        }
    }

    /// What others call a request whose session is not known.
    pub(super) fn early_line(&self, head: &Head<'_>) -> Option<Box<RequestLine>> {
        let verdict = Verdict::Reject(RejectionCode::SessionMalformed);
        self.line(head, None, verdict, &RequestSpan::default())
    }

    /// What others call a request that was to be handed over, and is refused.
    pub(super) fn refused_line(
        &self,
        head: &Head<'_>,
        session: &SessionId,
        rejection: &Rejection,
        span: &RequestSpan,
    ) -> Option<Box<RequestLine>> {
        self.line(head, Some(session), Verdict::Reject(rejection.code()), span)
    }

    /// Tells of a refusal and writes it.
    pub(super) fn refuse(
        &self,
        rejection: Rejection,
        seen: &Observed<'_>,
        span: &RequestSpan,
        context: RenderContext,
    ) -> Response<Bytes> {
        self.tell_of_refusal(&rejection, seen, span);
        self.write(rejection, seen.session, seen.owner, context)
    }

    pub(super) fn tell_of_refusal(
        &self,
        rejection: &Rejection,
        seen: &Observed<'_>,
        span: &RequestSpan,
    ) {
        let refused = Observed {
            verdict: Verdict::Reject(rejection.code()),
            detail: Some(rejection.detail()),
            ..*seen
        };
        self.tell(&refused, span);
    }

    /// Writes a refusal, without an event.
    pub(crate) fn write(
        &self,
        rejection: Rejection,
        session: Option<&SessionId>,
        owner: Option<&MachineId>,
        context: RenderContext,
    ) -> Response<Bytes> {
        let rejection = match session {
            Some(session) => rejection.for_session(session.clone(), owner),
            None => rejection,
        };
        let mut response = self.render.render(&rejection, context);
        response.extensions_mut().insert(rejection);
        // The client, or the proxy in front, would ask again on the connection that leads here. A new one goes
        // to a machine that is still sent requests.
        if context.is_http1 && self.sessions.node.state() > NodeState::Serving {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        finish(response, context)
    }
}

/// The refusal of a dead session, which makes the client forget it.
pub(crate) fn expiring(mut response: Response<Bytes>, expiry: &[HeaderValue]) -> Response<Bytes> {
    for line in expiry {
        response
            .headers_mut()
            .append(header::SET_COOKIE, line.clone());
    }
    response
}

/// What holds for every answer of ours: it is about this moment and this machine, so no cache may
/// keep it, and HEAD has no body.
pub(super) fn finish(mut response: Response<Bytes>, context: RenderContext) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if context.head_only {
        response.body_mut().clear();
    }
    response
}
