//! WebSockets over HTTP/2, by extended CONNECT (RFC 8441), and plain CONNECT.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::WebSocketUpgrade;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower_ownership::{Header, MemoryDirectory, SessionId};

use super::{Pair, builder, forward, impatient, layer, listener, session_at};
use crate::fleet::{OWNER, Server, WRONG, new_session};
use crate::support::client::SOON;

/// A connection of HTTP/2, once its server has said that streams may switch protocols.
async fn connected(addr: SocketAddr) -> SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (sender, mut connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    timeout(SOON, async {
        while !connection.is_extended_connect_protocol_enabled() {
            let once = std::future::poll_fn(|cx| {
                let _ = std::pin::Pin::new(&mut connection).poll(cx);
                std::task::Poll::Ready(())
            });
            once.await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("settings");
    tokio::spawn(connection);
    sender
}

fn opening(session: &SessionId, rest: &str) -> Request<Body> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://app/session/{session}{rest}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(Body::empty())
        .unwrap()
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

async fn socket(response: &mut Response<Incoming>) -> Socket {
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    let answer = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert_eq!(answer.unwrap(), Message::text(format!("{OWNER}: {text}")));
}

#[tokio::test]
async fn a_websocket_over_http2_is_carried_both_ways() {
    let pair = Pair::start().await;
    let session = pair.session();
    let mut sender = connected(pair.wrong.server.addr).await;
    let opened = (0..3).map(|_| sender.send_request(opening(&session, "/ws")));
    let mut sockets = Vec::new();
    for response in futures_util::future::join_all(opened).await {
        let mut response = response.unwrap();
        assert_eq!(response.status(), 200);
        sockets.push(socket(&mut response).await);
    }
    for text in ["one", "two"] {
        for socket in &mut sockets {
            echoes(socket, text).await;
        }
    }
    let large = vec![7_u8; 1_000_000];
    for mut socket in sockets {
        socket.send(Message::binary(large.clone())).await.unwrap();
        let answer = timeout(SOON, socket.next()).await.unwrap().unwrap();
        assert_eq!(answer.unwrap(), Message::binary(large.clone()));
        socket.close(None).await.unwrap();
        let end = timeout(SOON, async { while socket.next().await.is_some() {} });
        end.await.expect("both sides close");
    }
    // The connections to the owner are as good as new.
    let mut response = sender.send_request(opening(&session, "/ws")).await.unwrap();
    echoes(&mut socket(&mut response).await, "three").await;
}

#[tokio::test]
async fn a_websocket_over_http2_ends_with_either_side() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    // Leaves after the first message, or with the client.
    let leaving = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |mut socket| {
            let first = socket.recv().await;
            ended.send(first.and_then(Result::ok).is_some()).unwrap();
        })
    };
    let pair = Pair::with(|router| router.route("/session/{id}/leaving", any(leaving))).await;
    let session = pair.session();
    let mut sender = connected(pair.wrong.server.addr).await;
    for by_owner in [true, false] {
        let asked = opening(&session, "/leaving");
        let mut response = sender.send_request(asked).await.unwrap();
        let mut socket = socket(&mut response).await;
        if by_owner {
            socket.send(Message::text("one")).await.unwrap();
            let end = timeout(SOON, async {
                while let Some(Ok(_)) = socket.next().await {}
            });
            end.await.expect("the owner's end arrives");
        }
        drop(socket);
        let got_message = timeout(SOON, ends.recv()).await;
        assert_eq!(
            got_message.expect("the client's end arrives"),
            Some(by_owner)
        );
    }
}

#[tokio::test]
async fn the_owners_refusal_of_a_websocket_over_http2_comes_back_as_it_is() {
    let pair = Pair::start().await;
    let mut sender = connected(pair.wrong.server.addr).await;
    // Axum asks for the version of the protocol.
    let mut without = opening(&pair.session(), "/ws");
    without.headers_mut().remove("sec-websocket-version");
    let response = sender.send_request(without).await.unwrap();
    assert_eq!(response.status(), 400);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!body.is_empty());
    let session = new_session();
    let response = sender.send_request(opening(&session, "/ws")).await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["ownership-code"], "session-unknown");
}

#[tokio::test]
async fn an_owner_that_takes_no_websockets_over_http2_is_sent_none() {
    let sessions = MemoryDirectory::new();
    let session = new_session();
    let router = axum::Router::new().fallback(async || "served");
    let router = router.layer(layer(OWNER, &sessions, forward()));
    // Without `enable_connect_protocol`.
    let owner = Server::with(async move |listener| {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(router.clone());
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    })
    .await;
    sessions.insert(session_at(&session, OWNER, &owner.url("")));
    let wrong = super::Machine::start(WRONG, &sessions, impatient()).await;
    let mut sender = connected(wrong.server.addr).await;
    let response = sender.send_request(opening(&session, "/ws")).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["ownership-code"], "owner-unreachable");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("other protocols over HTTP/2"), "{text}");
}

#[tokio::test]
async fn a_plain_connect_is_refused_and_reaches_no_owner() {
    let (listener, addr) = listener().await;
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(session_at(&session, OWNER, &format!("http://{addr}")));
    let wrong = builder(WRONG, &sessions)
        .session(Header::named("x-session-id").unwrap())
        .forward(forward());
    let router = axum::Router::new().fallback(async || "served");
    let wrong = Server::start(router.layer(wrong.build().unwrap())).await;
    let ask = |version| {
        Request::builder()
            .method(Method::CONNECT)
            .version(version)
            .uri("internal.example:22")
            .header("x-session-id", session.to_string())
            .body(Body::empty())
            .unwrap()
    };
    let mut sender = connected(wrong.addr).await;
    let over_http2 = sender.send_request(ask(http::Version::HTTP_2)).await;
    let io = TokioIo::new(TcpStream::connect(wrong.addr).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let over_http1 = sender.send_request(ask(http::Version::HTTP_11)).await;
    for response in [over_http2.unwrap(), over_http1.unwrap()] {
        assert_eq!(response.status(), 421);
        assert_eq!(response.headers()["ownership-code"], "not-replayable");
    }
    let none = timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(none.is_err());
}
