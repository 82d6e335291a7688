//! Upgraded connections.

use axum::extract::ws::{Message as Frame, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, FlyEdge};

use super::machine::*;

/// Echoes messages with its name in front.
fn echo(upgrade: WebSocketUpgrade, name: &'static str) -> Response {
    upgrade
        .protocols(["chat"])
        .on_upgrade(move |mut socket| async move {
            while let Some(Ok(Frame::Text(text))) = socket.recv().await {
                let answer = Frame::Text(format!("{name}: {text}").into());
                if socket.send(answer).await.is_err() {
                    break;
                }
            }
        })
}

async fn socket_machine(name: &'static str) -> std::net::SocketAddr {
    let handler = move |upgrade: WebSocketUpgrade| async move { echo(upgrade, name) };
    serve_app(axum::Router::new().fallback(any(handler))).await
}

async fn converse(edge: &FlyEdge) -> String {
    let mut request = format!("ws://{}/ws?q", edge.addr())
        .into_client_request()
        .unwrap();
    let protocol = "chat".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let (mut socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert!(response.headers().contains_key("fly-request-id"));
    let mut answers = String::new();
    for word in ["a", "b"] {
        socket.send(Message::text(word)).await.unwrap();
        answers += socket.next().await.unwrap().unwrap().to_text().unwrap();
        answers += " ";
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    answers
}

#[tokio::test]
async fn a_websocket_is_tunnelled() {
    let edge = edge().start().await.unwrap();
    edge.add(ONE, socket_machine("one").await);
    assert_eq!(converse(&edge).await, "one: a one: b ");
}

#[tokio::test]
async fn a_websocket_is_tunnelled_to_the_machine_that_a_replay_names() {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add(TWO, socket_machine("two").await);
    assert_eq!(converse(&edge).await, "two: a two: b ");
    let statuses: Vec<_> = edge
        .hops()
        .iter()
        .map(|hop| hop.status.unwrap().as_u16())
        .collect();
    assert_eq!(statuses, [409, 101]);
    assert_eq!(emitter.last().header("upgrade"), Some("websocket"));
}

#[tokio::test]
async fn an_emitter_that_completes_the_upgrade_is_not_replayed() {
    let handler = |upgrade: WebSocketUpgrade| async move {
        (
            [("fly-replay", "instance=e286544f716d89")],
            echo(upgrade, "one"),
        )
            .into_response()
    };
    let edge = edge().start().await.unwrap();
    edge.add(
        ONE,
        serve_app(axum::Router::new().fallback(any(handler))).await,
    );
    edge.add(TWO, socket_machine("two").await);
    assert_eq!(converse(&edge).await, "one: a one: b ");
}

#[tokio::test]
async fn an_upgrade_cannot_be_sent_to_an_http2_backend() {
    let edge = edge().start().await.unwrap();
    let addr = socket_machine("one").await;
    edge.add_machine(EdgeMachine::new(ONE, addr).h2_backend(true));
    let refused = connect_async(format!("ws://{}/", edge.addr())).await;
    assert!(refused.unwrap_err().to_string().contains("502"));
    assert_eq!(kinds(&edge), [EdgeErrorKind::CannotSend]);
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let edge = edge_with(&[(ONE, &Machine::named("no").await)]).await;
    let request = client().get(edge.url("/"));
    let request = request
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "no");
}

#[tokio::test]
async fn a_machine_cannot_switch_protocols_unasked() {
    let edge = edge().start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    edge.add(ONE, listener.local_addr().unwrap());
    let machine = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let answer =
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::NoAnswer]);
    machine.await.unwrap();
}
