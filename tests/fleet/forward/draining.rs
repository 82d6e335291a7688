//! Machines that drain while they carry.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::StreamExt;
use reqwest::Method;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower_ownership::{MemoryDirectory, Node, NodeState};

use super::{Machine, Pair, forward, layer};
use crate::fleet::{OWNER, WRONG};
use crate::support::client::{SOON, client, request};

const GRACE: Duration = Duration::from_millis(150);

/// Shorter than the patience of the client itself.
const ENDS: Duration = Duration::from_secs(5);

/// A pair, the node of its carrier, and what is sent as the response of `/answer` at the owner.
async fn pair() -> (Pair, Node, UnboundedSender<Bytes>) {
    let (parts, answer) = unbounded_channel();
    let answer = std::sync::Mutex::new(Some(answer));
    let answer = std::sync::Arc::new(answer);
    let answers = move |kind: &'static str| {
        let answer = std::sync::Arc::clone(&answer);
        async move || {
            let parts = answer.lock().unwrap().take().expect("one answer");
            let parts = UnboundedReceiverStream::new(parts).map(Ok::<_, Infallible>);
            ([("content-type", kind)], Body::from_stream(parts))
        }
    };
    let sessions = MemoryDirectory::new();
    let carries = layer(WRONG, &sessions, forward().stream_grace(GRACE));
    let node = carries.node().clone();
    let wrong = Machine::with(WRONG, carries, |router| router).await;
    let owner = Machine::with(OWNER, layer(OWNER, &sessions, forward()), |router| {
        let (events, download) = ("text/event-stream", "application/octet-stream");
        router
            .route("/session/{id}/answer", post(answers(events)))
            .route("/session/{id}/download", get(answers(download)))
    })
    .await;
    let pair = Pair {
        sessions,
        wrong,
        owner,
    };
    (pair, node, parts)
}

#[tokio::test]
async fn an_event_stream_that_is_carried_ends_after_its_grace() {
    let (pair, node, _parts) = pair().await;
    let url = pair.url(&pair.session(), "/events");
    let mut events = client().get(&url).send().await.unwrap().bytes_stream();
    // It is not the time that ends it.
    sleep(2 * GRACE).await;
    let said = |text: &str| pair.owner.application.events.send(text.to_owned());
    said("before").unwrap();
    let event = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(event.unwrap(), "data: before\n\n");
    node.advance(NodeState::Draining);
    said("while it drains").unwrap();
    let event = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(event.unwrap(), "data: while it drains\n\n");
    // It broke: an end would tell other clients than browsers that it is complete.
    let end = timeout(ENDS, events.next()).await.unwrap();
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    let stopped = timeout(SOON, pair.owner.application.events.closed()).await;
    stopped.expect("the owner learns that its client has gone");
}

#[tokio::test]
async fn an_event_stream_that_begins_while_the_machine_drains_has_its_grace() {
    let (pair, node, _parts) = pair().await;
    node.advance(NodeState::Draining);
    sleep(2 * GRACE).await;
    let url = pair.url(&pair.session(), "/events");
    let mut events = client().get(&url).send().await.unwrap().bytes_stream();
    let application = &pair.owner.application;
    application.events.send("here".to_owned()).unwrap();
    let event = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(event.unwrap(), "data: here\n\n");
    let end = timeout(ENDS, events.next()).await.unwrap();
    assert!(matches!(end, Some(Err(_))), "{end:?}");
}

#[tokio::test]
async fn answers_that_end_by_themselves_are_carried_to_their_ends() {
    for (method, path) in [(Method::POST, "/answer"), (Method::GET, "/download")] {
        let (pair, node, parts) = pair().await;
        let url = pair.url(&pair.session(), path);
        let answer = request(method, url).send().await.unwrap();
        let mut answer = answer.bytes_stream();
        parts.send(Bytes::from_static(b"one")).unwrap();
        let first = timeout(SOON, answer.next()).await.unwrap().unwrap();
        assert_eq!(first.unwrap(), "one");
        node.advance(NodeState::Draining);
        sleep(2 * GRACE).await;
        parts.send(Bytes::from_static(b"two")).unwrap();
        let second = timeout(SOON, answer.next()).await.unwrap().unwrap();
        assert_eq!(second.unwrap(), "two");
        drop(parts);
        assert!(timeout(SOON, answer.next()).await.unwrap().is_none());
    }
}
