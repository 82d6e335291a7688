//! A client that costs less than what it asks.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
};
use tower_ownership::SessionId;

/// Connections to one server, and what is sent on them.
pub(crate) struct Client {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// Sent in turns.
    messages: Vec<Vec<u8>>,
    next: usize,
    /// Where an answer ends.
    end: &'static [u8],
    times: Vec<Duration>,
}

/// How requests end that have no body, or the head of those that have one.
pub(crate) fn head(method: &str, session: &SessionId, rest: &str, more: &str) -> String {
    // What a browser sends.
    format!(
        "{method} /session/{session}/{rest} HTTP/1.1\r\n\
         host: previews.example.com\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0\r\n\
         accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         accept-language: en-US,en;q=0.5\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\n\
         referer: https://previews.example.com/\r\n\
         cookie: theme=dark; visit=6f1d2c\r\n\
         sec-fetch-site: same-origin\r\n{more}\r\n"
    )
}

impl Client {
    /// So many connections to send GETs for these sessions on, which are answered with hello.
    pub(crate) fn of_requests(
        runtime: &Runtime,
        address: SocketAddr,
        sessions: &[SessionId],
        connections: usize,
    ) -> Self {
        let parts = sessions.chunks_exact(sessions.len() / connections);
        let messages = |part: &[SessionId]| {
            let request = |id| head("GET", id, "files/main.rs?v=1", "").into_bytes();
            part.iter().map(request).collect()
        };
        let end = b"\r\n\r\nhello";
        Self::new(runtime, address, parts.map(messages), end)
    }

    /// One WebSocket for each of these sessions.
    pub(crate) fn of_websockets(
        runtime: &Runtime,
        address: SocketAddr,
        sessions: &[SessionId],
    ) -> Self {
        const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let upgrades = sessions.iter().map(|id| {
            let upgrade = head("GET", id, "ws", UPGRADE);
            vec![upgrade.into_bytes()]
        });
        let mut client = Self::new(runtime, address, upgrades, b"\r\n\r\n");
        runtime.block_on(async {
            for connection in &mut client.connections {
                connection.ask().await;
                // A text of 16 bytes, with the mask 0.
                let message = b"\x81\x90\0\0\0\0a text, 16 bytes";
                connection.messages = vec![message.to_vec()];
                connection.end = b"16 bytes";
            }
        });
        client
    }

    fn new(
        runtime: &Runtime,
        address: SocketAddr,
        messages: impl Iterator<Item = Vec<Vec<u8>>>,
        end: &'static [u8],
    ) -> Self {
        let connect = async |messages| {
            let stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            Connection {
                stream,
                messages,
                next: 0,
                end,
                times: Vec::new(),
            }
        };
        let connections = messages.map(|messages| runtime.block_on(connect(messages)));
        Self {
            connections: connections.collect(),
        }
    }

    /// Sends on every connection, one message after the other, for so long. Returns how long each took,
    /// in order of size.
    pub(crate) fn burst(&mut self, runtime: &Runtime, time: Duration) -> Vec<Duration> {
        let connections = &mut self.connections;
        runtime.block_on(async {
            let begin = Instant::now();
            let all = connections.iter_mut().map(async |connection| {
                connection.times.clear();
                let mut last = begin;
                while last.duration_since(begin) < time {
                    connection.ask().await;
                    let now = Instant::now();
                    connection.times.push(now.duration_since(last));
                    last = now;
                }
            });
            join_all(all).await;
        });
        let times = connections.iter().flat_map(|connection| &connection.times);
        let mut times: Vec<_> = times.copied().collect();
        times.sort_unstable();
        times
    }
}

impl Connection {
    async fn ask(&mut self) {
        let message = &self.messages[self.next];
        self.next = (self.next + 1) % self.messages.len();
        self.stream.write_all(message).await.expect("a server");
        let (mut buffer, mut read) = ([0; 2_048], 0);
        while !buffer[..read].ends_with(self.end) {
            let more = self.stream.read(&mut buffer[read..]).await;
            let more = more.expect("an answer");
            assert!(more > 0, "the server hung up");
            read += more;
        }
        assert!(self.next != 1 || is_good(&buffer[..read]), "a refusal");
    }
}

/// A 200, a 101, or a message.
fn is_good(answer: &[u8]) -> bool {
    [&b"HTTP/1.1 200"[..], b"HTTP/1.1 101", b"\x81"]
        .iter()
        .any(|begin| answer.starts_with(begin))
}
