//! The middleware itself.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

#[cfg(feature = "forward")]
use crate::forward::ForwardTo;
use crate::{
    Head, MalformedSession, RenderContext, ResponseBody, ResponseFuture, SessionId,
    cache::Pending,
    future::{Pass, Passed, Served},
    observe::RequestSpan,
    policy::{Act, Answer, AtOnce, Question, SharedPolicy},
};

/// A service that serves requests only for sessions that this machine owns.
///
/// Made by [`OwnershipLayer`](crate::OwnershipLayer). Every other request is handed to the owner or
/// refused; requests for no session pass.
///
/// # Readiness
/// It is always ready. The wrapped service is asked when a request is about to pass to it, so one that
/// is at its limit delays neither handovers nor refusals, and a request that waits for its lookup takes
/// no permit of it. A request that has to wait for the wrapped service does so in its response's future,
/// and is judged once more before it passes.
///
/// | layer of tower | inside of this one | outside |
/// | --- | --- | --- |
/// | `ConcurrencyLimit` | counts what this machine serves | counts everything, also lookups and handovers: at the limit, a machine cannot hand over the requests that would relieve it |
/// | `LoadShed` | sheds what would have to wait for the service in it | never sheds, since this one is always ready |
/// | `Buffer` | queues what passes | queues everything |
///
/// # Clone
/// A clone costs what a clone of the inner service costs, and one reference count.
#[derive(Clone)]
pub struct Ownership<S> {
    inner: S,
    policy: Arc<SharedPolicy>,
}

impl<S> Ownership<S> {
    pub(crate) fn new(inner: S, policy: Arc<SharedPolicy>) -> Self {
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

    /// Always ready: the wrapped service is asked when a request is about to pass to it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let head = Head::from(&request);
        // What passes is moved from here, for each function that takes the request moves it once more.
        let id = match self.policy.named(&head) {
            Ok(Some(id)) => id,
            Ok(None) if self.policy.searches.are_required => return self.missing(request),
            Ok(None) => {
                return match self.poll_inner() {
                    Poll::Ready(Ok(())) if self.policy.passes_unseen() => {
                        ResponseFuture::plain(self.inner.call(request))
                    }
                    Poll::Ready(Ok(())) => {
                        let passed = Passed::without_session(&self.policy, &mut request);
                        ResponseFuture::pass(self.inner.call(request), passed)
                    }
                    polled => self.make_ready(polled, request, Pass::WithoutSession(None)),
                };
            }
            Err(malformed) => return self.malformed(request, malformed),
        };
        match self.policy.at_once(&head, &id) {
            AtOnce::Passes(glance) => match self.poll_inner() {
                Poll::Ready(Ok(())) => {
                    let served = Served::at_once(&self.policy, &mut request, id, &glance);
                    ResponseFuture::serve(self.inner.call(request), served)
                }
                polled => {
                    let grant = self.policy.grant(&id, &glance);
                    self.make_ready(polled, request, Pass::For(grant, RequestSpan::default()))
                }
            },
            // Only requests without a body are.
            AtOnce::Answered(response) => ResponseFuture::ready(response),
            #[cfg(feature = "forward")]
            AtOnce::IsCarried(to) => self.carry_at_once(request, to),
            AtOnce::No => self.at_length(request, id),
        }
    }
}

impl<S: Clone> Ownership<S> {
    /// A request that takes a lookup, or is refused, or whose verdict something listens to.
    fn at_length<B, R>(&mut self, request: Request<B>, id: SessionId) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>>,
        B: Body,
    {
        let head = Head::from(&request);
        let hit = self.policy.sessions.cache.hit(&id);
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
                let pass = Pass::For(grant, span);
                match self.poll_inner() {
                    Poll::Ready(Ok(())) => {
                        ResponseFuture::call(&mut self.inner, request, &self.policy, pass)
                    }
                    polled => self.make_ready(polled, request, pass),
                }
            }
        }
    }

    /// Asks the wrapped service whether it is ready, with a waker that wakes nothing: one that is not
    /// is polled again where it has a task to wake.
    #[inline]
    fn poll_inner<B>(&mut self) -> Poll<Result<(), S::Error>>
    where
        S: Service<Request<B>>,
    {
        self.inner
            .poll_ready(&mut Context::from_waker(Waker::noop()))
    }

    /// A request that names no session, where every request has to.
    #[cold]
    fn missing<B>(&mut self, request: Request<B>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        let (head, body) = request.into_parts();
        let head = Head::from(&head);
        let response = self.policy.missing(Some(&head), RenderContext::of(&head));
        ResponseFuture::answer(response, &head, body, &self.policy)
    }

    /// A request that the forwarder, which is the wrapped service, carries to its owner. It is always ready for
    /// those.
    #[cfg(feature = "forward")]
    #[inline]
    fn carry_at_once<B>(&mut self, mut request: Request<B>, to: ForwardTo) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        request.extensions_mut().insert(to);
        ResponseFuture::plain(self.inner.call(request))
    }

    /// Leaves the request waiting until the wrapped service is ready. What was polled waits, and takes
    /// with it the place that it may hold in a queue; a clone stays.
    #[cold]
    fn make_ready<B>(
        &mut self,
        polled: Poll<Result<(), S::Error>>,
        request: Request<B>,
        pass: Pass,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
        B: Body,
    {
        if let Poll::Ready(Err(error)) = polled {
            return ResponseFuture::fail(error);
        }
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        ResponseFuture::make_ready(service, request, &self.policy, pass)
    }

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
                let service = self.inner.clone();
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
        let service = self.inner.clone();
        ResponseFuture::wait(pending, service, head, body, &self.policy, question, span)
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
