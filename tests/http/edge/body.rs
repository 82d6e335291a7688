//! Request bodies: what is kept for a replay, and what only passes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tower_ownership::testing::{EdgeErrorKind, FlyEdge};

use super::machine::*;

const LIMIT: usize = 1_000_000;

/// An edge whose requests land on an emitter and belong to an owner.
async fn fleet() -> (FlyEdge, Machine, Machine) {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let owner = Machine::named("owner").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &owner)]).await;
    (edge, emitter, owner)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// A body without a length, in chunks.
fn chunked(len: usize) -> reqwest::Body {
    let chunks: Vec<_> = bytes(len)
        .chunks(7_000)
        .map(Bytes::copy_from_slice)
        .collect();
    reqwest::Body::wrap_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>))
}

async fn post(edge: &FlyEdge, body: impl Into<reqwest::Body>) -> reqwest::Response {
    client()
        .post(edge.url("/"))
        .body(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_replayed_whole() {
    let (edge, emitter, owner) = fleet().await;
    for body in [reqwest::Body::from(bytes(LIMIT)), chunked(LIMIT)] {
        assert_eq!(post(&edge, body).await.text().await.unwrap(), "owner");
        assert!(owner.last().body == bytes(LIMIT));
        assert!(emitter.last().body == bytes(LIMIT));
    }
    let framing: Vec<_> = (owner.seen().iter())
        .map(|seen| seen.header("content-length").map(str::to_owned))
        .collect();
    assert_eq!(framing, [Some(LIMIT.to_string()), None]);
}

#[tokio::test]
async fn a_body_over_the_limit_cannot_be_replayed() {
    let (edge, emitter, owner) = fleet().await;
    for body in [reqwest::Body::from(bytes(LIMIT + 1)), chunked(LIMIT + 1)] {
        edge.clear_log();
        assert_bad_gateway(post(&edge, body).await).await;
        assert!(emitter.last().body == bytes(LIMIT + 1));
        assert_eq!(kinds(&edge), [EdgeErrorKind::BodyTooLarge]);
        assert_eq!(edge.events()[0].kind.code(), Some("PA01"));
    }
    assert!(owner.seen().is_empty());
}

#[tokio::test]
async fn the_limit_can_be_set() {
    for (limit, status) in [(9, 502), (10, 200)] {
        let edge = edge().body_limit(limit).start().await.unwrap();
        let emitter = Machine::replaying("instance=e286544f716d89").await;
        edge.add(ONE, emitter.addr);
        let owner = Machine::named("owner").await;
        edge.add(TWO, owner.addr);
        assert_eq!(post(&edge, bytes(10)).await.status(), status);
    }
}

#[tokio::test]
async fn a_body_is_given_back_with_a_fallback_and_over_many_replays() {
    let three = Machine::replaying("instance=gone;fallback=prefer_self").await;
    let two = Machine::replaying("instance=90801679a10038").await;
    let (edge, _, _) = fleet().await;
    edge.add(TWO, two.addr);
    edge.add(THREE, three.addr);
    post(&edge, bytes(5_000)).await;
    assert_eq!(three.seen().len(), 2);
    assert!(three.seen().iter().all(|seen| seen.body == bytes(5_000)));
}

#[tokio::test]
async fn a_large_upload_passes_to_the_machine_it_lands_on() {
    let edge = edge_with(&[(
        ONE,
        &Machine::start(|seen| Response::new(Body::from(seen.body.clone()))).await,
    )])
    .await;
    for body in [reqwest::Body::from(bytes(5_000_000)), chunked(5_000_000)] {
        let echo = post(&edge, body).await.bytes().await.unwrap();
        assert!(echo == bytes(5_000_000));
    }
}

/// A machine that answers without reading the body, and then closes.
async fn early(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Machine {
    let addr = serve(move |_unread| {
        let response = answer();
        async move { response }
    })
    .await;
    let mut machine = Machine::named("").await;
    machine.addr = addr;
    machine
}

#[tokio::test]
async fn an_early_answer_reaches_the_client_in_the_middle_of_its_upload() {
    let machine = early(|| {
        let body = Body::from("413: too much");
        Response::builder().status(413).body(body).unwrap()
    })
    .await;
    let edge = edge_with(&[(ONE, &machine)]).await;
    // Many times, since what would go wrong is a race between the answer and a reset.
    for _ in 0..20 {
        for body in [reqwest::Body::from(bytes(3_000_000)), chunked(3_000_000)] {
            let response = post(&edge, body).await;
            assert_eq!(response.status(), 413);
            assert_eq!(response.text().await.unwrap(), "413: too much");
        }
    }
}

#[tokio::test]
async fn an_early_replay_of_a_large_upload_is_refused_and_the_client_learns_it() {
    let edge = edge_with(&[(ONE, &early(|| replay("instance=e286544f716d89")).await)]).await;
    let owner = Machine::named("owner").await;
    edge.add(TWO, owner.addr);
    for _ in 0..20 {
        for body in [reqwest::Body::from(bytes(3_000_000)), chunked(3_000_000)] {
            assert_bad_gateway(post(&edge, body).await).await;
        }
    }
    assert!(owner.seen().is_empty());
}

#[tokio::test]
async fn an_early_replay_of_a_small_upload_waits_for_the_rest_of_it() {
    let edge = edge_with(&[(ONE, &early(|| replay("instance=e286544f716d89")).await)]).await;
    let owner = Machine::named("owner").await;
    edge.add(TWO, owner.addr);
    let mut watch = edge.subscribe();
    let (chunks, rest) = mpsc::channel(1);
    let body = stream::unfold(rest, |mut rest: mpsc::Receiver<Bytes>| async {
        rest.recv()
            .await
            .map(|chunk| (Ok::<_, std::io::Error>(chunk), rest))
    });
    let body = reqwest::Body::wrap_stream(body);
    let url = edge.url("/");
    let request = tokio::spawn(client().post(url).body(body).send());
    chunks.send(Bytes::from_static(b"first ")).await.unwrap();
    watch.next().await.expect("the emitter has answered");
    chunks.send(Bytes::from_static(b"and last")).await.unwrap();
    drop(chunks);
    let response = request.await.unwrap().unwrap();
    assert_eq!(response.text().await.unwrap(), "owner");
    assert_eq!(owner.last().body, "first and last");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for_forever() {
    let edge = edge()
        .body_wait(Duration::from_millis(30))
        .linger(Duration::from_millis(30))
        .start()
        .await
        .unwrap();
    edge.add(ONE, early(|| replay("instance=e286544f716d89")).await.addr);
    edge.add(TWO, Machine::named("owner").await.addr);
    let body = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"never all")) })
        .chain(stream::pending());
    let response = post(&edge, reqwest::Body::wrap_stream(body)).await;
    assert_bad_gateway(response).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::BodyTooLarge]);
}

#[tokio::test]
async fn an_upload_is_not_read_faster_than_the_machine_takes_it() {
    // The machine opens its gate only after the client has been stuck.
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let addr = serve(move |request| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Body::from(body.len().to_string()))
        }
    })
    .await;
    let edge = edge().start().await.unwrap();
    edge.add(ONE, addr);
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    let total: usize = 256 * 1024 * 1024;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {total}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![0; 64 * 1024];
    let mut sent = 0;
    while sent < total {
        let write = tokio::time::timeout(Duration::from_millis(300), client.write(&chunk));
        match write.await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break,
        }
    }
    assert!(
        sent < total / 4,
        "the edge took {sent} bytes that nobody wanted"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_its_request_along() {
    let edge = edge().start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    edge.add(ONE, listener.local_addr().unwrap());
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let (mut machine, _) = listener.accept().await.unwrap();
    let mut byte = [0];
    machine.read_exact(&mut byte).await.unwrap();
    drop(client);
    let mut rest = Vec::new();
    // Ends only because the edge closes the connection.
    machine.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn expect_continue_is_answered_by_the_edge() {
    let (edge, emitter, owner) = fleet().await;
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 25];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer[..], b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"body").await.unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("owner"), "{rest}");
    assert_eq!(owner.last().body, "body");
    assert_eq!(emitter.last().header("expect"), None);
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_still_gets_an_early_answer() {
    let edge = edge().start().await.unwrap();
    let machine = early(|| Response::new(Body::from("early"))).await;
    edge.add(ONE, machine.addr);
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    let head =
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 30000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let megabyte = vec![0; 1_000_000];
    for _ in 0..30 {
        client.write_all(&megabyte).await.unwrap();
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("early"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_waited_for() {
    let edge = edge()
        .body_wait(Duration::from_secs(600))
        .start()
        .await
        .unwrap();
    edge.add(ONE, early(|| replay("instance=e286544f716d89")).await.addr);
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000001\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let answered = tokio::time::timeout(Duration::from_secs(20), client.read_exact(&mut answer));
    answered.await.expect("at once").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 502");
}
