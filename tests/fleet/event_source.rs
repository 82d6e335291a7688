//! Refusals, as a real browser's `EventSource` takes them.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Router, routing::get};
use fantoccini::Client;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tower_ownership::node::RunningNode;
use tower_ownership::{
    CachePolicy, FlyReplay, MemoryDirectory, Node, Owned, OwnershipLayer, PathSegment, Session,
    SessionId, SessionStatus,
};

use crate::fleet::{OWNER, Server, WRONG, layer, machine_id, new_session};
use crate::support::browser::Browser;
use crate::support::left_out;
use crate::support::relay::Relay;

const PATIENCE: Duration = Duration::from_secs(20);

/// An application whose stream says which machine it comes from, around a page of no session.
fn application(machine: &'static str, layer: OwnershipLayer) -> Router {
    let stream = async move |Extension(owned): Extension<Owned>| -> Response {
        let hello = Ok::<_, Infallible>(Event::default().data(machine));
        let events = stream::iter([hello]).chain(stream::pending());
        let response = Sse::new(events).into_response();
        response.map(|body| Body::new(owned.until_lost(body).event_stream()))
    };
    Router::new()
        .route("/session/{id}/events", get(stream))
        .route("/", get(async || Html("<title>page</title>")))
        .layer(layer)
}

/// Opens a stream from a page of `base`, and notes what comes.
async fn listen(client: &Client, base: &str, session: &SessionId) {
    client.goto(base).await.unwrap();
    let script = "window.seen = [];
        window.source = new EventSource(`/session/${arguments[0]}/events`);
        const note = (kind, what) => window.seen.push([kind, what]);
        source.onmessage = (event) => note('message', event.data);
        source.onerror = () => note('error', source.readyState);
        for (const kind of ['ownership-refused', 'ownership-lost'])
            source.addEventListener(kind, (event) => note(kind, event.data));";
    let id = session.to_string();
    client.execute(script, vec![json!(id)]).await.unwrap();
}

/// What came, when something of it holds.
async fn seen(client: &Client, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = client.execute("return window.seen", vec![]).await.unwrap();
        let seen = seen.as_array().unwrap();
        if holds(seen) {
            return seen.clone();
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_closed(client: &Client) -> bool {
    let script = "return source.readyState === EventSource.CLOSED";
    client.execute(script, vec![]).await.unwrap() == json!(true)
}

#[tokio::test]
async fn a_stream_of_a_session_that_is_starting_opens_when_it_has_started() {
    let Some(browser) = Browser::open().await else {
        return left_out("EventSource and refusals", "Chromium is not installed");
    };
    let (sessions, id) = (MemoryDirectory::new(), new_session());
    sessions.insert(Session::new(id.clone(), SessionStatus::Starting));
    let layer = layer(OWNER, sessions.clone()).build().unwrap();
    let server = Server::start(application(OWNER, layer)).await;
    listen(&browser.client, &server.url("/"), &id).await;

    let refusals = |seen: &[Value]| {
        seen.iter()
            .filter(|it| it[0] == "ownership-refused")
            .count()
    };
    let came = seen(&browser.client, |seen| refusals(seen) >= 2).await;
    let problem: Value = serde_json::from_str(came[0][1].as_str().unwrap()).unwrap();
    assert_eq!(problem["code"], "session-starting");
    assert_eq!(problem["status"], 503);
    sessions.insert(Session::owned_by(id, machine_id(OWNER)));
    let is_served = |seen: &[Value]| seen.contains(&json!(["message", OWNER]));
    let came = seen(&browser.client, is_served).await;
    assert!(!came.contains(&json!(["error", 2])), "{came:?}");
}

#[tokio::test]
async fn a_stream_of_a_session_that_is_over_is_closed_for_good() {
    let Some(browser) = Browser::open().await else {
        return left_out(
            "EventSource and final refusals",
            "Chromium is not installed",
        );
    };
    let (sessions, id) = (MemoryDirectory::new(), new_session());
    sessions.insert(Session::new(id.clone(), SessionStatus::Over));
    let layer = layer(OWNER, sessions.clone()).build().unwrap();
    let server = Server::start(application(OWNER, layer)).await;
    listen(&browser.client, &server.url("/"), &id).await;
    let came = seen(&browser.client, |seen| !seen.is_empty()).await;
    assert_eq!(came, [json!(["error", 2])]);
    assert!(is_closed(&browser.client).await);
}

/// A machine that claims what has no owner.
async fn node(machine: &'static str, sessions: &MemoryDirectory) -> RunningNode<MemoryDirectory> {
    let node = Node::builder(sessions.clone())
        .machine(machine_id(machine))
        .session(PathSegment::after("/session").unwrap())
        .replay(FlyReplay::new())
        .layer(|layer| layer.cache_policy(CachePolicy::new().owned(Duration::from_secs(1))))
        .claim_unassigned()
        // The listener outlives the test: nothing but its own answers gets a client away from it.
        .linger(Duration::from_secs(600));
    node.start().await.unwrap()
}

#[tokio::test]
async fn a_stream_leaves_a_machine_that_drains() {
    let Some(browser) = Browser::open().await else {
        return left_out("EventSource and a drain", "Chromium is not installed");
    };
    let (sessions, id) = (MemoryDirectory::new(), new_session());
    sessions.insert(Session::owned_by(id.clone(), machine_id(OWNER)));
    let (first, second) = (node(OWNER, &sessions).await, node(WRONG, &sessions).await);
    let old = Server::start(application(OWNER, first.layer())).await;
    let new = Server::start(application(WRONG, second.layer())).await;
    // A balancer that knows of connections only.
    let balancer = Relay::to(old.addr.port()).await;
    let base = format!("http://127.0.0.1:{}/", balancer.port());
    listen(&browser.client, &base, &id).await;
    seen(&browser.client, |seen| {
        seen.contains(&json!(["message", OWNER]))
    })
    .await;

    let (stop, stopped) = oneshot::channel::<()>();
    balancer.lead_to(new.addr.port());
    tokio::spawn(first.drained_on(async { drop(stopped.await) }));
    stop.send(()).unwrap();
    let is_served = |seen: &[Value]| seen.contains(&json!(["message", WRONG]));
    let came = seen(&browser.client, is_served).await;
    assert!(
        came.contains(&json!(["ownership-lost", "draining"])),
        "{came:?}"
    );
    assert!(!came.contains(&json!(["error", 2])), "{came:?}");
}
