//! Connections with another protocol, and how they end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::{Alone, forward, listener};
use crate::support::client::{SOON, get};

#[tokio::test]
async fn a_tunnel_ends_with_its_owner_although_the_client_sends_on() {
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward().max_requests(1)).await;
    tokio::spawn(async move {
        let (mut owner, _) = listener.accept().await.unwrap();
        let mut read = [0; 1024];
        let _ = owner.read(&mut read).await.unwrap();
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n";
        owner.write_all(head.as_bytes()).await.unwrap();
    });
    let mut client = TcpStream::connect(alone.wrong.server.addr).await.unwrap();
    let head = format!(
        "GET /session/{} HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n",
        alone.session
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let end = timeout(SOON, client.read_to_end(&mut read)).await;
    end.expect("the owner's end arrives").unwrap();
    assert!(read.starts_with(b"HTTP/1.1 101 "));
    let mut pause = interval(Duration::from_millis(10));
    let refused = timeout(SOON, async {
        while client.write_all(b"more").await.is_ok() {
            pause.tick().await;
        }
    });
    refused.await.expect("the tunnel ends");
    // It no longer counts as a request to the owner.
    let answer = get(alone.url()).await;
    assert!(!answer.text.contains("(full)"), "{}", answer.text);
}
