//! An application that is at its limit: what the layer answers by itself does not wait for it, and what
//! waits for the layer takes nothing from it.

use std::{
    convert::Infallible,
    future::{Pending, Ready, pending, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_ownership::{
    FlyReplay, LookupError, MachineId, OwnershipLayer, PathSegment, Session, SessionId, lookup_fn,
};

const MINE: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
const ELSEWHERE: &str = "0c9e6679-7425-40de-944b-e07fc1f90ae7";
const UNKNOWN: &str = "d3b07384-d9a0-4c9b-8f0e-7a2f5c1e9b11";
/// Its lookup never comes back.
const HANGS: &str = "5f4dcc3b-5aa7-45d6-9a83-27deb882cf99";

fn layer() -> OwnershipLayer {
    let lookup = lookup_fn(|id: SessionId| async move {
        let owner = match id.to_string().as_str() {
            MINE => "me",
            ELSEWHERE => "other",
            HANGS => pending::<&str>().await,
            _ => return Ok::<_, LookupError>(None),
        };
        Ok(Some(Session::owned_by(id, owner.parse().unwrap())))
    });
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .build()
        .unwrap()
}

type Body = Empty<Bytes>;

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Empty::new()).unwrap()
}

fn of(session: &str) -> Request<Body> {
    request(&format!("/session/{session}"))
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn answers(_: Request<Body>) -> Ready<Answer> {
    ready(Ok(Response::new(Full::default())))
}

/// The status, where it comes without a wait.
async fn at_once<S, R>(service: &S, request: Request<Body>) -> Option<u16>
where
    S: Service<Request<Body>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
{
    let answer = service.clone().oneshot(request);
    // A lookup takes a few polls.
    let answer = tokio::time::timeout(Duration::from_millis(100), answer).await;
    Some(answer.ok()?.unwrap().status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn handovers_and_refusals_do_not_wait_for_an_application_at_its_limit() {
    let busy = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&busy));
    let application = limit.layer(service_fn(answers));
    let service = layer().layer(application);
    assert_eq!(at_once(&service, of(MINE)).await, Some(200));
    let served = busy.acquire().await.unwrap();
    for _ in 0..2 {
        // With a lookup, and from the cache.
        assert_eq!(at_once(&service, of(ELSEWHERE)).await, Some(409));
        assert_eq!(at_once(&service, of(UNKNOWN)).await, Some(404));
    }
    assert_eq!(at_once(&service, of(MINE)).await, None, "it has to wait");
    assert_eq!(at_once(&service, request("/")).await, None);
    let mut waits = Box::pin(service.clone().oneshot(of(MINE)));
    assert!(waits.as_mut().now_or_never().is_none());
    drop(served);
    assert_eq!(waits.await.unwrap().status(), 200);
    assert_eq!(at_once(&service, request("/")).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_holds_no_permit_of_the_application() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let application = limit.layer(service_fn(answers));
    let service = layer().layer(application);
    let mut hangs = Box::pin(service.clone().oneshot(of(HANGS)));
    assert!(hangs.as_mut().now_or_never().is_none());
    assert_eq!(at_once(&service, request("/")).await, Some(200));
    assert_eq!(at_once(&service, of(MINE)).await, Some(200));
    assert_eq!(hangs.await.unwrap().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_answered_by_the_layer_leaves_no_permit_taken() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let application = limit.layer(service_fn(answers));
    // A connection that stays open keeps its service.
    let mut connection = layer().layer(application);
    for _ in 0..2 {
        let answer = connection.ready().await.unwrap().call(of(ELSEWHERE)).await;
        assert_eq!(answer.unwrap().status(), 409);
    }
    let other = connection.clone();
    assert_eq!(at_once(&other, of(MINE)).await, Some(200));
    drop(connection);
}

/// A service that will never be ready again.
#[derive(Clone)]
struct Broken;

impl Service<Request<Body>> for Broken {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Response<Full<Bytes>>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("broken"))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        panic!("it is not ready")
    }
}

#[tokio::test]
async fn the_error_of_an_application_that_cannot_be_ready_reaches_the_caller() {
    let service = layer().layer(Broken);
    for path in ["/".to_owned(), format!("/session/{MINE}")] {
        for _ in 0..2 {
            let answer = service.clone().oneshot(request(&path)).await;
            assert_eq!(answer.err(), Some("broken"), "{path}");
        }
    }
    assert_eq!(at_once(&service, of(ELSEWHERE)).await, Some(409));
}

/// A client that goes away while its request waits for the application takes its place with it.
#[tokio::test(start_paused = true)]
async fn a_request_that_waited_and_left_keeps_no_place() {
    let busy = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&busy));
    let never: fn(Request<Body>) -> Pending<Answer> = |_| pending();
    let service = layer().layer(limit.layer(service_fn(never)));
    let served = busy.acquire().await.unwrap();
    for path in ["/".to_owned(), format!("/session/{MINE}")] {
        let mut waits = Box::pin(service.clone().oneshot(request(&path)));
        for _ in 0..3 {
            let polled = tokio::time::timeout(Duration::from_millis(10), waits.as_mut()).await;
            assert!(polled.is_err());
        }
    }
    drop(served);
    assert_eq!(busy.available_permits(), 1);
}
