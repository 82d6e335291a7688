//! Clients that ask before they send their body: `Expect: 100-continue`.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Alone, Pair, forward, listener};
use crate::support::client::SOON;

/// Asks whether five bytes may be sent.
async fn ask(addr: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\
         content-length: 5\r\nexpect: 100-continue\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

/// Reads until what was read ends so.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let more = timeout(SOON, stream.read_buf(&mut read)).await;
        let so_far = String::from_utf8_lossy(&read);
        assert_ne!(more.expect(&so_far).unwrap(), 0, "{so_far}");
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_answered() {
    let pair = Pair::start().await;
    let path = format!("/session/{}/upload", pair.session());
    let mut client = ask(pair.wrong.server.addr, &path).await;
    let answer = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    let answer = read_until(&mut client, "}").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(r#""bytes":5"#), "{answer}");
}

#[tokio::test]
async fn an_owner_that_refuses_at_once_is_sent_no_body() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    let path = format!("/session/{}", alone.session);
    let mut client = ask(alone.wrong.server.addr, &path).await;
    let (mut owner, _) = listener.accept().await.unwrap();
    let head = read_until(&mut owner, "\r\n\r\n").await;
    assert!(head.contains("expect: 100-continue\r\n"), "{head}");
    let answer = "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 4\r\n\r\nlong";
    owner.write_all(answer.as_bytes()).await.unwrap();
    // Not a 100 before it, for which this client would send its body.
    let answer = read_until(&mut client, "long").await;
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    // The owner would take another request for the body of this one.
    let at_once = std::time::Duration::from_secs(2);
    let end = timeout(at_once, owner.read(&mut [0; 8])).await;
    assert_eq!(end.expect("the connection is closed").unwrap(), 0);
}

#[tokio::test]
async fn a_client_is_asked_for_its_body_when_the_owner_asks() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    let path = format!("/session/{}", alone.session);
    let mut client = ask(alone.wrong.server.addr, &path).await;
    let (mut owner, _) = listener.accept().await.unwrap();
    read_until(&mut owner, "\r\n\r\n").await;
    // Another status of this kind asks for nothing.
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    owner.write_all(hints.as_bytes()).await.unwrap();
    let early = std::time::Duration::from_millis(200);
    let read = timeout(early, client.read(&mut [0; 8])).await;
    assert!(read.is_err(), "{read:?}");
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    owner.write_all(go_on.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut client, "\r\n\r\n").await, go_on);
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read_until(&mut owner, "hello").await, "hello");
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    owner.write_all(answer.as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
