//! The machine's side of a probe: stands between the layer and the application.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::ProbeSecret;
use crate::{Ownership, OwnershipLayer, claim::PROBE, policy::Policy};

/// The answer to a probe that came to the session's owner at once.
pub(super) const ARRIVED: &str = "arrived";
/// The same, after a replay.
pub(super) const REPLAYED: &str = "replayed";

impl OwnershipLayer {
    /// Answers [probes](crate::probe) that reach a session's owner, in the application's place.
    ///
    /// The secret is the same on every machine. Probes pass a guard only where it lets them: see
    /// [`ProbeSecret::is_probe`].
    #[must_use]
    pub fn answer_probes(&self, secret: ProbeSecret) -> ProbedLayer {
        ProbedLayer {
            layer: self.clone(),
            secret,
        }
    }
}

/// An [`OwnershipLayer`] that answers probes; made by [`OwnershipLayer::answer_probes`].
#[derive(Clone, Debug)]
pub struct ProbedLayer {
    layer: OwnershipLayer,
    secret: ProbeSecret,
}

impl<S> Layer<S> for ProbedLayer {
    // In one layer, since a responder outside of the ownership layer would answer on every machine.
    type Service = Ownership<ProbeResponder<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(ProbeResponder {
            inner,
            secret: self.secret.clone(),
            policy: Arc::clone(self.layer.policy()),
        })
    }
}

/// Answers authentic probes; passes every other request to the wrapped service.
#[derive(Clone)]
pub struct ProbeResponder<S> {
    inner: S,
    secret: ProbeSecret,
    policy: Arc<Policy>,
}

impl<S> ProbeResponder<S> {
    fn answer<R: Default>(&self, head: &Parts) -> Option<Response<R>> {
        let session = self.policy.extract.session(head).ok()??;
        let nonce = self.secret.asked(&head.headers, session)?;
        let what = match self.policy.replay.arrival(head).hops() {
            0 => ARRIVED,
            _ => REPLAYED,
        };
        let signed = self
            .secret
            .answer(nonce, session, what, &self.policy.machine);
        let mut response = Response::new(R::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let no_store = HeaderValue::from_static("no-store");
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, no_store);
        headers.insert(PROBE, HeaderValue::try_from(signed).ok()?);
        Some(response)
    }
}

impl<S, B, R> Service<Request<B>> for ProbeResponder<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ProbeFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request;
        if request.headers().contains_key(PROBE) {
            let (head, body) = request.into_parts();
            if let answer @ Some(_) = self.answer(&head) {
                return ProbeFuture {
                    answer,
                    inner: None,
                };
            }
            request = Request::from_parts(head, body);
        }
        ProbeFuture {
            answer: None,
            inner: Some(self.inner.call(request)),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ProbeResponder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeResponder")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of a [`ProbeResponder`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct ProbeFuture<F, R> {
        answer: Option<Response<R>>,
        #[pin]
        inner: Option<F>,
    }
}

impl<F, R, E> Future for ProbeFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None => this
                .answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
        }
    }
}
