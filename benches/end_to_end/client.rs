//! A client that costs less than the server it asks.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tower_ownership::SessionId;

use crate::{common::setup::FIELDS, core::stay_on_core, server::Server};

const CONNECTIONS: usize = 64;

/// What a burst of requests showed.
pub(crate) struct Burst {
    pub(crate) per_second: f64,
    /// Seconds of the server's thread, or of its process.
    pub(crate) cpu_per_request: f64,
}

/// Connections to one server, and what is sent on them.
pub(crate) struct Client {
    server: Server,
    connections: Vec<Connection>,
    requests: usize,
}

struct Connection {
    stream: Option<TcpStream>,
    requests: Vec<Vec<u8>>,
    next: usize,
    /// How long an answer is. They are all alike, which spares the client from reading them.
    answer: usize,
}

/// Where all clients run.
pub(crate) fn runtime() -> Runtime {
    stay_on_core(1);
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

impl Client {
    /// A client that asks for these sessions under a path, each connection for its own part of
    /// them.
    pub(crate) fn new(server: Server, path: &str, ids: &[SessionId]) -> Self {
        let part = ids.len() / CONNECTIONS;
        let connection = |ids: &[SessionId]| Connection {
            stream: None,
            requests: ids.iter().map(|id| request(path, id)).collect(),
            next: 0,
            answer: 0,
        };
        Self {
            server,
            connections: ids
                .chunks_exact(part)
                .take(CONNECTIONS)
                .map(connection)
                .collect(),
            requests: part,
        }
    }

    /// Connects, and sends every request once.
    pub(crate) fn fill(&mut self, runtime: &Runtime) {
        let address = self.server.address();
        let (requests, status) = (self.requests, self.server.status());
        runtime.block_on(join_all(self.connections.iter_mut().map(
            async |connection| {
                let stream = TcpStream::connect(address).await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                connection.stream = Some(stream);
                connection.learn(status).await;
                for _ in 1..requests {
                    connection.ask().await;
                }
            },
        )));
    }

    /// Sends on every connection, one request after the other, for so long.
    pub(crate) fn burst(&mut self, runtime: &Runtime, time: Duration) -> Burst {
        let server = &self.server;
        let connections = &mut self.connections;
        runtime.block_on(async move {
            let cpu = server.cpu_time().await;
            let begin = Instant::now();
            let counts = join_all(connections.iter_mut().map(async |connection| {
                let mut count = 0_u32;
                while begin.elapsed() < time {
                    connection.ask().await;
                    count += 1;
                }
                count
            }));
            let count: u32 = counts.await.into_iter().sum();
            let elapsed = begin.elapsed();
            let cpu = server.cpu_time().await.saturating_sub(cpu);
            Burst {
                per_second: f64::from(count) / elapsed.as_secs_f64(),
                cpu_per_request: cpu.as_secs_f64() / f64::from(count),
            }
        })
    }
}

impl Connection {
    /// Asks once, and reads the answer to its end to learn how long an answer is.
    async fn learn(&mut self, status: StatusCode) {
        let mut answer = Vec::new();
        self.send().await;
        let stream = self.stream.as_mut().expect("a connection");
        loop {
            stream.read_buf(&mut answer).await.expect("an answer");
            let text = str::from_utf8(&answer).expect("text");
            let Some((head, _)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            assert!(
                head.starts_with(&format!("HTTP/1.1 {}", status.as_u16())),
                "{head}"
            );
            let head_of = head.to_ascii_lowercase();
            let length = head_of
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let body: usize = length.map_or(0, |length| length.parse().expect("a length"));
            self.answer = head.len() + 4 + body;
            if answer.len() == self.answer {
                return;
            }
        }
    }

    async fn ask(&mut self) {
        self.send().await;
        let stream = self.stream.as_mut().expect("a connection");
        let (mut buffer, mut read) = ([0; 2_048], 0);
        while read < self.answer {
            let more = stream.read(&mut buffer).await.expect("an answer");
            assert!(more > 0, "the server hung up");
            read += more;
        }
        assert_eq!(read, self.answer, "an answer unlike the others");
    }

    async fn send(&mut self) {
        let request = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        let stream = self.stream.as_mut().expect("a connection");
        stream.write_all(request).await.expect("a server");
    }
}

fn request(path: &str, id: &SessionId) -> Vec<u8> {
    let mut request = format!("GET {path}/{id}/files/main.rs?v=1 HTTP/1.1\r\n");
    for (name, value) in FIELDS {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}
