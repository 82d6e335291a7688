//! Two containers with one database behind a real nginx, which sends requests to them in turn.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::fleet::{OWNER, WRONG};
use crate::life::migrate;
use crate::nginx::LOOPBACK;
use crate::support::client::{Answer, SOON, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::nginx::Nginx;
use crate::support::{left_out, until_async};

struct Pair {
    _database: Database,
    nginx: Nginx,
    _other: Container,
    owner: Container,
    /// Born at the owner.
    session: Uuid,
}

fn start(machine: &str, url: &str) -> Container {
    Container::start(&[
        ("MACHINE_ID", machine),
        ("DATABASE_URL", url),
        ("OWNERSHIP_LIFE", "on"),
        ("OWNERSHIP_FRESHNESS_MS", "1000"),
        ("OWNERSHIP_BEAT_MS", "250"),
        ("OWNERSHIP_LOST_AFTER_MS", "1500"),
        ("OWNERSHIP_HANDOVER", "nginx"),
        ("OWNERSHIP_PEER", "http://127.0.0.1:{PORT}"),
    ])
}

impl Pair {
    /// `None` if nginx is not installed.
    async fn start() -> Option<Self> {
        let database = Database::fresh().await;
        migrate(&database).await;
        let (other, owner) = (start(WRONG, &database.url()), start(OWNER, &database.url()));
        for container in [&other, &owner] {
            until_async("it is ready", async || {
                get(container.url("/health/ready")).await.status == 200
            })
            .await;
        }
        let Some(nginx) = Nginx::start(&[other.addr, owner.addr], LOOPBACK) else {
            left_out("containers behind nginx", "nginx is not installed");
            return None;
        };
        let born = send(request(Method::POST, owner.url("/session"))).await;
        assert_eq!(born.status, 201, "{born:?}");
        let session = born.json()["session"].as_str().unwrap().parse().unwrap();
        Some(Self {
            _database: database,
            nginx,
            _other: other,
            owner,
            session,
        })
    }

    fn url(&self, rest: &str) -> String {
        self.nginx.url(&format!("/session/{}{rest}", self.session))
    }

    /// Asks until the other machine serves; every other answer has to say when to ask again. Returns their
    /// codes.
    async fn moves(&self) -> Vec<String> {
        let (began, mut codes) = (Instant::now(), Vec::new());
        loop {
            let answer = get(self.url("")).await;
            if answer.status == 200 && answer.json()["machine"] == WRONG {
                return codes;
            }
            let is_fine = answer.status == 200 || answer.header("retry-after").is_some();
            assert!(is_fine && began.elapsed() < SOON, "{answer:?}");
            codes.extend(answer.code().map(str::to_owned));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn every_request_of_a_session_is_served_wherever_nginx_sends_it() {
    let Some(pair) = Pair::start().await else {
        return;
    };
    // Twice, so that each lands on either container.
    for _ in 0..2 {
        get(pair.url("/x")).await.is_served_by(OWNER);
    }
    for _ in 0..2 {
        let upload = request(Method::POST, pair.url("/upload")).body(vec![7; 5_000_000]);
        let answer = send(upload).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], 5_000_000);
    }
    for _ in 0..2 {
        let answer: Answer = get(pair.url("/download?bytes=100000000")).await;
        assert_eq!((answer.status, answer.text.len()), (200, 100_000_000));
    }
    for _ in 0..2 {
        let events = get(pair.url("/events")).await;
        assert_eq!(events.text.matches("data: ").count(), 5, "{events:?}");
    }
    for _ in 0..2 {
        let socket = pair.url("/ws").replace("http:", "ws:");
        let (mut socket, _) = connect_async(socket).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        let echo = timeout(SOON, socket.next()).await.unwrap().unwrap();
        assert_eq!(echo.unwrap(), Message::text("hello"));
    }
}

#[tokio::test]
async fn behind_nginx_a_session_moves_when_its_owner_drains() {
    let Some(pair) = Pair::start().await else {
        return;
    };
    get(pair.url("")).await.is_served_by(OWNER);
    pair.owner.ask_to_stop();
    pair.moves().await;
}

#[tokio::test]
async fn behind_nginx_a_session_is_taken_over_when_its_owner_is_killed() {
    let Some(pair) = Pair::start().await else {
        return;
    };
    get(pair.url("")).await.is_served_by(OWNER);
    pair.owner.kill();
    let codes = pair.moves().await;
    assert!(
        codes.iter().any(|code| code == "owner-unreachable"),
        "{codes:?}"
    );
}
