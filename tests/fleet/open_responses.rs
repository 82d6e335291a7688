//! Responses that are open when a node drains, of services that know nothing of sessions.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::WebSocketUpgrade;
use axum::routing::{any, get};
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tower_ownership::{FlyReplay, MemoryDirectory, Node, PathSegment};

use crate::fleet::{OWNER, machine_id, new_session};
use crate::support::client::{SOON, client};

const LIMIT: Duration = Duration::from_secs(1);

/// Beside the application of sessions: an endless stream, a WebSocket that stays, and a call that takes time.
fn foreign() -> Router {
    let endless = async || {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"first"))]);
        Body::from_stream(first.chain(stream::pending()))
    };
    let stays = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| while let Some(Ok(_)) = socket.recv().await {})
    };
    let takes_time = async || {
        tokio::time::sleep(LIMIT / 2).await;
        "done"
    };
    let of_a_session = Router::new()
        .route("/session/{id}/endless", get(endless))
        .route("/session/{id}/stays", any(stays));
    of_a_session
        .route("/endless", get(endless))
        .route("/takes-time", get(takes_time))
}

#[test]
fn open_responses_end_within_the_drains_limit() {
    let at_the_node = tokio::runtime::Runtime::new().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let session = new_session();
    let directory = MemoryDirectory::new();
    directory.insert(tower_ownership::Session::owned_by(
        session.clone(),
        machine_id(OWNER),
    ));
    let (listener, node) = at_the_node.block_on(async {
        let node = Node::builder(directory)
            .session(PathSegment::after("/session").unwrap())
            .machine(machine_id(OWNER))
            .replay(FlyReplay::new())
            .linger(Duration::ZERO)
            .drain_limit(LIMIT)
            .start();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener, node.await.unwrap())
    });
    let addr = listener.local_addr().unwrap();
    let app = foreign().layer(node.layer());
    let signal = async { drop(stopped.await) };
    let served = at_the_node.spawn(node.serve(signal, |drained| {
        axum::serve(listener, app).with_graceful_shutdown(drained)
    }));
    let at_the_client = tokio::runtime::Runtime::new().unwrap();
    let url = |path: String| format!("http://{addr}{path}");
    let (streams, mut socket) = at_the_client.block_on(async {
        let mut streams = Vec::new();
        for path in ["/endless".to_owned(), format!("/session/{session}/endless")] {
            let answer = client().get(url(path)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let mut parts = answer.bytes_stream();
            parts.next().await.unwrap().unwrap();
            streams.push(parts);
        }
        let socket = url(format!("/session/{session}/stays")).replace("http:", "ws:");
        (streams, connect_async(socket).await.unwrap().0)
    });
    let began = Instant::now();
    at_the_client.block_on(async {
        let call = tokio::spawn(client().get(url("/takes-time".to_owned())).send());
        tokio::time::sleep(LIMIT / 10).await;
        stop.send(()).unwrap();
        // What ends by itself is not cut off.
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "done");
        timeout(SOON, served)
            .await
            .expect("it ends")
            .unwrap()
            .unwrap();
    });
    let took = began.elapsed();
    assert!(took >= LIMIT && took < LIMIT * 4, "{took:?}");
    // As where `main` returns.
    drop(at_the_node);
    at_the_client.block_on(async {
        for mut parts in streams {
            let end = timeout(SOON, parts.next()).await.expect("it ends");
            assert!(matches!(end, Some(Err(_))), "{end:?}");
        }
        let end = timeout(SOON, socket.next()).await.expect("it ends");
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    });
}
