//! gRPC calls of every kind, of Python's client to a server of tonic, which lands on the wrong machine.

use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::post;
use bytes::{Buf as _, BufMut as _};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::{Response, Status, Streaming};
use tower::service_fn;
use tower_ownership::{Header, MemoryDirectory};

use super::{builder, forward, session_at};
use crate::fleet::{OWNER, Server, WRONG, new_session};
use crate::support::client::SOON;
use crate::support::installed::installed;
use crate::support::left_out;

/// Messages that are text.
#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(String::from_utf8(bytes).ok())
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

fn reply(text: &str) -> Result<String, Status> {
    if text != "fail" {
        return Ok(text.to_uppercase());
    }
    let mut status = Status::failed_precondition("not today: 50 %");
    let reason = "too early".parse().unwrap();
    status.metadata_mut().insert("x-reason", reason);
    Err(status)
}

fn by<T>(machine: &str, message: T) -> Response<T> {
    let mut response = Response::new(message);
    let metadata = response.metadata_mut();
    metadata.insert("x-served-by", machine.parse().unwrap());
    response
}

/// Tells of its drop.
struct Ends(UnboundedSender<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A service that answers in capitals, and tells when a call with streams both ways has ended.
fn words(machine: &'static str, ended: UnboundedSender<()>) -> Router {
    let unary = move |request: Request| async move {
        let service = service_fn(move |request: tonic::Request<String>| async move {
            if request.get_ref() == "hang" {
                std::future::pending::<()>().await;
            }
            Ok(by(machine, reply(request.get_ref())?))
        });
        Grpc::new(Text).unary(service, request).await
    };
    let gather = move |request: Request| async move {
        let service = service_fn(
            move |request: tonic::Request<Streaming<String>>| async move {
                let (mut messages, mut gathered) = (request.into_inner(), String::new());
                while let Some(message) = messages.message().await? {
                    gathered.push_str(&reply(&message)?);
                }
                Ok(by(machine, gathered))
            },
        );
        Grpc::new(Text).client_streaming(service, request).await
    };
    let scatter = move |request: Request| async move {
        let service = service_fn(move |request: tonic::Request<String>| async move {
            let words: Vec<_> = request.get_ref().split(' ').map(str::to_owned).collect();
            let replies: Replies = Box::pin(stream::iter(words).map(|word| reply(&word)));
            Ok(by(machine, replies))
        });
        Grpc::new(Text).server_streaming(service, request).await
    };
    let talk = move |request: Request| {
        let ended = ended.clone();
        async move {
            let service = service_fn(move |request: tonic::Request<Streaming<String>>| {
                let ends = Ends(ended.clone());
                let replies = request.into_inner().map(move |message| {
                    let _held = &ends;
                    reply(&message?)
                });
                let replies: Replies = Box::pin(replies);
                async move { Ok(by(machine, replies)) }
            });
            Grpc::new(Text).streaming(service, request).await
        }
    };
    Router::new()
        .route("/test.Words/Unary", post(unary))
        .route("/test.Words/Gather", post(gather))
        .route("/test.Words/Scatter", post(scatter))
        .route("/test.Words/Talk", post(talk))
}

#[tokio::test]
async fn calls_of_every_kind_are_carried() {
    let Some(python) = installed("grpc/requirements.txt", "grpc") else {
        let why = "it is not installed; tests/run installs it";
        return left_out("gRPC for Python through forward", why);
    };
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    let (ends, mut ended) = unbounded_channel();
    let start = async |machine| {
        let layer = builder(machine, &sessions)
            .session(Header::named("x-session-id").unwrap())
            .forward(forward());
        let words = words(machine, ends.clone());
        Server::start(words.layer(layer.build().unwrap())).await
    };
    let (wrong, owner) = (start(WRONG).await, start(OWNER).await);
    sessions.insert(session_at(&session, OWNER, &owner.url("")));
    let output = Command::new(python.join("bin/python"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/grpc/kinds.py"
        ))
        .args([wrong.addr.to_string(), session.to_string()])
        .stderr(Stdio::inherit())
        .output();
    let output = timeout(SOON, output).await.expect("it ends").unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        fields.retain(|_, value| !value.is_null());
        line
    });
    let mut came = |call: &str, mut expected: Value| {
        expected["call"] = call.into();
        assert_eq!(lines.next(), Some(expected));
    };
    let good = |messages: &[&str]| json!({ "messages": messages, "code": "OK", "served": OWNER });
    let bad = || {
        json!({
            "code": "FAILED_PRECONDITION", "details": "not today: 50 %", "reason": "too early",
        })
    };
    came("unary", good(&["A"]));
    came("large", json!({ "length": 3_000_000 }));
    came("unary error", bad());
    let late = json!({ "code": "DEADLINE_EXCEEDED", "details": "Deadline Exceeded" });
    came("deadline", late);
    came("client stream", good(&["ABC"]));
    came("client stream error", bad());
    came("server stream", good(&["A", "B", "C"]));
    let mut half = bad();
    half["messages"] = json!(["A", "B"]);
    came("server stream error", half);
    came("both streams", good(&["A", "B", "C"]));
    came("both streams error", bad());
    came("cancelled", json!({ "code": "CANCELLED" }));
    let unknown = lines.next().unwrap();
    assert_eq!(unknown["code"], "NOT_FOUND");
    let details = unknown["details"].as_str().unwrap();
    assert!(details.starts_with("session-unknown: "), "{details}");
    assert_eq!(lines.next(), None);
    for call in ["complete", "failed", "cancelled"] {
        let told = timeout(Duration::from_secs(5), ended.recv()).await;
        assert_eq!(told.expect(call), Some(()));
    }
}
