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
    Head, ResponseBody,
    cache::Pending,
    observe::RequestSpan,
    policy::{Question, SharedPolicy, Unsettled},
};

mod discard;
mod held;
mod hosted;
mod passed;
mod readying;
mod settling;
mod streamed;
mod waiting;

#[cfg(feature = "forward")]
pub(crate) use discard::has_to_be_read;
pub(crate) use discard::{Discard, DiscardLimits};
use held::Held;
pub(crate) use passed::Passed;
pub(crate) use passed::Served;
use passed::asks_for_answer;
#[cfg(feature = "forward")]
pub(crate) use passed::stands;
pub(crate) use readying::Pass;
use readying::Readying;
use settling::Settling;
#[cfg(feature = "forward")]
pub(crate) use streamed::Stream;
use streamed::delivered;
use waiting::Waiting;

pin_project! {
    /// The response of [`Ownership`](crate::Ownership).
    ///
    /// Dropping it drops the lookup or the inner response and leaves nothing behind.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S: Service<Request<B>>, B> {
        #[pin]
        state: State<S, S::Future, S::Response, S::Error, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, T, E, B> {
        // Boxed, since it is large: a request that needs no lookup should not have to move it.
        Waits { waiting: Option<Box<Waiting<S, B>>> },
        Settles { settling: Option<Box<Settling<S, B>>> },
        // The application is not ready for it.
        Readies { readying: Option<Box<Readying<S, B>>> },
        Fails { error: Option<E> },
        // No response to it can ask for an answer of the layer's.
        Plain { #[pin] inner: F },
        Pass { #[pin] inner: F, passed: Option<Passed> },
        // What the response tells is being written.
        Holds { held: Option<Box<Held<T>>> },
        // `unread`: what is left of the request's body is read first. Boxed, for few requests have one.
        Answer { response: Option<Response<Bytes>>, unread: Option<Pin<Box<Discard<B>>>> },
    }
}

/// What a future of this service goes on with.
type Next<S, B> = State<
    S,
    <S as Service<Request<B>>>::Future,
    <S as Service<Request<B>>>::Response,
    <S as Service<Request<B>>>::Error,
    B,
>;

impl<S, F, T, E, B: Body> State<S, F, T, E, B> {
    fn make_ready(readying: Readying<S, B>) -> Self {
        Self::Readies {
            readying: Some(Box::new(readying)),
        }
    }

    fn settle(settling: Settling<S, B>) -> Self {
        Self::Settles {
            settling: Some(Box::new(settling)),
        }
    }

    #[inline]
    fn pass(inner: F, passed: Option<Passed>) -> Self {
        match passed {
            None => Self::Plain { inner },
            passed => Self::Pass { inner, passed },
        }
    }

    fn answer(response: Response<Bytes>, head: &Head<'_>, body: B, policy: &SharedPolicy) -> Self {
        Self::Answer {
            response: Some(response),
            unread: Discard::begin(head, body, policy.refused_bodies),
        }
    }
}

impl<S: Service<Request<B>>, B: Body> ResponseFuture<S, B> {
    /// Passes on what the inner service answers, whatever that is.
    #[inline]
    pub(crate) fn plain(inner: S::Future) -> Self {
        Self {
            state: State::Plain { inner },
        }
    }

    /// Passes on what the inner service answers to a request for a session of this machine.
    #[inline]
    pub(crate) fn serve(inner: S::Future, served: Served) -> Self {
        Self {
            state: State::Pass {
                inner,
                passed: Some(Passed::Served(served)),
            },
        }
    }

    /// Passes on what the inner service answers to a request for no session.
    pub(crate) fn pass(inner: S::Future, passed: Option<Passed>) -> Self {
        Self {
            state: State::pass(inner, passed),
        }
    }

    /// Answers a request that has no body.
    pub(crate) fn ready(response: Response<Bytes>) -> Self {
        Self {
            state: State::Answer {
                response: Some(response),
                unread: None,
            },
        }
    }

    /// Answers a request, whose body is of no use then.
    pub(crate) fn answer(
        response: Response<Bytes>,
        head: &Head<'_>,
        body: B,
        policy: &SharedPolicy,
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
        policy: &Arc<SharedPolicy>,
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
        policy: &Arc<SharedPolicy>,
    ) -> Self {
        let settling = Settling::new(unsettled, service, head, body, policy);
        Self {
            state: State::settle(settling),
        }
    }

    /// Calls a service that is ready.
    pub(crate) fn call(
        service: &mut S,
        request: Request<B>,
        policy: &Arc<SharedPolicy>,
        pass: Pass,
    ) -> Self {
        Self {
            state: readying::call(service, request, policy, pass),
        }
    }

    /// Waits until the service is ready, which was polled and was not.
    #[cold]
    pub(crate) fn make_ready(
        service: S,
        request: Request<B>,
        policy: &Arc<SharedPolicy>,
        pass: Pass,
    ) -> Self {
        let readying = Readying::new(service, request, Arc::clone(policy), pass);
        Self {
            state: State::make_ready(readying),
        }
    }

    /// The service can never be ready.
    #[cold]
    pub(crate) fn fail(error: S::Error) -> Self {
        Self {
            state: State::Fails { error: Some(error) },
        }
    }
}

/// Has the forwarder, which is the service, carry the request. It is not made ready: that would wait for
/// the application in it, which a request that is carried does not reach.
#[cfg(feature = "forward")]
fn carry<S: Service<Request<B>>, B: Body>(mut service: S, request: Request<B>) -> Next<S, B> {
    State::pass(service.call(request), None)
}

#[inline]
fn unchanged<R>(response: Response<R>) -> Response<ResponseBody<R>> {
    response.map(ResponseBody::inner)
}

/// What becomes of a response that is not just passed on: the layer's answer in its place, a stream
/// that ends with the ownership, or a wait until what it tells is written.
#[cold]
#[inline(never)]
fn attended<R>(
    mut response: Response<R>,
    passed: &mut Option<Passed>,
) -> Result<Response<ResponseBody<R>>, Box<Held<Response<R>>>> {
    if passed
        .as_ref()
        .is_some_and(|it| it.policy().hosts_untrusted)
    {
        hosted::take_off_control(response.headers_mut());
    }
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
                    let Some(waits) = waiting else {
                        return Poll::Pending;
                    };
                    let judged = ready!(waits.poll(cx));
                    let Some(waiting) = waiting.take() else {
                        return Poll::Pending;
                    };
                    waiting.act(judged)
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
                StateProj::Readies { readying } => {
                    let Some(readies) = readying else {
                        return Poll::Pending;
                    };
                    ready!(readies.poll(cx))?;
                    let Some(readying) = readying.take() else {
                        return Poll::Pending;
                    };
                    readying.call()
                }
                StateProj::Fails { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                StateProj::Plain { inner } => return inner.poll(cx).map_ok(unchanged),
                StateProj::Pass { inner, passed } => {
                    let polled = match passed.as_ref().and_then(Passed::span) {
                        None => inner.poll(cx),
                        Some(span) => span.in_scope(|| inner.poll(cx)),
                    };
                    // Looked at in place: to take it out and put it back would copy it twice.
                    if let Poll::Ready(Ok(response)) = &polled
                        && !asks_for_answer(response.extensions())
                        && !passed.as_ref().is_some_and(Passed::needs_attention)
                    {
                        return polled.map_ok(unchanged);
                    }
                    match attended(ready!(polled)?, passed) {
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
            State::Readies { .. } => "ResponseFuture::Readies",
            State::Fails { .. } => "ResponseFuture::Fails",
            State::Plain { .. } | State::Pass { .. } => "ResponseFuture::Pass",
            State::Holds { .. } => "ResponseFuture::Holds",
            State::Answer { .. } => "ResponseFuture::Answer",
        })
    }
}
