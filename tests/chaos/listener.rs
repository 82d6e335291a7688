//! Who listens to a stream until it ends, or for as long as it likes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower_ownership::ownership::LossReason;
use uuid::Uuid;

use crate::client::{Client, Seen, failure, refusal};
use crate::clock::At;
use crate::history::{Kind, Outcome};
use crate::stream::{Stream, StreamEnd, StreamKind};

/// A stream on which nothing came for so long does not end.
const SILENCE: Duration = Duration::from_secs(60);

/// Listens to server-sent events.
pub async fn events(client: Client, session: Uuid, listens: Duration) {
    // One comes every 200 ms: more of them than anybody listens to.
    let path = format!("/session/{session}/events?count=100");
    let request = client.http().get(client.fleet().edge.url(&path));
    let sent = At::now();
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            let seen = Seen::default();
            return client.record(session, Kind::Events, sent, failure(&error), seen);
        }
    };
    let (seen, status) = (Seen::of(response.headers()), response.status());
    if let Some(refused) = refusal(&response) {
        return client.record(session, Kind::Events, sent, refused, seen);
    }
    if status.is_server_error() {
        let status = status.as_u16();
        return client.record(session, Kind::Events, sent, Outcome::Edge { status }, seen);
    }
    assert_eq!(status, 200);
    client.record(session, Kind::Events, sent, Outcome::Opened, seen.clone());
    let mut heard = Heard::new(&client, session, StreamKind::Events, seen);
    let mut body = response.bytes_stream();
    let until = Instant::now() + listens;
    let mut said = String::new();
    let end = loop {
        match timeout_at(until, body.next()).await {
            Err(_) => break StreamEnd::Left,
            Ok(None) => {
                let last = said.trim_end().rsplit("\n\n").next().unwrap_or_default();
                break if last.contains("event: ownership-lost") {
                    StreamEnd::Farewell(last.rsplit("data: ").next().unwrap_or_default().to_owned())
                } else {
                    StreamEnd::Silent
                };
            }
            Ok(Some(Ok(bytes))) => {
                said.push_str(&String::from_utf8_lossy(&bytes));
                if !said.contains("event: ownership-lost") {
                    heard.something();
                }
            }
            Ok(Some(Err(error))) => break StreamEnd::Broken(format!("{error:?}")),
        }
    };
    heard.end(end);
}

/// Talks by a WebSocket.
pub async fn socket(client: Client, session: Uuid, listens: Duration) {
    let edge = client.fleet().edge.addr();
    let sent = At::now();
    let opened = timeout(
        SILENCE,
        connect_async(format!("ws://{edge}/session/{session}/ws")),
    )
    .await;
    let (mut socket, response) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(Error::Http(response))) => {
            let code = response.headers().get("ownership-code");
            let code = code.map(|code| String::from_utf8_lossy(code.as_bytes()).into_owned());
            let status = response.status().as_u16();
            let outcome = match code {
                Some(code) => Outcome::Refused { status, code },
                None => Outcome::Edge { status },
            };
            return client.record(
                session,
                Kind::Socket,
                sent,
                outcome,
                Seen::of(response.headers()),
            );
        }
        Ok(Err(error)) => {
            let broken = Outcome::Broken(format!("{error:?}"));
            return client.record(session, Kind::Socket, sent, broken, Seen::default());
        }
        Err(_) => {
            let seen = Seen::default();
            return client.record(session, Kind::Socket, sent, Outcome::Nothing, seen);
        }
    };
    let seen = Seen::of(response.headers());
    client.record(session, Kind::Socket, sent, Outcome::Opened, seen.clone());
    let mut heard = Heard::new(&client, session, StreamKind::Socket, seen);
    let until = Instant::now() + listens;
    let end = loop {
        if Instant::now() > until {
            break StreamEnd::Left;
        }
        if let Some(end) = say(&mut socket, &mut heard).await {
            break end;
        }
    };
    heard.end(end);
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Says something, and waits for the echo; or finds that it is over.
async fn say(socket: &mut Socket, heard: &mut Heard) -> Option<StreamEnd> {
    const PAUSE: Duration = Duration::from_millis(200);
    // What comes unasked is the goodbye.
    let unasked = timeout(PAUSE, socket.next()).await;
    let came = if let Ok(came) = unasked {
        came
    } else {
        // If it is gone, reading says why.
        let _ = socket.send("hello".into()).await;
        let Ok(came) = timeout(SILENCE, socket.next()).await else {
            return Some(StreamEnd::Broken("nothing comes any more".to_owned()));
        };
        came
    };
    match came {
        Some(Ok(Message::Close(Some(frame)))) => {
            let end = format!("{} {}", frame.code, frame.reason);
            Some(if frame.code == CloseCode::from(LossReason::CLOSE_CODE) {
                StreamEnd::Farewell(end)
            } else {
                StreamEnd::Broken(end)
            })
        }
        Some(Ok(Message::Close(None))) | None => Some(StreamEnd::Silent),
        Some(Ok(_)) => {
            heard.something();
            None
        }
        Some(Err(error)) => Some(StreamEnd::Broken(format!("{error:?}"))),
    }
}

/// What is known of a stream until it ends.
struct Heard {
    client: Client,
    stream: Stream,
    seen: Seen,
}

impl Heard {
    fn new(client: &Client, session: Uuid, kind: StreamKind, seen: Seen) -> Self {
        let now = At::now();
        let stream = Stream {
            session,
            kind,
            // The edge tells, in the end.
            machine: String::new(),
            carrier: None,
            opened: now,
            heard: now,
            ended: At::NEVER,
            end: StreamEnd::Left,
        };
        Self {
            client: client.clone(),
            stream,
            seen,
        }
    }

    fn something(&mut self) {
        self.stream.heard = At::now();
    }

    fn end(mut self, end: StreamEnd) {
        self.stream.ended = At::now();
        self.stream.end = end;
        let recorder = &self.client.fleet().recorder;
        recorder.lock().streams.push((self.stream, self.seen));
    }
}
