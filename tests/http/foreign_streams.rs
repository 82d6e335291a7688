//! Streams of a service that knows nothing of sessions.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    FlyReplay, MemoryDirectory, NodeState, OwnershipLayer, OwnershipLayerBuilder, PathSegment,
};

use crate::support::fixture::{ME, OWNER, SESSION, id, machine, owned_by};

fn builder(sessions: &MemoryDirectory) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(sessions.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

/// The frames of a response of this content type, which begins and never ends.
async fn streamed(
    layer: &OwnershipLayer,
    kind: &'static str,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Unpin {
    let application = service_fn(move |_: Request<String>| async move {
        let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("first")))]);
        let body = StreamBody::new(first.chain(stream::pending()));
        Ok::<_, Infallible>(
            Response::builder()
                .header("content-type", kind)
                .body(Box::pin(body))
                .unwrap(),
        )
    });
    let request = Request::get(format!("/session/{SESSION}"))
        .body(String::new())
        .unwrap();
    let Ok(response) = layer.layer(application).oneshot(request).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.data_ref().unwrap(), "first");
    body
}

#[tokio::test]
async fn a_stream_ends_when_its_session_moves() {
    let sessions = owned_by(ME);
    let layer = builder(&sessions).ends_streams().build().unwrap();
    let mut body = streamed(&layer, "text/event-stream").await;
    assert!(body.frame().now_or_never().is_none(), "it streams");
    sessions.assign(&id(), Some(machine(OWNER)));
    layer.cache().forget(&id());
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let last = String::from_utf8_lossy(&last).into_owned();
    assert!(
        last.contains("event: ownership-lost\ndata: moved"),
        "{last}"
    );
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_when_its_machine_drains() {
    let layer = builder(&owned_by(ME)).ends_streams().build().unwrap();
    let mut body = streamed(&layer, "application/x-ndjson").await;
    layer.node().advance(NodeState::Draining);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_response_that_is_no_stream_is_left_alone() {
    let sessions = owned_by(ME);
    let layer = builder(&sessions).ends_streams().build().unwrap();
    let mut download = streamed(&layer, "application/octet-stream").await;
    let unasked = builder(&sessions).build().unwrap();
    let mut events = streamed(&unasked, "text/event-stream").await;
    for layer in [&layer, &unasked] {
        layer.node().advance(NodeState::Draining);
    }
    tokio::task::yield_now().await;
    assert!(download.frame().now_or_never().is_none());
    assert!(events.frame().now_or_never().is_none());
}
