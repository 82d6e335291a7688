//! What happens between a verdict and the handler. Time is driven by hand.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    FlyReplay, Header, MachineId, MemoryDirectory, Node, NodeState, Observed, OwnershipLayer,
    Rejection, RejectionCode, ResponseBody, Session, SessionId, clock::Clock,
};

type Answer = Response<ResponseBody<http_body_util::Full<Bytes>>>;

const F: u64 = 5_000;

/// What came of two requests, the first of which needs a lookup.
struct Outcome {
    last: Answer,
    entered: u64,
    told: Vec<Option<RejectionCode>>,
}

/// Sends two requests through a layer whose hook does something at the second verdict, or already
/// at the first one.
fn serve(
    at_first: bool,
    tells_owned: bool,
    hook: impl Fn(&AtomicU64, &Node) + Send + Sync + 'static,
) -> Outcome {
    let (clock, time) = Clock::by_hand();
    time.store(100_000, Ordering::SeqCst);
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::owned_by(id(), "me".parse().unwrap()).with_epoch(1));
    let told = Arc::new(Mutex::new(Vec::new()));
    let handle: Arc<Mutex<Option<Node>>> = Arc::default();
    let (tells, cache) = (Arc::clone(&told), Arc::clone(&handle));
    let layer = OwnershipLayer::builder(sessions)
        .session(Header::named("x-session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .insert_owned(tells_owned)
        .on_verdict(move |seen: &Observed<'_>| {
            // What joins its event with those of other machines.
            assert_eq!(seen.request.unwrap().request_id(), Some("01JF-fra"));
            let verdicts = {
                let mut told = tells.lock().unwrap();
                told.push(seen.code());
                told.len()
            };
            if seen.code().is_none() && (at_first || verdicts == 2) {
                hook(&time, cache.lock().unwrap().as_ref().unwrap());
            }
        })
        .build_with(clock)
        .unwrap();
    *handle.lock().unwrap() = Some(layer.node().clone());
    let entered = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&entered);
    let mut service = layer.layer(tower::service_fn(move |_: Request<String>| {
        counts.fetch_add(1, Ordering::SeqCst);
        let answer = Response::new(http_body_util::Full::new(Bytes::new()));
        std::future::ready(Ok::<_, Infallible>(answer))
    }));
    let mut ask = || {
        let request = Request::builder().header("x-session", id().to_string());
        let request = request.header("fly-request-id", "01JF-fra");
        let request = request.body(String::new()).unwrap();
        service.call(request).now_or_never().unwrap().unwrap()
    };
    let first = ask();
    let last = if at_first { first } else { ask() };
    let told = told.lock().unwrap().clone();
    Outcome {
        last,
        entered: entered.load(Ordering::SeqCst),
        told,
    }
}

fn id() -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(7))
}

/// The handler is not entered, and a second verdict corrects the first.
fn is_refused(
    code: RejectionCode,
    hook: impl Fn(&AtomicU64, &Node) + Copy + Send + Sync + 'static,
) -> Vec<String> {
    let cases = [(true, true), (true, false), (false, true), (false, false)];
    let refused = cases.into_iter().map(|(at_first, tells_owned)| {
        let outcome = serve(at_first, tells_owned, hook);
        let before = usize::from(!at_first);
        assert_eq!(outcome.entered, before as u64, "the handler is not entered");
        assert_eq!(outcome.told[before..], [None, Some(code)]);
        assert_eq!(outcome.last.status(), 503);
        let rejection = outcome.last.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.code(), code);
        rejection.detail().to_owned()
    });
    refused.collect()
}

#[test]
fn a_request_whose_hook_blocks_past_the_lease_is_refused() {
    let details = is_refused(RejectionCode::LookupUnavailable, |time, _| {
        time.fetch_add(F, Ordering::SeqCst);
    });
    assert!(
        details.iter().all(|detail| detail.contains("held up")),
        "{details:?}"
    );
}

#[test]
fn a_request_whose_hook_blocks_within_the_lease_passes() {
    let outcome = serve(true, true, |time, _| {
        time.fetch_add(F / 5, Ordering::SeqCst);
    });
    assert_eq!((outcome.last.status().as_u16(), outcome.entered), (200, 1));
    assert_eq!(outcome.told, [None]);
}

#[test]
fn a_request_that_is_decided_before_a_drain_is_not_served_after() {
    is_refused(RejectionCode::SessionMoving, |_, node| {
        node.advance(NodeState::Draining);
    });
    is_refused(RejectionCode::DuplicateIdentity, |_, node| {
        node.advance(NodeState::Fenced);
    });
}

#[test]
fn a_request_that_is_decided_before_a_release_is_not_served_after() {
    is_refused(RejectionCode::SessionMoving, |_, node| {
        drop(node.begin_release(&id(), 1).unwrap());
    });
}

/// An application that is ready when its number is not zero.
#[derive(Clone)]
struct Gated(Arc<AtomicU64>);

impl Service<Request<String>> for Gated {
    type Response = Response<http_body_util::Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.0.load(Ordering::SeqCst) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        std::future::ready(Ok(Response::default()))
    }
}

#[test]
fn a_request_that_waits_for_the_application_past_the_lease_is_refused() {
    for (waits, status) in [(F / 5, 200), (F, 503)] {
        let (clock, time) = Clock::by_hand();
        time.store(100_000, Ordering::SeqCst);
        let sessions = MemoryDirectory::new();
        sessions.insert(Session::owned_by(id(), "me".parse().unwrap()).with_epoch(1));
        let layer = OwnershipLayer::builder(sessions)
            .session(Header::named("x-session").unwrap())
            .machine("me".parse::<MachineId>().unwrap())
            .replay(FlyReplay::new())
            .build_with(clock)
            .unwrap();
        let gate = Arc::default();
        let mut service = layer.layer(Gated(Arc::clone(&gate)));
        // By a lookup, and from the cache.
        for _ in 0..2 {
            gate.store(0, Ordering::SeqCst);
            let request = Request::builder().header("x-session", id().to_string());
            let mut answer = Box::pin(service.call(request.body(String::new()).unwrap()));
            assert!(answer.as_mut().now_or_never().is_none());
            time.fetch_add(waits, Ordering::SeqCst);
            gate.store(1, Ordering::SeqCst);
            let answer = answer.now_or_never().unwrap().unwrap();
            assert_eq!(answer.status(), status, "{waits} ms");
        }
    }
}
