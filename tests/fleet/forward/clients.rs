//! Clients that break off, and heads and bodies that are unusual or malformed.

use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::routing::any;
use tower_ownership::observe::Observed;

use super::{Machine, Pair, builder, forward, session_at};
use crate::fleet::{OWNER, WRONG, new_session};
use crate::support::client::raw;

/// What the owner gets: its host and the length of its body.
async fn got(request: Request) -> String {
    let host = request.uri().authority().map(ToString::to_string);
    let host = host.or_else(|| {
        let host = request.headers().get("host")?;
        Some(host.to_str().unwrap().to_owned())
    });
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    match body {
        Ok(body) => format!("{} {}", host.unwrap_or_default(), body.len()),
        Err(error) => error.to_string(),
    }
}

async fn pair(forward: tower_ownership::forward::Forward) -> Pair {
    Pair::by(forward, |router| {
        router.route("/session/{id}/got", any(got))
    })
    .await
}

#[tokio::test]
async fn a_malformed_upload_is_the_clients_fault() {
    let sessions = tower_ownership::MemoryDirectory::new();
    let verdicts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&verdicts);
    let layer = builder(WRONG, &sessions)
        .on_verdict(move |observed: &Observed<'_>| {
            seen.lock().unwrap().push(format!("{:?}", observed.verdict));
        })
        .forward(forward())
        .build()
        .unwrap();
    let wrong = Machine::with(WRONG, layer, |router| router).await;
    let owner = Machine::start(OWNER, &sessions, forward()).await;
    let session = new_session();
    sessions.insert(session_at(&session, OWNER, &owner.server.url("")));
    let asking = format!(
        "POST /session/{session}/upload HTTP/1.1\r\nhost: app\r\n\
         transfer-encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n"
    );
    let answer = raw(wrong.server.addr, asking.as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (400, None), "{answer:?}");
    let verdicts = verdicts.lock().unwrap();
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
}

#[tokio::test]
async fn a_body_of_any_method_arrives() {
    for forward in [forward(), forward().always_http2()] {
        let pair = pair(forward).await;
        let session = pair.session();
        for method in ["GET", "POST", "DELETE"] {
            for (framing, body) in [
                ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
                ("content-length: 5", "hello"),
                ("content-length: 0", ""),
                ("accept: */*", ""),
            ] {
                let asking = format!(
                    "{method} /session/{session}/got HTTP/1.1\r\nhost: app\r\n{framing}\r\n\r\n{body}"
                );
                let answer = raw(pair.wrong.server.addr, asking.as_bytes()).await;
                let length = if body.is_empty() { 0 } else { 5 };
                assert_eq!(answer.text, format!("app {length}"), "{asking}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_without_a_usable_host_is_no_fault_of_the_owner() {
    for (forward, http2) in [(forward(), false), (forward().always_http2(), true)] {
        let pair = pair(forward).await;
        let session = pair.session();
        let ask = async |target: &str, rest: &str| {
            let asking = format!("GET {target}/session/{session}/got {rest}\r\n\r\n");
            raw(pair.wrong.server.addr, asking.as_bytes()).await
        };
        let answer = ask("", "HTTP/1.0").await;
        assert_eq!(answer.text, format!("{} 0", pair.owner.server.addr));
        let answer = ask("http://user:pw@a.example", "HTTP/1.1\r\nhost: other").await;
        assert_eq!(answer.text, "a.example 0");
        if http2 {
            let answer = ask("", "HTTP/1.1\r\nhost: a b/c").await;
            assert_eq!((answer.status, answer.code()), (400, None), "{answer:?}");
        }
    }
}
