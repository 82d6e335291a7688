//! Which protocols an owner is asked to switch to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Alone, forward, listener};
use crate::support::client::raw;

#[tokio::test]
async fn an_upgrade_to_h2c_is_never_asked_of_the_owner() {
    let (listener, addr) = listener().await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut owner, _)) = listener.accept().await {
            let mut read = vec![0; 4096];
            let length = owner.read(&mut read).await.unwrap();
            let head = String::from_utf8(read[..length].to_vec()).unwrap();
            let switches = head.contains("upgrade: ");
            seen.lock().unwrap().push(head);
            let answer: &[u8] = if switches {
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            } else {
                // It switches although it was not asked to.
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
            };
            owner.write_all(answer).await.unwrap();
        }
    });
    let alone = Alone::before(addr, forward()).await;
    for (upgrade, asked, status) in [
        ("upgrade: h2c\r\nupgrade: websocket", Some("websocket"), 101),
        (
            "upgrade: h2c, websocket, other",
            Some("websocket, other"),
            101,
        ),
        ("upgrade: h2c", None, 503),
    ] {
        let asking = format!(
            "GET /session/{} HTTP/1.1\r\nhost: app\r\n\
             connection: upgrade, http2-settings\r\nhttp2-settings: AAA\r\n{upgrade}\r\n\r\n",
            alone.session
        );
        // Without the name in `Connection`, too.
        for asking in [asking.clone(), asking.replace(", http2-settings", "")] {
            let answer = raw(alone.wrong.server.addr, asking.as_bytes()).await;
            assert_eq!(answer.status, status, "{upgrade}: {answer:?}");
            let head = heads.lock().unwrap().pop().unwrap();
            assert!(!head.contains("http2-settings"), "{head}");
            let mut lines = head.lines();
            let line = lines.find_map(|line| line.strip_prefix("upgrade: "));
            assert_eq!(line, asked, "{head}");
        }
    }
}
