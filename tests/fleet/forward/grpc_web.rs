//! gRPC-Web, by the clients that browsers run: connect-es and protobuf-ts, under Node.js.

use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use http::{HeaderMap, header};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;
use tower_ownership::{Header, MemoryDirectory, SessionId};

use super::{builder, forward, session_at};
use crate::fleet::{OWNER, Server, WRONG, new_session};
use crate::support::client::SOON;
use crate::support::installed::installed;
use crate::support::{find_program, left_out};

/// A part of a body: of a kind, with its length.
fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], message].concat()
}

/// Answers the words of a `google.protobuf.StringValue`, each with the machine's name, and a status.
fn words(machine: &'static str) -> Router {
    let answer = move |head: HeaderMap, body: Bytes| async move {
        let kind = head[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let is_text = kind.contains("-text");
        let body = if is_text {
            BASE64.decode(&body).unwrap()
        } else {
            body.to_vec()
        };
        let asked = std::str::from_utf8(&body[7..]).unwrap();
        let mut answer = Vec::new();
        for word in asked.split(' ') {
            let word = format!("{word} {machine}");
            let message = [&[10, u8::try_from(word.len()).unwrap()], word.as_bytes()].concat();
            answer.extend(frame(0, &message));
        }
        answer.extend(frame(0x80, b"grpc-status: 0\r\n"));
        if is_text {
            answer = BASE64.encode(answer).into_bytes();
        }
        ([(header::CONTENT_TYPE, kind)], answer)
    };
    Router::new()
        .route("/test.Words/Unary", post(answer))
        .route("/test.Words/Scatter", post(answer))
}

#[tokio::test]
async fn clients_of_grpc_web_are_served_and_read_refusals() {
    let (Some(folder), Some(node)) = (
        installed("grpc_web/package-lock.json", "grpc_web"),
        find_program("node", &[]),
    ) else {
        let why = "they are not installed; tests/run installs them";
        return left_out("clients of gRPC-Web", why);
    };
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    let start = async |machine| {
        let layer = builder(machine, &sessions)
            .session(Header::named("x-session-id").unwrap())
            .forward(forward());
        Server::start(words(machine).layer(layer.build().unwrap())).await
    };
    let (wrong, owner) = (start(WRONG).await, start(OWNER).await);
    sessions.insert(session_at(&session, OWNER, &owner.url("")));
    let lost: SessionId = "lost".parse().unwrap();
    sessions.insert(session_at(&lost, OWNER, "http://127.0.0.1:1"));
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/grpc_web/client.mjs");
    let output = Command::new(node)
        .arg(client)
        .args([wrong.url(""), session.to_string()])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output();
    let output = timeout(SOON, output).await.expect("it ends").unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines.lines().map(|line| -> Value {
        let mut line: Value = serde_json::from_str(line).unwrap();
        // What it says beyond the code is for readers.
        if let Some(message) = line.pointer_mut("/came/message") {
            let code = message.as_str().unwrap().split(": ").next().unwrap();
            *message = code.into();
        }
        line
    });
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (client, [not_found, unavailable]) in [
        ("connect-es", [json!(5), json!(14)]),
        (
            "protobuf-ts binary",
            [json!("NOT_FOUND"), json!("UNAVAILABLE")],
        ),
        (
            "protobuf-ts text",
            [json!("NOT_FOUND"), json!("UNAVAILABLE")],
        ),
    ] {
        for (kind, words) in [("unary", &["a"][..]), ("scatter", &["a", "b"])] {
            let words: Vec<_> = words.iter().map(|word| format!("{word} {OWNER}")).collect();
            let refused = |code: &Value, name: &str, pushback: bool| json!({ "code": code, "message": name, "pushback": pushback });
            for (id, came) in [
                (session.to_string(), json!(words)),
                (
                    unknown.to_owned(),
                    refused(&not_found, "session-unknown", false),
                ),
                (
                    "lost".to_owned(),
                    refused(&unavailable, "owner-unreachable", true),
                ),
            ] {
                let line = lines.next().expect("a line for each call");
                let expected = json!({
                    "client": client, "kind": kind, "id": id, "came": came, "status": 200,
                });
                assert_eq!(line, expected);
            }
        }
    }
    assert_eq!(lines.next(), None);
}
