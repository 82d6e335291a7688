//! A request that waits for a lookup or a claim.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{Next, Pass, Readying, Settling, State};
use crate::{
    Head,
    cache::Pending,
    observe::RequestSpan,
    ownership::Grant,
    policy::{Act, Answer, Question, SharedPolicy},
};

/// The request, the service that it may pass to, and what judges it.
pub(super) struct Waiting<S, B> {
    pub(super) pending: Pending,
    pub(super) head: Parts,
    pub(super) body: B,
    pub(super) service: S,
    pub(super) policy: Arc<SharedPolicy>,
    pub(super) question: Question,
    pub(super) span: RequestSpan,
}

impl<S: Service<Request<B>>, B: Body> Waiting<S, B> {
    /// What becomes of the request.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Judged> {
        loop {
            let found = match self.span.get() {
                Some(span) => span.in_scope(|| Pin::new(&mut self.pending).poll(cx)),
                None => Pin::new(&mut self.pending).poll(cx),
            };
            let (policy, span) = (&self.policy, &self.span);
            match policy.judge(&mut self.head, &self.question, ready!(found), span) {
                Act::Claim(claim) => {
                    self.pending = claim;
                    self.question.claimed = true;
                }
                Act::Answer(answer) => return Poll::Ready(Judged::Answered(answer)),
                #[cfg(feature = "forward")]
                Act::Carry => return Poll::Ready(Judged::IsCarried),
                Act::Pass(grant) => return Poll::Ready(Judged::Passes(grant)),
            }
        }
    }

    pub(super) fn act(self, judged: Judged) -> Next<S, B> {
        let Self {
            head,
            body,
            service,
            policy,
            span,
            ..
        } = self;
        match judged {
            Judged::Passes(grant) => {
                let request = Request::from_parts(head, body);
                let pass = Pass::For(grant, span);
                State::make_ready(Readying::new(service, request, policy, pass))
            }
            #[cfg(feature = "forward")]
            Judged::IsCarried => super::carry(service, Request::from_parts(head, body)),
            Judged::Answered(Ok(response)) => {
                State::answer(response, &Head::from(&head), body, &policy)
            }
            Judged::Answered(Err(unsettled)) => {
                State::settle(Settling::new(unsettled, service, head, body, &policy))
            }
        }
    }
}

/// What a request came to that waited.
pub(super) enum Judged {
    Passes(Grant),
    #[cfg(feature = "forward")]
    IsCarried,
    Answered(Answer),
}
