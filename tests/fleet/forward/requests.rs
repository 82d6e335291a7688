//! Methods, heads and fields.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http::HeaderMap;
use reqwest::Method;
use serde_json::{Value, json};

use super::Pair;
use crate::fleet::{OWNER, WRONG};
use crate::support::client::{get, raw, request, send};

/// What came to the owner.
async fn mirror(request: Request) -> Response {
    let headers = request.headers().iter();
    let headers: serde_json::Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let told = json!({
        "machine": OWNER,
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers,
    });
    Response::builder()
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-end", "1")
        .body(Body::from(told.to_string()))
        .unwrap()
}

pub fn mirrored(router: Router) -> Router {
    router.route("/session/{id}/mirror", any(mirror))
}

#[tokio::test]
async fn every_method_is_answered_by_the_owner() {
    let pair = Pair::with(mirrored).await;
    let session = pair.session();
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
    ] {
        let method: Method = method.parse().unwrap();
        let url = pair.url(&session, "/mirror?a=b&c=%2F");
        let answer = send(request(method.clone(), url)).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["method"], method.as_str());
        let uri = format!("/session/{session}/mirror?a=b&c=%2F");
        assert_eq!(answer.json()["uri"], uri);
    }
    let head = request(Method::HEAD, pair.url(&session, "/mirror"));
    let answer = send(head).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert!(
        answer
            .header("content-length")
            .is_some_and(|length| length != "0")
    );
    assert_eq!(pair.wrong.application.served(&session), 0);
}

#[tokio::test]
async fn fields_of_a_connection_end_at_it_in_both_directions() {
    let pair = Pair::with(mirrored).await;
    let session = pair.session();
    let head = format!(
        "GET /session/{session}/mirror HTTP/1.1\r\nHost: app.example.com\r\n\
         Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\
         Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nCookie: a=b\r\n\r\n"
    );
    let answer = raw(pair.wrong.server.addr, head.as_bytes()).await;
    let expected = json!({
        "host": "app.example.com",
        "te": "trailers",
        "connection": "te",
        "forwarded": "for=192.0.2.1",
        "x-forwarded-for": "192.0.2.1",
        "cookie": "a=b",
        "ownership-forwarded": format!("1;from={WRONG}"),
    });
    assert_eq!(answer.json()["headers"], expected);
    assert_eq!(answer.header("x-end"), Some("1"));
    let ended: Vec<_> = ["x-hop", "connection"]
        .map(|name| answer.header(name))
        .into();
    assert_eq!(ended, [None, None]);
}

#[tokio::test]
async fn the_owners_refusals_come_back_as_they_are() {
    let pair = Pair::start().await;
    let session = pair.session();
    // The owner reads another directory, in which the session is over.
    let theirs = tower_ownership::MemoryDirectory::new();
    let owner = super::Machine::start(OWNER, &theirs, super::forward()).await;
    let at = owner.server.url("");
    pair.sessions
        .insert(super::session_at(&session, OWNER, &at));
    let answer = get(pair.url(&session, "")).await;
    answer.is_refused(404, "session-unknown");
    let direct = get(owner.server.url(&format!("/session/{session}"))).await;
    let told = |headers: &HeaderMap| {
        let mut headers = headers.clone();
        headers.remove("date");
        headers
    };
    assert_eq!(told(&answer.headers), told(&direct.headers));
}

#[tokio::test]
async fn a_request_without_a_session_stays_where_it_landed() {
    let pair = Pair::start().await;
    assert_eq!(get(pair.wrong.server.url("/healthz")).await.text, "healthy");
    let mine = crate::fleet::new_session();
    pair.give(&mine, &pair.wrong);
    get(pair.url(&mine, "")).await.is_served_by(WRONG);
}
