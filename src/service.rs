//! The middleware itself.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use crate::{
    Head, MalformedSession, RenderContext, ResponseBody, ResponseFuture,
    cache::Pending,
    future::{Passed, Served},
    observe::RequestSpan,
    policy::{Act, Answer, Policy, Question},
};

/// A service that serves requests only for sessions that this machine owns.
///
/// Made by [`OwnershipLayer`](crate::OwnershipLayer). Every other request is handed to the owner or
/// refused; requests for no session pass.
///
/// # Clone
/// A clone costs what a clone of the inner service costs, and one reference count.
#[derive(Clone)]
pub struct Ownership<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S> Ownership<S> {
    pub(crate) fn new(inner: S, policy: Arc<Policy>) -> Self {
        Self { inner, policy }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Ownership<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let head = Head::from(&request);
        let id = match self.policy.named(&head) {
            Ok(Some(id)) => id,
            Ok(None) if self.policy.searches.are_required => {
                let response = self.policy.missing(RenderContext::of(&head));
                let (head, body) = request.into_parts();
                return ResponseFuture::answer(response, &Head::from(&head), body, &self.policy);
            }
            Ok(None) => {
                let passed = Passed::without_session(&self.policy, &mut request);
                return ResponseFuture::pass(self.inner.call(request), passed);
            }
            Err(malformed) => return self.malformed(request, malformed),
        };
        let hit = match self.policy.sessions.cache.hit(&id) {
            Some(hit) if self.policy.passes_at_once(&head, &hit) => {
                let served = Served::new(&self.policy, &mut request, hit.into());
                return ResponseFuture::pass(self.inner.call(request), Some(served.into()));
            }
            hit => hit,
        };
        let question = self.policy.question(&head, id);
        let span = self.policy.span(&question);
        let found = self.policy.known(&question, hit);
        let (mut head, body) = request.into_parts();
        let Some(found) = found else {
            let lookup = self.policy.look_up(&question);
            return self.wait(lookup, head, body, question, span);
        };
        match self.policy.judge(&mut head, &question, found, &span) {
            Act::Answer(answer) => self.answer(answer, head, body),
            Act::Claim(claim) => self.wait(claim, head, body, question.claimed(), span),
            #[cfg(feature = "forward")]
            Act::Carry => {
                let inner = self.inner.call(Request::from_parts(head, body));
                ResponseFuture::pass(inner, None)
            }
            Act::Pass(grant) => {
                let request = Request::from_parts(head, body);
                ResponseFuture::confirm(&mut self.inner, request, &self.policy, grant, span)
            }
        }
    }
}

impl<S: Clone> Ownership<S> {
    #[cold]
    fn malformed<B>(
        &mut self,
        request: Request<B>,
        malformed: MalformedSession,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        let (mut head, body) = request.into_parts();
        let answer = self.policy.malformed(&mut head, malformed);
        self.answer(answer, head, body)
    }

    /// Answers the request, or has it read again.
    fn answer<B>(&mut self, answer: Answer, head: Parts, body: B) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        match answer {
            Ok(response) => {
                ResponseFuture::answer(response, &Head::from(&head), body, &self.policy)
            }
            Err(unsettled) => {
                let service = self.take_ready();
                ResponseFuture::settle(unsettled, service, head, body, &self.policy)
            }
        }
    }

    /// Leaves the request waiting for what the directory says.
    fn wait<B>(
        &mut self,
        pending: Pending,
        head: Parts,
        body: B,
        question: Question,
        span: RequestSpan,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        let service = self.take_ready();
        ResponseFuture::wait(pending, service, head, body, &self.policy, question, span)
    }

    /// Takes the service that was polled ready and leaves a clone, which was not, for next time.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

impl<S: fmt::Debug> fmt::Debug for Ownership<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ownership")
            .field("inner", &self.inner)
            .field("machine", &self.policy.machine)
            .finish_non_exhaustive()
    }
}
