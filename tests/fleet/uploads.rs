//! Request bodies: carried whole, or refused before they are sent.

use std::net::SocketAddr;

use axum::body::Bytes;
use futures_util::stream;
use reqwest::{Body, Method};
use tower_ownership::testing::HopKind;
use tower_ownership::{FlyReplay, SessionId};

use crate::application::sha256;
use crate::fleet::{Fleet, OWNER, WRONG, edge, layer};
use crate::support::client::{Answer, raw, request, send};

/// Bytes that differ from place to place, so that a lost or doubled part shows.
pub fn noise(length: usize) -> Bytes {
    (0..length)
        .map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap())
        .collect::<Vec<_>>()
        .into()
}

/// A body whose length the request does not tell.
pub fn unknown_length(bytes: &Bytes) -> Body {
    let parts: Vec<_> = bytes.chunks(50_000).map(Bytes::copy_from_slice).collect();
    Body::wrap_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

async fn upload(base: String, session: SessionId, body: impl Into<Body>) -> Answer {
    let url = format!("{base}/session/{session}/upload");
    send(request(Method::POST, url).body(body)).await
}

fn is_intact(answer: &Answer, bytes: &Bytes) {
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["bytes"], bytes.len());
    assert_eq!(answer.json()["sha256"], sha256(bytes));
}

#[tokio::test]
async fn an_upload_of_900_kb_reaches_the_owner_intact() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let bytes = noise(900_000);
    let answer = upload(fleet.edge.url(""), session.clone(), bytes.clone()).await;
    is_intact(&answer, &bytes);
    let way = [
        (WRONG.to_owned(), HopKind::Landed),
        (OWNER.to_owned(), HopKind::Replayed),
    ];
    assert_eq!(fleet.way(), way);
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn the_largest_upload_that_can_be_carried_is_carried_and_one_byte_more_is_refused() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let bytes = noise(1_000_000);
    is_intact(
        &upload(fleet.edge.url(""), session.clone(), bytes.clone()).await,
        &bytes,
    );
    let answer = upload(fleet.edge.url(""), session, noise(1_000_001)).await;
    answer.is_refused(413, "not-replayable");
    assert_eq!(
        fleet.edge.events(),
        [],
        "the edge had nothing to complain of"
    );
}

/// Sends nothing but a head that promises a body, so an answer proves that none has to come.
async fn promise(addr: SocketAddr, session: SessionId, promise: &str) -> Answer {
    let head = format!("POST /session/{session}/upload HTTP/1.1\r\nHost: app\r\n{promise}\r\n\r\n");
    raw(addr, head.as_bytes()).await
}

#[tokio::test]
async fn an_upload_of_3_mb_to_the_wrong_machine_is_refused_before_its_body_is_sent() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    for addr in [fleet.wrong.server.addr, fleet.edge.addr()] {
        let answer = promise(addr, session.clone(), "Content-Length: 3000000").await;
        answer.is_refused(413, "not-replayable");
        let problem = answer.json();
        assert_eq!(problem["status"], 413);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1000000 bytes"), "{detail}");
    }
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_not_told_to_go_on() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let asks = "Content-Length: 3000000\r\nExpect: 100-continue";
    // `raw` reads one head: a `100 Continue` would be the answer here.
    promise(fleet.wrong.server.addr, session, asks)
        .await
        .is_refused(413, "not-replayable");
}

#[tokio::test]
async fn a_3_mb_upload_that_is_sent_all_the_same_reads_the_refusal() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let answer = upload(fleet.edge.url(""), session, noise(3_000_000)).await;
    answer.is_refused(413, "not-replayable");
    assert_eq!(fleet.edge.hops().len(), 1, "nothing was replayed");
}

#[tokio::test]
async fn an_upload_of_unknown_length_to_the_wrong_machine_is_refused_before_its_body_is_sent() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    for addr in [fleet.wrong.server.addr, fleet.edge.addr()] {
        let answer = promise(addr, session.clone(), "Transfer-Encoding: chunked").await;
        answer.is_refused(413, "not-replayable");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("Content-Length"), "{detail}");
    }
    let body = unknown_length(&noise(100_000));
    upload(fleet.edge.url(""), session.clone(), body)
        .await
        .is_refused(413, "not-replayable");
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn an_upload_of_unknown_length_is_carried_where_the_builder_says_so() {
    let fleet = Fleet::with(edge(), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().replay_unknown_length(true))
    })
    .await;
    let session = fleet.session();
    let bytes = noise(900_000);
    let answer = upload(fleet.edge.url(""), session, unknown_length(&bytes)).await;
    is_intact(&answer, &bytes);
}

#[tokio::test]
async fn large_uploads_to_the_owner_itself_stream_through() {
    let fleet = Fleet::start().await;
    fleet.edge.land_on(OWNER);
    let session = fleet.session();
    let bytes = noise(20_000_000);
    for base in [fleet.owner.server.url(""), fleet.edge.url("")] {
        is_intact(
            &upload(base.clone(), session.clone(), bytes.clone()).await,
            &bytes,
        );
        is_intact(
            &upload(base, session.clone(), unknown_length(&bytes)).await,
            &bytes,
        );
    }
}
