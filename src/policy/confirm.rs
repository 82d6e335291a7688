//! The last look before a request passes.

use bytes::Bytes;
use http::Response;

use super::{Policy, Question};
use crate::{
    Head, NodeState, Observed, RenderContext, RequestOrigin, Session, Verdict,
    decision::{Decision, Refusal, serve},
    observe::RequestSpan,
    ownership::{Grant, Lease},
};

impl Policy {
    /// Whether the request may still pass, asked right before it does.
    ///
    /// Between the decision and the handler stand the log, the verdict hook and the subscriber of
    /// the span. Each may block (a pipe that is full), for longer than the read that was decided by
    /// can be relied on. To tell of the verdict before it is reached was rejected: the event holds
    /// what the decision was made from.
    #[inline]
    pub(crate) fn confirm(&self, grant: &Grant) -> Result<(), Box<Refusal>> {
        if grant.still_serves(&self.sessions.node) {
            return Ok(());
        }
        self.decide_again(grant)
    }

    #[cold]
    fn decide_again(&self, grant: &Grant) -> Result<(), Box<Refusal>> {
        let node = &self.sessions.node;
        let (state, lease) = (node.state(), grant.lease(node));
        // Almost always it may, and then nothing has to be cloned.
        if state == NodeState::Serving && lease.is_valid() {
            return Ok(());
        }
        let is_volatile = node.is_volatile();
        match serve(grant.session.clone(), state, lease, is_volatile) {
            Decision::Reject(refusal) => Err(Box::new(refusal)),
            _ => Ok(()),
        }
    }

    /// Refuses a request that may not pass any more: a second verdict, which corrects the first.
    #[cold]
    pub(crate) fn lapsed(
        &self,
        refusal: &Refusal,
        session: &Session,
        span: &RequestSpan,
        head: &Head<'_>,
    ) -> Response<Bytes> {
        let question = Question {
            session: session.id().clone(),
            origin: RequestOrigin::Direct,
            claimed: false,
        };
        let rejection = self.rejection(refusal, &question);
        let line = self.refused_line(head, session.id(), &rejection, span);
        let seen = Observed {
            session: Some(session.id()),
            request: line.as_deref(),
            ..self.saw(Verdict::Reject(refusal.code)).of(session)
        };
        let rejection = if refusal.lease == Some(Lease::Expired) {
            rejection.held_up()
        } else {
            rejection
        };
        self.refuse(rejection, &seen, span, RenderContext::of(head))
    }
}
