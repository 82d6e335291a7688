//! Uploads that are refused or handed over: their clients get to read the answer.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::spawn_blocking;
use tower_ownership::{MemoryDirectory, OwnershipLayerBuilder, Redirect, Session};

use crate::fleet::{Machine, OWNER, WRONG, layer, machine_id, new_session};
use crate::support::client::SOON;
use crate::support::nginx::Nginx;
use crate::support::{find_program, left_out};

const SIZES: [usize; 3] = [300_000, 900_000, 5_000_000];
const UPLOADS: usize = 20;

/// A machine that refuses one session and hands over another.
struct Wrong {
    machine: Machine,
    elsewhere: String,
    unknown: String,
}

impl Wrong {
    async fn start(edit: impl Fn(OwnershipLayerBuilder) -> OwnershipLayerBuilder) -> Self {
        let (sessions, id) = (MemoryDirectory::new(), new_session());
        let session = Session::owned_by(id.clone(), machine_id(OWNER));
        let address = "https://owner.example.com".parse().unwrap();
        sessions.insert(session.with_address(address));
        let redirect = Redirect::to_session_address(["owner.example.com"]).unwrap();
        let layer = edit(layer(WRONG, sessions).replay(redirect));
        Self {
            machine: Machine::start(WRONG, layer).await,
            elsewhere: format!("/session/{id}/upload"),
            unknown: format!("/session/{}/upload", new_session()),
        }
    }

    fn addr(&self) -> SocketAddr {
        self.machine.server.addr
    }
}

/// A connection whose client reads when it has written all of its request, as simple clients do.
struct Writer(TcpStream);

impl Writer {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(stream)
    }

    fn begin(addr: SocketAddr, path: &str, fields: &str) -> Self {
        let mut writer = Self::connect(addr);
        let head = format!("POST {path} HTTP/1.1\r\nHost: app\r\n{fields}\r\n\r\n");
        writer.0.write_all(head.as_bytes()).unwrap();
        writer
    }

    fn status(&mut self) -> io::Result<u16> {
        let mut line = [0; 12];
        self.0.read_exact(&mut line)?;
        Ok(std::str::from_utf8(&line[9..]).unwrap().parse().unwrap())
    }

    fn upload(addr: SocketAddr, path: &str, body: &[u8]) -> Result<u16, ErrorKind> {
        let fields = format!("Content-Length: {}", body.len());
        let mut writer = Self::begin(addr, path, &fields);
        let written = writer.0.write_all(body);
        written
            .and_then(|()| writer.status())
            .map_err(|error| error.kind())
    }
}

async fn uploads_are_answered(addr: SocketAddr, path: &str, status: u16) {
    for size in SIZES {
        let (path, body) = (path.to_owned(), vec![b'x'; size]);
        let send = move |_| Writer::upload(addr, &path, &body);
        let answers = spawn_blocking(|| (0..UPLOADS).map(send).collect::<Vec<_>>());
        let answers = answers.await.unwrap();
        assert_eq!(answers, vec![Ok(status); UPLOADS], "{size} bytes");
    }
}

#[tokio::test]
async fn clients_that_write_before_they_read_get_the_answer() {
    let wrong = Wrong::start(|layer| layer).await;
    uploads_are_answered(wrong.addr(), &wrong.unknown, 404).await;
    uploads_are_answered(wrong.addr(), &wrong.elsewhere, 307).await;
    uploads_are_answered(wrong.addr(), "/session/%ff/upload", 400).await;
    let required = Wrong::start(OwnershipLayerBuilder::requires_session).await;
    uploads_are_answered(required.addr(), "/upload", 404).await;
}

#[tokio::test]
async fn an_nginx_in_front_passes_the_answer_on() {
    let wrong = Wrong::start(|layer| layer).await;
    for buffering in ["on", "off"] {
        let Some(nginx) = Nginx::start_with(&|port| {
            format!(
                "server {{\n listen 127.0.0.1:{port};\n client_max_body_size 16m;\n location / {{\n \
                 proxy_http_version 1.1; proxy_request_buffering {buffering};\n \
                 proxy_pass http://{};\n }}\n}}\n",
                wrong.addr()
            )
        }) else {
            left_out("refused uploads behind nginx", "nginx is not installed");
            return;
        };
        uploads_are_answered(nginx.addr, &wrong.unknown, 404).await;
        uploads_are_answered(nginx.addr, &wrong.elsewhere, 307).await;
    }
}

#[tokio::test]
async fn nodes_fetch_reads_the_answer() {
    let Some(node) = find_program("node", &[]) else {
        left_out("refused uploads of node's fetch", "node is not installed");
        return;
    };
    let wrong = Wrong::start(|layer| layer).await;
    let mut script = String::from("const body = 'x'.repeat(5e6); const read = [];\n");
    let url = wrong.machine.server.url(&wrong.unknown);
    let _ = write!(
        script,
        "for (let i = 0; i < {UPLOADS}; i++) {{\n  try {{\n    \
         const answer = await fetch('{url}', {{ method: 'POST', body }});\n    \
         await answer.text(); read.push(answer.status);\n  \
         }} catch (error) {{ read.push(String(error.cause ?? error)); }}\n}}\n\
         console.log(read.join(' '));"
    );
    let run = move || {
        let mut command = Command::new(node);
        command.args(["--input-type=module", "--eval", &script]);
        command.output().unwrap()
    };
    let output = spawn_blocking(run).await.unwrap();
    let read = String::from_utf8_lossy(&output.stdout);
    assert_eq!(read.trim(), vec!["404"; UPLOADS].join(" "), "{output:?}");
}

#[tokio::test]
async fn an_answer_over_http_2_does_not_wait_for_the_body() {
    let wrong = Wrong::start(|layer| layer).await;
    let client = Client::builder().http2_prior_knowledge().no_proxy().build();
    let client = client.unwrap();
    for size in SIZES {
        let url = wrong.machine.server.url(&wrong.unknown);
        let upload = client.post(url).body(vec![b'x'; size]);
        assert_eq!(upload.send().await.unwrap().status(), 404);
    }
    let never_ends = futures_util::stream::pending::<io::Result<Vec<u8>>>();
    let url = wrong.machine.server.url(&wrong.unknown);
    let stream = client
        .post(url)
        .body(reqwest::Body::wrap_stream(never_ends));
    let began = Instant::now();
    assert_eq!(stream.send().await.unwrap().status(), 404);
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_client_that_sends_without_end_is_cut_off_at_the_limit() {
    const LIMIT: u64 = 1_000_000;
    let wrong = Wrong::start(|layer| layer.refused_body_limit(LIMIT)).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let sent = spawn_blocking(move || {
        let mut writer = Writer::begin(addr, &path, "Transfer-Encoding: chunked");
        let chunk = [b"2710\r\n".as_slice(), &[b'x'; 10_000], b"\r\n"].concat();
        let mut sent = 0;
        while writer.0.write_all(&chunk).is_ok() {
            sent += chunk.len();
            assert!(sent < 1_000_000_000, "it is never cut off");
        }
        sent
    });
    // What the kernel buffers on both sides comes on top.
    assert!(sent.await.unwrap() > usize::try_from(LIMIT).unwrap());
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_answered_at_once() {
    let wrong = Wrong::start(|layer| layer.refused_body_limit(1_000_000)).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let took = spawn_blocking(move || {
        let began = Instant::now();
        let mut writer = Writer::begin(addr, &path, "Content-Length: 1000001");
        assert_eq!(writer.status().unwrap(), 404);
        began.elapsed()
    });
    assert!(took.await.unwrap() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_client_that_sends_slowly_is_answered_at_the_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(1_500);
    let wrong = Wrong::start(|layer| layer.refused_body_timeout(TIMEOUT)).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let took = spawn_blocking(move || {
        let began = Instant::now();
        let mut writer = Writer::begin(addr, &path, "Content-Length: 1000");
        writer
            .0
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        loop {
            match writer.status() {
                Ok(status) => break (status, began.elapsed()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            writer.0.write_all(b"x").unwrap();
        }
    });
    let (status, took) = took.await.unwrap();
    assert_eq!(status, 404);
    assert!(took >= TIMEOUT && took < 2 * TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_answered_after_a_second() {
    let wrong = Wrong::start(|layer| layer).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let took = spawn_blocking(move || {
        let began = Instant::now();
        let mut writer = Writer::begin(addr, &path, "Content-Length: 1000");
        assert_eq!(writer.status().unwrap(), 404);
        began.elapsed()
    });
    let took = took.await.unwrap();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn what_no_body_follows_is_answered_at_once() {
    let wrong = Wrong::start(|layer| layer).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let took = spawn_blocking(move || {
        let began = Instant::now();
        for fields in [
            "Content-Length: 1000\r\nExpect: 100-continue",
            "Content-Length: 1000\r\nConnection: upgrade\r\nUpgrade: websocket",
            "Content-Length: 0",
            "X-Nothing: said",
        ] {
            let mut writer = Writer::begin(addr, &path, fields);
            assert_eq!(writer.status().unwrap(), 404, "{fields}");
        }
        began.elapsed()
    });
    assert!(took.await.unwrap() < Duration::from_millis(500));
}

#[tokio::test]
async fn with_no_time_for_it_no_body_is_read() {
    let wrong = Wrong::start(|layer| layer.refused_body_timeout(Duration::ZERO)).await;
    let (addr, path) = (wrong.addr(), wrong.unknown.clone());
    let upload = move || Writer::upload(addr, &path, &vec![b'x'; 5_000_000]);
    let answers = spawn_blocking(move || (0..UPLOADS).map(|_| upload()).collect::<Vec<_>>());
    let answers = answers.await.unwrap();
    assert!(answers.iter().any(Result::is_err), "{answers:?}");
}
