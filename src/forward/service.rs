//! The service between the layer and the application.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ForwardBody, answer::Unanswered, body::Carried, carrier::Carrier, plan::ForwardTo,
    upload::Upload,
};
use crate::{
    Head,
    future::{has_to_be_read, stands},
    policy::Policy,
};

/// Carries the requests that the layer around it hands over, and passes all others to the application.
///
/// Made by an [`OwnershipLayer`](crate::OwnershipLayer) that [forwards](crate::OwnershipLayerBuilder::forward).
#[derive(Clone)]
pub struct Forwarder<S> {
    inner: S,
    policy: Arc<Policy>,
    carrier: Arc<Carrier>,
}

impl<S> Forwarder<S> {
    pub(crate) fn new(inner: S, policy: Arc<Policy>, carrier: Arc<Carrier>) -> Self {
        Self {
            inner,
            policy,
            carrier,
        }
    }

    /// The application.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Forwarder<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<ForwardBody<R>>;
    type Error = S::Error;
    type Future = ForwardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // What is carried does not touch the application, nor does it need it to be ready.
        let Some(to) = request.extensions_mut().remove::<ForwardTo>() else {
            let inner = self.inner.call(request);
            return ForwardFuture::of(State::Application { inner });
        };
        let (policy, by) = (Arc::clone(&self.policy), Arc::clone(&self.carrier));
        let (head, body) = request.into_parts();
        let stands = stands(&Head::from(&head));
        let body = Upload::new(body, || {
            has_to_be_read(&Head::from(&head)).then_some(policy.refused_bodies)
        });
        let begun = Carrier::prepare(&to, head, body).and_then(|out| by.begin(&to, out));
        let carried = Box::pin(async move {
            let answer = match begun {
                Ok(begun) => by.finish(&to, begun, &policy).await,
                Err(unanswered) => Err(unanswered),
            };
            match answer {
                Ok(response) if stands => by.until_leaving(response, &policy, &to.session),
                Ok(response) => response,
                // Boxed, since few requests get there.
                Err(unanswered) => Box::pin(refused(unanswered, &to, &policy)).await,
            }
        });
        ForwardFuture::of(State::Carried { carried })
    }
}

/// What the client gets in the place of the owner's answer.
async fn refused(unanswered: Unanswered, to: &ForwardTo, policy: &Policy) -> Response<Carried> {
    let failure = match unanswered {
        Unanswered::Failed(failure) => failure,
        Unanswered::Client(status) => {
            let mut response = Response::new(Carried::Ours(Bytes::new()));
            *response.status_mut() = status;
            return response;
        }
        Unanswered::NotSent(unsent, failure) => {
            unsent.into_body().discard().await;
            failure
        }
    };
    if failure.casts_doubt() {
        policy.recheck(&to.session).await;
    }
    policy.not_carried(to, &failure).map(Carried::Ours)
}

pin_project! {
    /// The response of a [`Forwarder`]. Its drop closes the connection to the owner.
    #[must_use = "futures do nothing unless polled"]
    pub struct ForwardFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Application { #[pin] inner: F },
        Carried { carried: Pin<Box<dyn Future<Output = Response<Carried>> + Send>> },
    }
}

impl<F> ForwardFuture<F> {
    fn of(state: State<F>) -> Self {
        Self { state }
    }
}

impl<F, R, E> Future for ForwardFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ForwardBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StateProj::Application { inner } => {
                let response = ready!(inner.poll(cx))?;
                Ok(response.map(ForwardBody::application))
            }
            StateProj::Carried { carried } => {
                let response = ready!(carried.as_mut().poll(cx));
                Ok(response.map(ForwardBody::carried))
            }
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for Forwarder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ForwardFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardFuture").finish_non_exhaustive()
    }
}
