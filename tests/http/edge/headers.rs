//! What the edge takes away from headers, and what it adds.

use axum::body::Body;
use axum::response::Response;
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::machine::*;

const FORGED: [&str; 6] = [
    "fly-replay-src",
    "fly-replay-failed",
    "fly-replay-cache-status",
    "fly-preferred-instance-unavailable",
    "fly-src",
    "fly-src-signature",
];

fn forging(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let request = FORGED
        .iter()
        .fold(request, |request, name| request.header(*name, "forged"));
    request
        .header("fly-client-ip", "forged")
        .header("fly-region", "forged")
        .header("fly-forwarded-port", "forged")
}

#[tokio::test]
async fn forged_headers_do_not_reach_a_machine() {
    let machine = Machine::named("one").await;
    let edge = edge_with(&[(ONE, &machine)]).await;
    forging(client().get(edge.url("/"))).send().await.unwrap();
    let seen = machine.last();
    for name in FORGED {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert!(seen.headers.values().all(|value| value != "forged"));
}

#[tokio::test]
async fn forged_headers_can_be_let_through_to_test_the_worst_case() {
    let edge = edge().pass_forged_headers(true).start().await.unwrap();
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let owner = Machine::named("owner").await;
    edge.add(ONE, emitter.addr);
    edge.add(TWO, owner.addr);
    forging(client().get(edge.url("/"))).send().await.unwrap();
    for name in FORGED {
        assert_eq!(emitter.last().header(name), Some("forged"), "{name}");
    }
    // What the proxy itself says stands in any case.
    assert_eq!(emitter.last().header("fly-client-ip"), Some("127.0.0.1"));
    assert_eq!(emitter.last().header("fly-region"), Some("iad"));
    let seen = owner.last();
    assert_eq!(seen.field("fly-replay-src", "instance"), Some(ONE));
    assert_eq!(seen.headers.get_all("fly-replay-src").iter().count(), 1);
    assert_eq!(seen.header("fly-replay-failed"), Some("forged"));
}

#[tokio::test]
async fn a_machine_learns_the_client_and_the_edge() {
    let machine = Machine::named("one").await;
    let edge = edge().region("fra").start().await.unwrap();
    edge.add(ONE, machine.addr);
    let port = edge.addr().port().to_string();
    let request = client().get(edge.url("/")).header("via", "1.1 other");
    let request = request.header("x-forwarded-for", "203.0.113.7");
    request
        .header("x-forwarded-proto", "https")
        .send()
        .await
        .unwrap();
    let seen = machine.last();
    assert_eq!(seen.header("fly-client-ip"), Some("127.0.0.1"));
    assert_eq!(seen.header("fly-region"), Some("fra"));
    assert_eq!(seen.header("fly-forwarded-port"), Some(port.as_str()));
    assert_eq!(seen.header("x-forwarded-port"), Some(port.as_str()));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-ssl"), Some("off"));
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("203.0.113.7, 127.0.0.1, 127.0.0.1")
    );
    let via: Vec<_> = seen.headers.get_all("via").iter().collect();
    assert_eq!(via, ["1.1 other", "1.1 fly.io"]);
}

#[tokio::test]
async fn a_client_learns_its_request_id() {
    let edge = edge_with(&[(ONE, &Machine::named("one").await)]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let response = get(&edge, "/").await;
        assert_eq!(response.headers()["via"], "1.1 fly.io");
        let id = response.headers()["fly-request-id"].to_str().unwrap();
        let (ulid, region) = id.split_once('-').unwrap();
        assert_eq!((ulid.len(), region), (26, "iad"));
        ids.push(id.to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    edge.remove(ONE);
    let refused = get(&edge, "/").await;
    let id = refused.headers()["fly-request-id"].to_str().unwrap();
    assert_eq!(edge.events()[0].request_id, id);
}

#[tokio::test]
async fn what_concerns_one_connection_is_not_passed_on() {
    let machine = Machine::start(|_| {
        Response::builder()
            .header("keep-alive", "timeout=5")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("x-end", "1")
            .body(Body::from("answer"))
            .unwrap()
    })
    .await;
    let edge = edge_with(&[(ONE, &machine)]).await;
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    client
        .write_all(
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close, X-Named\r\nx-named: 1\r\n\
              keep-alive: 1\r\nproxy-connection: 1\r\nproxy-authorization: 1\r\nupgrade: h2c\r\n\
              te: gzip, trailers\r\nx-end: 1\r\n\r\n",
        )
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-end: 1\r\n") && answer.ends_with("answer"));
    assert!(!answer.contains("x-hop") && !answer.contains("keep-alive"));
    let seen = machine.last();
    for name in [
        "connection",
        "x-named",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(seen.header("x-end"), Some("1"));
}

#[tokio::test]
async fn an_http2_client_reaches_an_http1_machine() {
    let machine = Machine::named("one").await;
    let edge = edge_with(&[(ONE, &machine)]).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let request = client.post(edge.url("/a?b")).body("payload");
    let request = request.header("cookie", "a=1").header("cookie", "b=2");
    let response = request.send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), "one");
    let seen = machine.last();
    assert_eq!(
        (seen.uri.to_string().as_str(), &seen.body[..]),
        ("/a?b", &b"payload"[..])
    );
    assert_eq!(seen.header("host"), Some(edge.addr().to_string().as_str()));
    assert_eq!(seen.header("cookie"), Some("a=1; b=2"));
    assert_eq!(seen.header("via"), Some("2 fly.io"));
}

#[tokio::test]
async fn a_head_request_keeps_the_length_it_asks_for() {
    let edge = edge_with(&[(ONE, &Machine::named("four").await)]).await;
    let response = client().head(edge.url("/")).send().await.unwrap();
    assert_eq!(response.headers()["content-length"], "4");
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn connect_is_not_a_request_for_an_app() {
    let edge = edge_with(&[(ONE, &Machine::named("one").await)]).await;
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    let head = b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\nconnection: close\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}
