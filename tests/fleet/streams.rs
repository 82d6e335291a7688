//! Connections that stay open reach the owner, and what flows in them is not held up.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower_ownership::SessionId;
use tower_ownership::testing::HopKind;

use crate::fleet::{Fleet, OWNER, WRONG};
use crate::support::client::{SOON, client};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(addr: SocketAddr, session: SessionId) -> Result<Socket, Error> {
    let url = format!("ws://{addr}/session/{session}/ws");
    let connected = timeout(SOON, connect_async(url)).await;
    connected.expect("an answer").map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, message: Message) -> Message {
    socket.send(message).await.unwrap();
    let echo = timeout(SOON, socket.next()).await.expect("an echo");
    echo.expect("still open").unwrap()
}

#[tokio::test]
async fn a_websocket_that_lands_on_the_wrong_machine_reaches_the_owner() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let mut socket = open(fleet.edge.addr(), session.clone()).await.unwrap();

    for word in ["one", "two"] {
        let echo = say(&mut socket, word.into()).await;
        assert_eq!(echo, format!("{OWNER}: {word}").into());
    }
    let large = Message::Binary(Bytes::from(vec![7; 2_000_000]));
    assert_eq!(say(&mut socket, large.clone()).await, large);

    let way = [
        (WRONG.to_owned(), HopKind::Landed),
        (OWNER.to_owned(), HopKind::Replayed),
    ];
    assert_eq!(fleet.way(), way);
    assert_eq!(
        (fleet.wrong.served(&session), fleet.owner.served(&session)),
        (0, 1)
    );
    socket.close(None).await.unwrap();
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_websocket_at_the_owner_is_served_without_a_detour() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let mut socket = open(fleet.owner.server.addr, session).await.unwrap();
    let echo = say(&mut socket, "here".into()).await;
    assert_eq!(echo, format!("{OWNER}: here").into());
}

#[tokio::test]
async fn a_websocket_at_the_wrong_machine_is_not_opened_and_reads_why() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let Err(Error::Http(answer)) = open(fleet.wrong.server.addr, session.clone()).await else {
        panic!("no HTTP answer");
    };
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(answer.headers()["ownership-code"], "replay-not-honoured");
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn a_websocket_outlives_the_move_of_its_session_and_a_new_one_goes_to_the_new_owner() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let mut old = open(fleet.edge.addr(), session.clone()).await.unwrap();
    fleet.give(session.clone(), fleet.third.id);
    // Nobody promises to end it; what the application does with it is the application's matter.
    let echo = say(&mut old, "still".into()).await;
    assert_eq!(echo, format!("{OWNER}: still").into());
    let mut new = open(fleet.edge.addr(), session).await.unwrap();
    let echo = say(&mut new, "moved".into()).await;
    assert_eq!(echo, format!("{}: moved", fleet.third.id).into());
}

#[tokio::test]
async fn an_event_arrives_through_the_edge_before_the_next_one_is_sent() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}/events"));
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.bytes_stream();

    for number in 1..=5 {
        let event = format!("event {number}");
        fleet.owner.application.events.send(event.clone()).unwrap();
        // The next one is not sent before this one is here.
        let mut read = String::new();
        while !read.ends_with("\n\n") {
            let chunk = timeout(SOON, stream.next()).await.expect("not held back");
            read.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
        assert_eq!(read, format!("data: {event}\n\n"));
    }
    assert_eq!(
        (fleet.wrong.served(&session), fleet.owner.served(&session)),
        (0, 1)
    );
}
