//! The machine's side of a probe: verifies it in front of the layer, and answers it behind.

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
use crate::{Head, OwnershipLayer, Session, claim::PROBE, policy::Policy};

/// The answer to a probe that came to the session's owner at once.
pub(super) const ARRIVED: &str = "arrived";
/// The same, after a replay.
pub(super) const REPLAYED: &str = "replayed";

impl<F: Clone> OwnershipLayer<F> {
    /// Answers [probes](crate::probe) that reach a session's owner, in the application's place.
    ///
    /// The secret is the same on every machine. Probes are not shown to the
    /// [guard](crate::OwnershipLayerBuilder::guard): they carry no credentials of the application,
    /// and read nothing of the session.
    #[must_use]
    pub fn answer_probes(&self, secret: ProbeSecret) -> ProbedLayer<F> {
        ProbedLayer {
            layer: self.clone(),
            secret,
        }
    }
}

/// An [`OwnershipLayer`] that answers probes; made by [`OwnershipLayer::answer_probes`].
#[derive(Clone, Debug)]
pub struct ProbedLayer<F = ()> {
    layer: OwnershipLayer<F>,
    secret: ProbeSecret,
}

impl<S, F> Layer<S> for ProbedLayer<F>
where
    OwnershipLayer<F>: Layer<ProbeResponder<S>>,
{
    // Both sides in one layer: a probe that was let past the guard has to find the responder, and a
    // responder outside of the layer would answer on every machine.
    type Service = Probed<<OwnershipLayer<F> as Layer<ProbeResponder<S>>>::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Probed {
            inner: self.layer.layer(ProbeResponder { inner }),
            secret: self.secret.clone(),
            policy: Arc::clone(self.layer.policy()),
        }
    }
}

/// In the extensions of a request that was verified to be a probe: what the owner answers.
#[derive(Clone)]
struct Verified(HeaderValue);

/// Lets verified probes pass a guard.
pub(crate) fn or_probe(
    allows: impl Fn(&Head<'_>, &Session) -> bool,
) -> impl Fn(&Head<'_>, &Session) -> bool {
    move |head, session| head.extensions.get::<Verified>().is_some() || allows(head, session)
}

/// Makes a probe an ordinary request again: it is no longer for the session that it was sent for.
pub(crate) fn forget(head: &mut Parts) {
    head.extensions.remove::<Verified>();
}

/// Verifies probes in front of an ownership layer; every other request passes untouched.
#[derive(Clone)]
pub struct Probed<S> {
    inner: S,
    secret: ProbeSecret,
    policy: Arc<Policy>,
}

impl<S> Probed<S> {
    fn verify(&self, head: &Head<'_>) -> Option<Verified> {
        let session = self.policy.extract.session(head).ok()??;
        let nonce = self.secret.asked(head.headers, &session)?;
        let what = match self.policy.replay.origin(head).hops() {
            0 => ARRIVED,
            _ => REPLAYED,
        };
        let me = &self.policy.machine;
        let answer = self.secret.answer(nonce, &session, what, me);
        Some(Verified(HeaderValue::try_from(answer).ok()?))
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Probed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if !request.headers().contains_key(PROBE) {
            return self.inner.call(request);
        }
        if let Some(verified) = self.verify(&Head::from(&request)) {
            request.extensions_mut().insert(verified);
        }
        self.inner.call(request)
    }
}

/// Answers verified probes; passes every other request to the application.
#[derive(Clone, Debug)]
pub struct ProbeResponder<S> {
    inner: S,
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
        match request.extensions().get::<Verified>() {
            Some(Verified(answer)) => ProbeFuture {
                answer: Some(arrived(answer.clone())),
                inner: None,
            },
            None => ProbeFuture {
                answer: None,
                inner: Some(self.inner.call(request)),
            },
        }
    }
}

fn arrived<R: Default>(answer: HeaderValue) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let no_store = HeaderValue::from_static("no-store");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, no_store);
    headers.insert(PROBE, answer);
    response
}

impl<S: fmt::Debug> fmt::Debug for Probed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probed")
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;

    use super::super::secret::Nonce;
    use super::*;
    use crate::{Cookie, FlyReplay, MachineId, MemoryDirectory, SessionId, SessionStatus};

    /// The answer to a probe whose session stands in a cookie.
    fn probed(status: SessionStatus) -> Response<String> {
        let id = SessionId::parse("lobby").unwrap();
        let me: MachineId = "me".parse().unwrap();
        let sessions = MemoryDirectory::new();
        sessions.insert(Session::new(id.clone(), status).with_owner(me.clone()));
        let layer = OwnershipLayer::builder(sessions)
            .session(Cookie::named("sid").unwrap())
            .machine(me)
            .replay(FlyReplay::new())
            .build()
            .unwrap();
        let secret = ProbeSecret::new("0123456789abcdef").unwrap();
        let request = Request::get("/")
            .header(header::COOKIE, "sid=lobby")
            .header(PROBE, secret.ask(Nonce::new(), &id));
        let application = tower::service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new("the application".to_owned()))
        });
        let mut service = layer.answer_probes(secret).layer(application);
        let answer = service.call(request.body(String::new()).unwrap());
        let (head, body) = answer.now_or_never().unwrap().unwrap().into_parts();
        let body = http_body_util::BodyExt::collect(body)
            .now_or_never()
            .unwrap();
        let body = body.unwrap().to_bytes();
        Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_probe_arrives_only_at_the_session_it_was_sent_for() {
        let answer = probed(SessionStatus::Active);
        let said = answer.headers()[PROBE].to_str().unwrap();
        assert!(said.starts_with(ARRIVED), "{said}");
        // The cookie is taken out, and the request passes as one without a session.
        let answer = probed(SessionStatus::Over);
        assert_eq!(answer.body(), "the application");
        assert!(!answer.headers().contains_key(PROBE));
    }
}
