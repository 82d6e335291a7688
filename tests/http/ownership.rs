//! The life of an ownership as clients see it: claims, lost owners, moves, the end of streams.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;
use tokio_stream::StreamExt as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_ownership::{
    BuildError, CachePolicy, FlyReplay, MemoryDirectory, NodeState, OnLostOwner, OnUnassigned,
    Owned, OwnerStatus, OwnershipLayer, OwnershipLayerBuilder, PathSegment, Session, SessionStatus,
};

use crate::support::fixture::{ME, OWNER, SESSION, directory, id, machine};

fn unassigned() -> MemoryDirectory {
    directory(Session::new(id(), SessionStatus::Active))
}

fn owner_is(presence: OwnerStatus) -> MemoryDirectory {
    let session = Session::owned_by(id(), machine(OWNER)).with_epoch(1);
    directory(session.with_owner_status(presence))
}

fn builder(sessions: &MemoryDirectory) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(sessions.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
        .directory(sessions.clone())
}

struct Answer {
    head: http::response::Parts,
    body: Bytes,
}

impl Answer {
    fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }

    fn retry_after(&self) -> Option<u64> {
        let value = self.head.headers.get(header::RETRY_AFTER)?;
        value.to_str().unwrap().parse().ok()
    }

    fn is_refused(&self, code: &str) {
        assert_eq!(self.code(), code);
        assert_eq!(self.head.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!self.head.headers.contains_key("fly-replay"));
        assert!(self.retry_after().is_some());
    }

    fn is_served_at(&self, epoch: u64) {
        assert_eq!(self.head.status, StatusCode::OK);
        assert_eq!(self.body, format!("epoch {epoch}"));
    }
}

async fn send(layer: &OwnershipLayer, request: http::request::Builder) -> Answer {
    let application = service_fn(|request: Request<Full<Bytes>>| async move {
        let owned = request.extensions().get::<Owned>().unwrap();
        let text = format!("epoch {}", owned.epoch().unwrap_or_default());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = layer.layer(application).oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { head, body }
}

async fn get(layer: &OwnershipLayer) -> Answer {
    send(layer, Request::get(format!("/session/{SESSION}/"))).await
}

#[tokio::test]
async fn an_unassigned_session_is_nobodys_unless_the_builder_says_claim() {
    let sessions = unassigned();
    let layer = builder(&sessions).build().unwrap();
    get(&layer).await.is_refused("session-starting");
    assert_eq!(sessions.get(&id()).unwrap().owner(), None);

    let layer = builder(&sessions)
        .on_unassigned(OnUnassigned::Claim)
        .build()
        .unwrap();
    get(&layer).await.is_served_at(1);
    assert_eq!(sessions.get(&id()).unwrap().owner(), Some(&machine(ME)));
}

#[tokio::test]
async fn only_the_routes_that_may_claim_do() {
    let sessions = unassigned();
    let layer = builder(&sessions)
        .on_unassigned_by(|head| {
            if head.method == http::Method::POST {
                OnUnassigned::Claim
            } else {
                OnUnassigned::Reject
            }
        })
        .build()
        .unwrap();
    get(&layer).await.is_refused("session-starting");
    let post = Request::post(format!("/session/{SESSION}/")).header("content-length", "0");
    send(&layer, post).await.is_served_at(1);
    get(&layer).await.is_served_at(1);
}

#[tokio::test]
async fn whoever_the_guard_refuses_claims_nothing() {
    for sessions in [unassigned(), owner_is(OwnerStatus::Lost)] {
        let before = sessions.get(&id());
        let layer = builder(&sessions)
            .on_unassigned(OnUnassigned::Claim)
            .on_lost_owner(OnLostOwner::TakeOver)
            .guard(|_, _| false)
            .build()
            .unwrap();
        assert_eq!(get(&layer).await.code(), "session-forbidden");
        assert_eq!(sessions.get(&id()), before);
    }
}

#[tokio::test]
async fn a_session_that_is_over_or_starting_is_not_claimed() {
    for (status, code) in [
        (SessionStatus::Over, "session-over"),
        (SessionStatus::Starting, "session-starting"),
    ] {
        let sessions = directory(Session::new(id(), status));
        let layer = builder(&sessions)
            .on_unassigned(OnUnassigned::Claim)
            .build()
            .unwrap();
        assert_eq!(get(&layer).await.code(), code);
        assert_eq!(sessions.get(&id()).unwrap().owner(), None);
    }
}

#[tokio::test]
async fn a_lost_owner_and_one_never_seen_are_told_apart_before_any_replay_is_wasted() {
    for (presence, code) in [
        (OwnerStatus::Lost, "owner-lost"),
        (OwnerStatus::NeverSeen, "owner-never-seen"),
    ] {
        let layer = builder(&owner_is(presence)).build().unwrap();
        let answer = get(&layer).await;
        answer.is_refused(code);
        assert!((5..10).contains(&answer.retry_after().unwrap()));
    }
    for presence in [
        OwnerStatus::Unknown,
        OwnerStatus::Alive,
        OwnerStatus::Draining,
        OwnerStatus::Silent,
    ] {
        let layer = builder(&owner_is(presence)).build().unwrap();
        let answer = get(&layer).await;
        assert!(
            answer.head.headers.contains_key("fly-replay"),
            "{presence:?}"
        );
    }
}

#[tokio::test]
async fn who_takes_over_says_when_it_will_serve_and_does() {
    let sessions = owner_is(OwnerStatus::Lost);
    let layer = builder(&sessions)
        .on_lost_owner(OnLostOwner::TakeOver)
        // F, and with it the wait, is a second at the least.
        .cache_policy(CachePolicy::new().owned(Duration::from_secs(1)))
        .build()
        .unwrap();
    let answer = get(&layer).await;
    answer.is_refused("session-moving");
    assert!((2..4).contains(&answer.retry_after().unwrap()));
    assert_eq!(sessions.get(&id()).unwrap().owner(), Some(&machine(ME)));
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    get(&layer).await.is_served_at(2);
}

#[tokio::test]
async fn an_owner_that_was_never_seen_is_not_taken_over_from_because_it_may_be_starting() {
    let sessions = owner_is(OwnerStatus::NeverSeen);
    let layer = builder(&sessions)
        .on_lost_owner(OnLostOwner::TakeOver)
        .build()
        .unwrap();
    get(&layer).await.is_refused("owner-never-seen");
    assert_eq!(sessions.get(&id()).unwrap().owner(), Some(&machine(OWNER)));
}

#[tokio::test]
async fn a_process_that_stopped_serving_says_why_and_claims_nothing() {
    for (standing, code) in [
        (NodeState::Draining, "session-moving"),
        (NodeState::Fenced, "duplicate-identity"),
        (NodeState::Removed, "owner-lost"),
    ] {
        let sessions = directory(Session::owned_by(id(), machine(ME)).with_epoch(1));
        let layer = builder(&sessions)
            .on_unassigned(OnUnassigned::Claim)
            .build()
            .unwrap();
        get(&layer).await.is_served_at(1);
        assert!(layer.node().advance(standing));
        get(&layer).await.is_refused(code);
        sessions.insert(Session::new(id(), SessionStatus::Active));
        layer.cache().forget(&id());
        get(&layer).await.is_refused("session-starting");
        assert_eq!(sessions.get(&id()).unwrap().owner(), None);
    }
}

#[tokio::test]
async fn a_process_that_waits_for_its_presence_serves_and_claims_nothing_before() {
    let sessions = unassigned();
    let layer = builder(&sessions)
        .require_membership()
        .on_unassigned(OnUnassigned::Claim)
        .build()
        .unwrap();
    get(&layer).await.is_refused("session-starting");
    assert_eq!(sessions.get(&id()).unwrap().owner(), None);
    sessions.insert(Session::owned_by(id(), machine(ME)).with_epoch(1));
    layer.cache().forget_all();
    get(&layer).await.is_refused("session-starting");
    layer.node().joined();
    get(&layer).await.is_served_at(1);
}

#[test]
fn claims_without_a_directory_are_refused_at_the_start() {
    let no_directory = || {
        OwnershipLayer::builder(MemoryDirectory::new())
            .session(PathSegment::after("/session").unwrap())
            .machine(machine(ME))
            .replay(FlyReplay::new())
    };
    let claims = no_directory().on_unassigned(OnUnassigned::Claim).build();
    assert_eq!(claims.unwrap_err(), BuildError::NoDirectory);
    let takes_over = no_directory()
        .on_lost_owner_by(|_| OnLostOwner::TakeOver)
        .build();
    assert_eq!(takes_over.unwrap_err(), BuildError::NoDirectory);
}

/// A handler that streams `frames` and then nothing, for as long as somebody listens.
async fn stream(layer: &OwnershipLayer, grpc: bool) -> impl http_body::Body<Data = Bytes> + Unpin {
    let application = service_fn(move |request: Request<Full<Bytes>>| async move {
        let owned = request.extensions().get::<Owned>().unwrap();
        let first = tokio_stream::once(Frame::data(Bytes::from("first\n\n")));
        let frames = first
            .chain(tokio_stream::pending())
            .map(Ok::<_, Infallible>);
        let body = owned.until_lost(StreamBody::new(frames));
        let body = if grpc {
            body.grpc()
        } else {
            body.event_stream()
        };
        Ok::<_, Infallible>(Response::new(body))
    });
    let request = Request::get(format!("/session/{SESSION}/events"));
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = layer.layer(application).oneshot(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    Box::pin(response.into_body())
}

#[tokio::test]
async fn a_stream_ends_with_its_reason_when_the_session_moves() {
    let sessions = directory(Session::owned_by(id(), machine(ME)).with_epoch(1));
    let layer = builder(&sessions).build().unwrap();
    let mut events = stream(&layer, false).await;
    let mut call = stream(&layer, true).await;
    for body in
        [&mut events, &mut call] as [&mut (dyn http_body::Body<Data = Bytes, Error = _> + Unpin); 2]
    {
        let first = body.frame().await.unwrap().map_err(drop).unwrap();
        assert_eq!(first.into_data().unwrap(), "first\n\n");
    }
    sessions.insert(Session::owned_by(id(), machine(OWNER)).with_epoch(2));
    layer.cache().forget(&id());
    let last = events.frame().await.unwrap().map_err(drop).unwrap();
    assert_eq!(
        last.into_data().unwrap(),
        "retry: 1000\nevent: ownership-lost\ndata: moved\n\n"
    );
    assert!(events.frame().await.is_none());
    let last = call.frame().await.unwrap().map_err(drop).unwrap();
    let trailers = last.into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "14");
    assert!(call.frame().await.is_none());
}

#[tokio::test]
async fn the_event_tells_the_epoch_and_how_the_owner_is() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let layer = builder(&owner_is(OwnerStatus::Lost))
        .on_verdict(move |observed: &tower_ownership::observe::Observed<'_>| {
            let facts = (observed.epoch, observed.owner_status);
            told.lock().unwrap().push(facts);
        })
        .build()
        .unwrap();
    get(&layer).await;
    assert_eq!(*seen.lock().unwrap(), [(Some(1), Some(OwnerStatus::Lost))]);
}
