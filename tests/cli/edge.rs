//! `ownership edge`: the imitated proxy as a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;

use axum::Router;
use axum::http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use tower_ownership::{FlyReplay, Header, MachineId, MemoryDirectory, OwnershipLayer, Session};
use uuid::Uuid;

use crate::command::{ownership, run};
use crate::scene::{LANDED, OWNER};
use crate::support::installed::installed;
use crate::support::left_out;
use crate::support::server::serve;

/// A machine that gives everything to the owner, and the owner.
async fn machines() -> [(&'static str, SocketAddr); 2] {
    let gives = Router::new().fallback(async || {
        let replay = [("fly-replay", format!("instance={OWNER}"))];
        (StatusCode::CONFLICT, replay, "not here")
    });
    let serves = Router::new().fallback(async || "served");
    [(LANDED, serve(gives).await), (OWNER, serve(serves).await)]
}

struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut process = ownership(arguments, &[])
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = process.stdout.take().unwrap();
        Self {
            process,
            lines: BufReader::new(out).lines(),
        }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("a line")
    }

    async fn document(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Asks it to end, and waits until it has.
    async fn end(mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(self.process.id().unwrap().try_into().unwrap());
        kill(pid, signal).unwrap();
        self.process.wait().await.unwrap().code()
    }
}

#[tokio::test]
async fn a_replay_is_carried_out_and_each_hop_is_told() {
    let machines = machines().await.map(|(id, addr)| format!("{id}={addr}"));
    let mut edge = Running::start(&[
        "edge",
        "--json",
        "--listen=127.0.0.1:0",
        "--land-on",
        LANDED,
        "--machine",
        &machines[0],
        "--machine",
        &machines[1],
    ]);
    let listening = edge.document().await;
    assert_eq!(listening["event"], "listening");
    let url = listening["url"].as_str().unwrap();
    let answer = reqwest::get(format!("{url}/session/7f")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "served");

    let landed = edge.document().await;
    assert_eq!(landed["event"], "hop");
    assert_eq!(landed["machine"], LANDED);
    assert_eq!(landed["kind"], "landed");
    assert_eq!(landed["status"], 409);
    assert_eq!(landed["replay"], format!("instance={OWNER}"));
    let replayed = edge.document().await;
    assert_eq!(replayed["machine"], OWNER);
    assert_eq!(replayed["kind"], "replayed");
    assert_eq!(replayed["status"], 200);
    assert_eq!(replayed["requestId"], landed["requestId"]);
    assert_eq!(edge.end(Signal::SIGINT).await, Some(0));
}

#[tokio::test]
async fn a_proxy_that_knows_no_replays_can_be_had_too() {
    let machines = machines().await.map(|(id, addr)| format!("{id}={addr}"));
    let mut edge = Running::start(&[
        "edge",
        "--listen=127.0.0.1:0",
        "--ignore-replays",
        "--machine",
        &machines[0],
    ]);
    let line = edge.line().await;
    assert!(line.starts_with("Listening on http://127.0.0.1:"), "{line}");
    assert!(!line.contains('\u{1b}'), "styles on no terminal: {line}");
    let url = line.split(' ').nth(2).unwrap();
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 409);
    let hop = edge.line().await;
    assert!(
        hop.ends_with(&format!(
            "landed     {LANDED}  409  fly-replay: instance={OWNER}"
        )),
        "{hop}"
    );
    assert_eq!(edge.end(Signal::SIGTERM).await, Some(0));
}

#[tokio::test]
async fn replays_are_remembered_by_session_as_fly_toml_says() {
    let machines = machines().await.map(|(id, addr)| format!("{id}={addr}"));
    let mut edge = Running::start(&[
        "edge",
        "--json",
        "--listen=127.0.0.1:0",
        "--land-on",
        LANDED,
        "--session-cache",
        "header:mcp-session-id,path_prefix=/mcp,ttl_seconds=3600,allow_bypass=true",
        "--session-cache=cookie:sid",
        "--machine",
        &machines[0],
        "--machine",
        &machines[1],
    ]);
    let url = edge.document().await["url"].as_str().unwrap().to_owned();
    let client = reqwest::Client::new();
    // The same value of another place, or below another path, is another session.
    for (path, name, value, hops) in [
        ("/mcp", "mcp-session-id", "a", &["landed", "replayed"][..]),
        ("/mcp/x", "mcp-session-id", "a", &["cache-hit"]),
        ("/mcp", "mcp-session-id", "b", &["landed", "replayed"]),
        ("/app", "mcp-session-id", "a", &["landed", "replayed"]),
        ("/app", "cookie", "sid=a", &["landed", "replayed"]),
        ("/", "cookie", "other=b; sid=a", &["cache-hit"]),
    ] {
        let asked = client.get(format!("{url}{path}")).header(name, value);
        assert_eq!(asked.send().await.unwrap().status(), 200);
        for kind in hops {
            let hop = edge.document().await;
            assert_eq!(hop["kind"], *kind, "{path} {name}: {value}");
        }
    }
    let skips = client.get(format!("{url}/mcp"));
    let skips = skips.header("mcp-session-id", "a");
    let skips = skips.header("fly-replay-cache-control", "skip");
    skips.send().await.unwrap();
    assert_eq!(edge.document().await["kind"], "landed");
    assert_eq!(edge.end(Signal::SIGINT).await, Some(0));
}

/// A gRPC server behind the layer, which says of itself that it does serve, or does not.
async fn grpc(machine: &str, sessions: MemoryDirectory, status: ServingStatus) -> SocketAddr {
    let layer = OwnershipLayer::builder(sessions)
        .session(Header::named("x-session-id").unwrap())
        .machine(machine.parse::<MachineId>().unwrap())
        .replay(FlyReplay::new().replay_unknown_length(true))
        .build()
        .unwrap();
    let (health, service) = health_reporter();
    health.set_service_status("app", status).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::builder().layer(layer).add_service(service);
    tokio::spawn(async move {
        let _held = health;
        let incoming = TcpListenerStream::new(listener);
        server.serve_with_incoming(incoming).await
    });
    addr
}

#[tokio::test]
async fn calls_of_grpcio_pass_the_edge_to_machines_that_speak_http_2() {
    let Some(python) = installed("grpc/requirements.txt", "grpc") else {
        let why = "it is not installed; tests/run installs it";
        return left_out("gRPC for Python through the edge", why);
    };
    let session = Uuid::new_v4();
    let sessions = MemoryDirectory::new();
    let owner = OWNER.parse().unwrap();
    sessions.insert(Session::owned_by(session.into(), owner));
    let serves = grpc(OWNER, sessions.clone(), ServingStatus::Serving).await;
    let gives = grpc(LANDED, sessions, ServingStatus::NotServing).await;
    let mut edge = Running::start(&[
        "edge",
        "--json",
        "--listen=127.0.0.1:0",
        "--land-on",
        LANDED,
        "--machine",
        &format!("{LANDED}=h2c://{gives}"),
        "--machine",
        &format!("{OWNER}=h2c://{serves}"),
    ]);
    let url = edge.document().await["url"].as_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/grpc/health.py");
    let ask = async |session: Uuid| {
        let output = Command::new(python.join("bin/python"))
            .args([
                script,
                url.trim_start_matches("http://"),
                &session.to_string(),
            ])
            .stderr(Stdio::inherit())
            .output()
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask(session).await, "SERVING\nSERVING\n");
    let unknown = ask(Uuid::new_v4()).await;
    for line in unknown.lines() {
        assert!(line.starts_with("NOT_FOUND: session-unknown"), "{line}");
    }
    assert_eq!(unknown.lines().count(), 2);
    assert_eq!(edge.end(Signal::SIGINT).await, Some(0));
}

#[tokio::test]
async fn what_the_edge_cannot_do_is_told_with_the_right_status() {
    for (status, arguments) in [
        (2, &["edge"][..]),
        (2, &["edge", "--machine", "m1"]),
        (2, &["edge", "--machine", "m1=nowhere"]),
        (2, &["edge", "--machine", "m1=https://127.0.0.1:1"]),
        (
            2,
            &["edge", "--machine", "m1=127.0.0.1:1", "--land-on", "m2"],
        ),
        (
            2,
            &[
                "edge",
                "--session-cache",
                "path:/x",
                "--machine",
                "a=127.0.0.1:1",
            ],
        ),
        (
            2,
            &[
                "edge",
                "--session-cache",
                "header:",
                "--machine",
                "a=127.0.0.1:1",
            ],
        ),
        (
            2,
            &[
                "edge",
                "--session-cache",
                "header:no header",
                "--machine",
                "a=127.0.0.1:1",
            ],
        ),
        (
            2,
            &[
                "edge",
                "--session-cache",
                "cookie:a,ttl_seconds=9",
                "--machine",
                "a=127.0.0.1:1",
            ],
        ),
        (
            2,
            &[
                "edge",
                "--session-cache",
                "cookie:a,ttl=60",
                "--machine",
                "a=127.0.0.1:1",
            ],
        ),
        // An address of the documentation's, which nobody has.
        (
            3,
            &[
                "edge",
                "--machine",
                "m1=127.0.0.1:1",
                "--listen",
                "192.0.2.1:1",
            ],
        ),
    ] {
        let said = run(arguments, &[]).await;
        assert_eq!(said.status, status, "{arguments:?}: {said:?}");
        assert!(said.out.is_empty() && !said.err.is_empty(), "{said:?}");
    }
}
