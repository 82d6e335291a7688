//! The future of a response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    Head, RenderContext, ResponseBody,
    cache::Pending,
    observe::RequestSpan,
    ownership::Grant,
    policy::{Act, Policy, Question, Unsettled},
};

mod discard;
mod held;
mod passed;
mod settling;
mod streamed;

use discard::Discard;
pub(crate) use discard::DiscardLimits;
use held::Held;
pub(crate) use passed::Passed;
pub(crate) use passed::Served;
use passed::asks_for_answer;
use settling::Settling;
use streamed::delivered;

pin_project! {
    /// The response of [`Ownership`](crate::Ownership).
    ///
    /// Dropping it drops the lookup or the inner response and leaves nothing behind.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S: Service<Request<B>>, B> {
        #[pin]
        state: State<S, S::Future, S::Response, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, T, B> {
        // Boxed, since it is large: a request that needs no lookup should not have to move it.
        Waits { waiting: Option<Box<Waiting<S, B>>> },
        Settles { settling: Option<Box<Settling<S, B>>> },
        // No response to it can ask for an answer of the layer's.
        Plain { #[pin] inner: F },
        Pass { #[pin] inner: F, passed: Option<Passed> },
        // What the response tells is being written.
        Holds { held: Option<Box<Held<T>>> },
        // `unread`: what is left of the request's body is read first. Boxed, for few requests have one.
        Answer { response: Option<Response<Bytes>>, unread: Option<Pin<Box<Discard<B>>>> },
    }
}

/// A request that waits for a lookup or a claim, the service that is ready for it, and who will judge.
struct Waiting<S, B> {
    pending: Pending,
    head: Parts,
    body: B,
    service: S,
    policy: Arc<Policy>,
    question: Question,
    span: RequestSpan,
}

impl<S: Service<Request<B>>, B: Body> Waiting<S, B> {
    /// Has the forwarder, which is the service, carry the request.
    #[cfg(feature = "forward")]
    fn carry(mut self) -> State<S, S::Future, S::Response, B> {
        let request = Request::from_parts(self.head, self.body);
        State::pass(self.service.call(request), None)
    }

    fn settle(self, unsettled: Box<Unsettled>) -> Settling<S, B> {
        let Self {
            head,
            body,
            service,
            policy,
            ..
        } = self;
        Settling::new(unsettled, service, head, body, &policy)
    }

    fn pass(mut self, grant: Grant) -> State<S, S::Future, S::Response, B> {
        let request = Request::from_parts(self.head, self.body);
        confirm(&mut self.service, request, &self.policy, grant, self.span)
    }

    fn answer(self, response: Response<Bytes>) -> State<S, S::Future, S::Response, B> {
        State::answer(response, &Head::from(&self.head), self.body, &self.policy)
    }
}

impl<S, F, T, B: Body> State<S, F, T, B> {
    #[inline]
    fn pass(inner: F, passed: Option<Passed>) -> Self {
        match passed {
            None => Self::Plain { inner },
            passed => Self::Pass { inner, passed },
        }
    }

    fn answer(response: Response<Bytes>, head: &Head<'_>, body: B, policy: &Policy) -> Self {
        Self::Answer {
            response: Some(response),
            unread: Discard::begin(head, body, policy.refused_bodies),
        }
    }
}

impl<S: Service<Request<B>>, B: Body> ResponseFuture<S, B> {
    /// Passes on what the inner service answers to a request for no session.
    pub(crate) fn pass(inner: S::Future, passed: Option<Passed>) -> Self {
        Self {
            state: State::pass(inner, passed),
        }
    }

    /// Answers a request, whose body is of no use then.
    pub(crate) fn answer(
        response: Response<Bytes>,
        head: &Head<'_>,
        body: B,
        policy: &Policy,
    ) -> Self {
        Self {
            state: State::answer(response, head, body, policy),
        }
    }

    /// Waits for what is not known yet, or not owned.
    pub(crate) fn wait(
        pending: Pending,
        service: S,
        head: Parts,
        body: B,
        policy: &Arc<Policy>,
        question: Question,
        span: RequestSpan,
    ) -> Self {
        let waiting = Waiting {
            pending,
            head,
            body,
            service,
            policy: Arc::clone(policy),
            question,
            span,
        };
        Self {
            state: State::Waits {
                waiting: Some(Box::new(waiting)),
            },
        }
    }

    /// Reads the request again, and waits for what has to be looked up for that.
    #[cold]
    pub(crate) fn settle(
        unsettled: Box<Unsettled>,
        service: S,
        head: Parts,
        body: B,
        policy: &Arc<Policy>,
    ) -> Self {
        let settling = Settling::new(unsettled, service, head, body, policy);
        Self {
            state: State::Settles {
                settling: Some(Box::new(settling)),
            },
        }
    }

    /// Calls the inner service, unless what stood between the verdict and now took too long.
    pub(crate) fn confirm(
        service: &mut S,
        request: Request<B>,
        policy: &Arc<Policy>,
        grant: Grant,
        span: RequestSpan,
    ) -> Self {
        Self {
            state: confirm(service, request, policy, grant, span),
        }
    }
}

fn confirm<S: Service<Request<B>>, B: Body>(
    service: &mut S,
    mut request: Request<B>,
    policy: &Arc<Policy>,
    grant: Grant,
    span: RequestSpan,
) -> State<S, S::Future, S::Response, B> {
    // Entered before the last look: the span's subscriber may block, too.
    let current = span.get().cloned();
    let entered = current.as_ref().map(|span| span.enter());
    if let Err(refusal) = policy.confirm(&grant) {
        drop(entered);
        let (head, body) = request.into_parts();
        let head = Head::from(&head);
        let context = RenderContext::of(&head);
        let response = policy.lapsed(&refusal, &grant.session, &span, context);
        return State::answer(response, &head, body, policy);
    }
    let served = Served::new(policy, &mut request, grant).in_span(span);
    State::Pass {
        inner: service.call(request),
        passed: Some(served.into()),
    }
}

/// What becomes of a response that is not just passed on: the layer's answer in its place, a stream
/// that ends with the ownership, or a wait until what it tells is written.
#[cold]
#[inline(never)]
fn attended<R>(
    response: Response<R>,
    passed: &mut Option<Passed>,
) -> Result<Response<ResponseBody<R>>, Box<Held<Response<R>>>> {
    let asked = response.extensions();
    if asks_for_answer(asked)
        && let Some(answer) = passed.take().and_then(|passed| passed.answer(asked))
    {
        return Ok(answer.map(ResponseBody::ours));
    }
    match passed.take() {
        Some(passed) => Held::if_it_has_to(response, passed),
        None => Ok(response.map(ResponseBody::inner)),
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    B: Body,
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Waits { waiting } => {
                    let Some(waits) = waiting.as_deref_mut() else {
                        return Poll::Pending;
                    };
                    let found = match waits.span.get() {
                        Some(span) => span.in_scope(|| Pin::new(&mut waits.pending).poll(cx)),
                        None => Pin::new(&mut waits.pending).poll(cx),
                    };
                    let (policy, span) = (&waits.policy, &waits.span);
                    match policy.judge(&mut waits.head, &waits.question, ready!(found), span) {
                        Act::Claim(claim) => {
                            waits.pending = claim;
                            waits.question.claimed = true;
                            continue;
                        }
                        Act::Answer(Ok(response)) => {
                            let Some(waiting) = waiting.take() else {
                                return Poll::Pending;
                            };
                            waiting.answer(response)
                        }
                        Act::Answer(Err(unsettled)) => {
                            let Some(waiting) = waiting.take() else {
                                return Poll::Pending;
                            };
                            State::Settles {
                                settling: Some(Box::new(waiting.settle(unsettled))),
                            }
                        }
                        #[cfg(feature = "forward")]
                        Act::Carry => match waiting.take() {
                            Some(waiting) => waiting.carry(),
                            None => return Poll::Pending,
                        },
                        Act::Pass(grant) => match waiting.take() {
                            Some(waiting) => waiting.pass(grant),
                            None => return Poll::Pending,
                        },
                    }
                }
                StateProj::Settles { settling } => {
                    let Some(settles) = settling else {
                        return Poll::Pending;
                    };
                    let (head, settled) = ready!(settles.poll(cx));
                    let Some(settling) = settling.take() else {
                        return Poll::Pending;
                    };
                    settling.act(head, settled)
                }
                StateProj::Plain { inner } => {
                    let response = ready!(inner.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                StateProj::Pass { inner, passed } => {
                    let polled = match passed.as_ref().and_then(Passed::span) {
                        None => inner.poll(cx),
                        Some(span) => span.in_scope(|| inner.poll(cx)),
                    };
                    let response = ready!(polled)?;
                    let plain = !asks_for_answer(response.extensions())
                        && !passed.as_ref().is_some_and(Passed::needs_attention);
                    if plain {
                        return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                    }
                    match attended(response, passed) {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(held) => State::Holds { held: Some(held) },
                    }
                }
                StateProj::Holds { held } => {
                    let Some(holds) = held else {
                        return Poll::Pending;
                    };
                    let ours = ready!(holds.writing.as_mut().poll(cx));
                    let Some(holds) = held.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(match ours {
                        Some(answer) => answer.map(ResponseBody::ours),
                        None => delivered(holds.response, holds.watched),
                    }));
                }
                StateProj::Answer { response, unread } => {
                    if let Some(body) = unread {
                        ready!(body.as_mut().poll(cx));
                        *unread = None;
                    }
                    // A future that was ready may not be polled again; one that is says nothing.
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(response.map(ResponseBody::ours)));
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Waits { .. } => "ResponseFuture::Waits",
            State::Settles { .. } => "ResponseFuture::Settles",
            State::Plain { .. } | State::Pass { .. } => "ResponseFuture::Pass",
            State::Holds { .. } => "ResponseFuture::Holds",
            State::Answer { .. } => "ResponseFuture::Answer",
        })
    }
}
