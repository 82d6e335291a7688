//! Connections that stand open: WebSockets, event streams, and what becomes of them.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::{Alone, Pair, forward, listener};
use crate::fleet::OWNER;
use crate::support::client::{SOON, client};

#[tokio::test]
async fn a_websocket_is_carried_both_ways() {
    let pair = Pair::start().await;
    let session = pair.session();
    let url = pair.url(&session, "/ws").replace("http:", "ws:");
    let (mut socket, response) = connect_async(url).await.unwrap();
    assert_eq!(response.headers()["upgrade"], "websocket");
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        let answer = timeout(SOON, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(answer, Message::text(format!("{OWNER}: {text}")));
    }
    let large = vec![7_u8; 1_000_000];
    socket.send(Message::binary(large.clone())).await.unwrap();
    let answer = timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(answer, Message::binary(large));
    socket.close(None).await.unwrap();
    let end = timeout(SOON, async { while socket.next().await.is_some() {} });
    end.await.expect("both sides close");
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let pair = Pair::start().await;
    let session = pair.session();
    let response = client()
        .get(pair.url(&session, "/events"))
        .send()
        .await
        .unwrap();
    let mut events = response.bytes_stream();
    for text in ["one", "two", "three"] {
        // Sent only after the one before it is here.
        pair.owner.application.events.send(text.to_owned()).unwrap();
        let event = timeout(SOON, events.next()).await.expect("not held back");
        assert_eq!(event.unwrap().unwrap(), format!("data: {text}\n\n"));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_an_error_and_no_short_answer() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    tokio::spawn(async move {
        for head in ["content-length: 100", "transfer-encoding: chunked"] {
            let (mut owner, _) = listener.accept().await.unwrap();
            let mut read = [0; 1024];
            let _ = owner.read(&mut read).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
            owner.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for _ in 0..2 {
        let response = client().get(alone.url()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.bytes().await;
        assert!(body.is_err(), "{body:?}");
    }
}

#[tokio::test]
async fn a_stream_that_the_owner_cancels_is_an_error() {
    let head_arrived = std::sync::Arc::new(tokio::sync::Notify::new());
    // Its task ends in a panic, which resets the stream of HTTP/2 with CANCEL.
    let parts = |may_end: std::sync::Arc<tokio::sync::Notify>| {
        futures_util::stream::unfold(0, move |part| {
            let may_end = std::sync::Arc::clone(&may_end);
            async move {
                if part == 1 {
                    may_end.notified().await;
                    panic!("the application panics");
                }
                Some((Ok::<_, std::convert::Infallible>("part"), 1))
            }
        })
    };
    for forward in [forward(), forward().always_http2()] {
        let may_end = std::sync::Arc::clone(&head_arrived);
        let pair = Pair::by(forward, move |router| {
            let parts = async move || axum::body::Body::from_stream(parts(may_end));
            router.route("/session/{id}/parts", axum::routing::get(parts))
        })
        .await;
        let url = pair.url(&pair.session(), "/parts");
        let response = client().get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        head_arrived.notify_one();
        let body = response.bytes().await;
        assert!(body.is_err(), "{body:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_closes_the_connection_to_the_owner() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    // Before the owner has answered, and in the midst of its answer.
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
    ] {
        let mut client = tokio::net::TcpStream::connect(alone.wrong.server.addr)
            .await
            .unwrap();
        let head = format!(
            "GET /session/{} HTTP/1.1\r\nhost: app\r\n\r\n",
            alone.session
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut owner, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        let mut read = vec![0; 4096];
        assert_ne!(owner.read(&mut read).await.unwrap(), 0);
        owner.write_all(answer.as_bytes()).await.unwrap();
        if !answer.is_empty() {
            assert_ne!(client.read(&mut read).await.unwrap(), 0);
        }
        drop(client);
        let end = timeout(SOON, owner.read(&mut read))
            .await
            .expect("it is closed");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
}

#[tokio::test]
async fn an_answer_comes_before_the_body_is_complete() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    tokio::spawn(async move {
        let (mut owner, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 65_536];
        let _ = owner.read(&mut read).await.unwrap();
        let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong";
        owner.write_all(answer.as_bytes()).await.unwrap();
        // It reads on, as a server does that wants its answer to arrive.
        while owner.read(&mut read).await.is_ok_and(|read| read > 0) {}
    });
    let mut client = tokio::net::TcpStream::connect(alone.wrong.server.addr)
        .await
        .unwrap();
    let head = format!(
        "POST /session/{} HTTP/1.1\r\nhost: app\r\ncontent-length: 1000\r\n\r\nfirst",
        alone.session
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"long") {
        let more = timeout(Duration::from_secs(10), client.read_buf(&mut read)).await;
        assert_ne!(more.expect("it is not held back").unwrap(), 0);
    }
    assert!(read.starts_with(b"HTTP/1.1 413 "));
}
