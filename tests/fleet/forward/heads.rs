//! What the fields of a request and of a response may do, and may not.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::requests::mirrored;
use super::{Alone, Pair, forward, listener};
use crate::support::client::{Answer, SOON, client, raw, send};

/// The answer of an owner that answers with these bytes.
async fn carried(client: reqwest::Client, answer: &'static str) -> Answer {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    tokio::spawn(async move {
        let (mut owner, _) = listener.accept().await.unwrap();
        let mut read = [0; 4096];
        let _ = owner.read(&mut read).await.unwrap();
        owner.write_all(answer.as_bytes()).await.unwrap();
        while owner.read(&mut read).await.is_ok_and(|read| read > 0) {}
    });
    send(client.get(alone.url())).await
}

fn http2() -> reqwest::Client {
    let http2 = reqwest::Client::builder().no_proxy().timeout(SOON);
    http2.http2_prior_knowledge().build().unwrap()
}

#[tokio::test]
async fn a_client_cannot_name_fields_to_be_removed() {
    let pair = Pair::with(mirrored).await;
    let session = pair.session();
    let head = format!(
        "GET /session/{session}/mirror HTTP/1.1\r\nHost: app.example.com\r\n\
         Connection: x-forwarded-for, authorization, x-room, host, x-user\r\n\
         X-Forwarded-For: 192.0.2.1\r\nAuthorization: Basic YTpi\r\nX-Room: 1\r\nX-User: 2\r\n\r\n"
    );
    let answer = raw(pair.wrong.server.addr, head.as_bytes()).await;
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("authorization", "Basic YTpi"),
        ("x-room", "1"),
        ("x-user", "2"),
        ("host", "app.example.com"),
    ] {
        assert_eq!(answer.json()["headers"][name], value, "{name}");
    }
    assert_eq!(answer.json()["headers"]["connection"], Value::Null);
}

#[tokio::test]
async fn cookies_of_http2_are_one_line_in_http1() {
    let pair = Pair::with(mirrored).await;
    let session = pair.session();
    let request = http2().get(pair.url(&session, "/mirror"));
    let request = request.header("cookie", "a=1").header("cookie", "b=2");
    let answer = send(request).await;
    assert_eq!(answer.json()["headers"]["cookie"], "a=1; b=2");
}

#[tokio::test]
async fn a_length_that_contradicts_the_chunks_is_removed() {
    let answer = carried(
        client(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n\
         a\r\n0123456789\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(answer.text, "0123456789");
    assert_eq!(answer.header("content-length"), None);
}

#[tokio::test]
async fn an_answer_that_requires_an_upgrade_says_to_what() {
    let required = "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                    content-length: 0\r\n\r\n";
    let answer = carried(client(), required).await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    // Which HTTP/2 has no fields for.
    let answer = carried(http2(), required).await;
    assert_eq!((answer.status, answer.header("upgrade")), (426, None));
}

/// An answer with 1,000 fields of 30 bytes each.
async fn many() -> Response {
    let mut response = Response::new(Body::from("served"));
    for at in 0..1_000 {
        let name = HeaderName::try_from(format!("x-{at}")).unwrap();
        let value = HeaderValue::try_from("v".repeat(30)).unwrap();
        response.headers_mut().insert(name, value);
    }
    response
}

#[tokio::test]
async fn an_answer_may_have_many_fields() {
    let route = |router: Router| router.route("/session/{id}/many", any(many));
    let pair = Pair::with(route).await;
    let session = pair.session();
    let over_http2 = super::Machine::start("m3", &pair.sessions, forward().always_http2()).await;
    for at in [&pair.wrong, &over_http2] {
        let head = format!("GET /session/{session}/many HTTP/1.1\r\nhost: app\r\n\r\n");
        let answer = raw(at.server.addr, head.as_bytes()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-999"), Some("v".repeat(30).as_str()));
    }
}
