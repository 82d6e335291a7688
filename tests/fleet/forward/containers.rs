//! Two containers with one database, and no proxy.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::fleet::{OWNER, WRONG};
use crate::life::migrate;
use crate::support::client::{Answer, SOON, client, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::until_async;

const MB: usize = 1024 * 1024;

struct Pair {
    database: Database,
    wrong: Container,
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
        ("OWNERSHIP_HANDOVER", "forward"),
        ("OWNERSHIP_PEER", "http://127.0.0.1:{PORT}"),
        ("OWNERSHIP_PEER_ALLOW", "127.0.0.1"),
    ])
}

impl Pair {
    async fn start() -> Self {
        let database = Database::fresh().await;
        migrate(&database).await;
        let url = database.url();
        let (wrong, owner) = (start(WRONG, &url), start(OWNER, &url));
        for container in [&wrong, &owner] {
            until_async("it is ready", async || {
                get(container.url("/health/ready")).await.status == 200
            })
            .await;
        }
        let born = send(request(Method::POST, owner.url("/session"))).await;
        assert_eq!(born.status, 201, "{born:?}");
        let session = born.json()["session"].as_str().unwrap().parse().unwrap();
        Self {
            database,
            wrong,
            owner,
            session,
        }
    }

    /// At the container that does not own the session.
    fn url(&self, rest: &str) -> String {
        self.wrong.url(&format!("/session/{}{rest}", self.session))
    }

    /// Asks until this machine serves; every other answer has to say when to ask again.
    async fn becomes(&self, machine: &str) -> Vec<Answer> {
        let (began, mut refused) = (Instant::now(), Vec::new());
        loop {
            let answer = get(self.url("")).await;
            if answer.status == 200 && answer.json()["machine"] == machine {
                return refused;
            }
            let is_fine = answer.status == 200 || answer.header("retry-after").is_some();
            assert!(is_fine && began.elapsed() < SOON, "{answer:?}");
            refused.push(answer);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Bytes that the process has in memory.
fn resident(container: &Container) -> usize {
    let path = format!("/proc/{}/statm", container.pid);
    let status = std::fs::read_to_string(path).unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn either_container_serves_every_request_of_a_session() {
    let pair = Pair::start().await;
    get(pair.url("/x")).await.is_served_by(OWNER);
    let head = send(request(Method::HEAD, pair.url("/x"))).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));

    let socket = pair.url("/ws").replace("http:", "ws:");
    let (mut socket, _) = connect_async(socket).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echo = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert_eq!(echo.unwrap(), Message::text("hello"));

    let events = get(pair.url("/events")).await;
    assert_eq!(events.text.matches("data: ").count(), 5, "{events:?}");
}

#[tokio::test]
async fn a_hundred_megabytes_take_no_more_memory_than_one() {
    let pair = Pair::start().await;
    // Chunked, by a client that is slow to send and one that is slow to read.
    let upload = async |length: usize| {
        let parts = (0..length / MB).map(|_| Ok::<_, std::io::Error>(vec![7; MB]));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = Answer::of(
            client
                .post(pair.url("/upload"))
                .body(body)
                .send()
                .await
                .unwrap(),
        );
        let answer = answer.await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], length);
    };
    let download = async |length: usize| {
        let url = pair.url(&format!("/download?bytes={length}"));
        let response = client().get(url).send().await.unwrap();
        assert_eq!(response.content_length(), Some(length as u64));
        let (mut body, mut read) = (response.bytes_stream(), 0);
        while let Some(part) = body.next().await {
            read += part.unwrap().len();
        }
        assert_eq!(read, length);
    };
    upload(MB).await;
    download(MB).await;
    let before = resident(&pair.wrong);
    upload(100 * MB).await;
    let uploaded = resident(&pair.wrong);
    download(100 * MB).await;
    for after in [uploaded, resident(&pair.wrong)] {
        let more = after.saturating_sub(before);
        assert!(more < 10 * MB, "{more} bytes more than before");
    }
}

#[tokio::test]
async fn a_session_is_carried_to_its_next_owner_when_its_owner_drains() {
    let pair = Pair::start().await;
    get(pair.url("")).await.is_served_by(OWNER);
    let socket = pair.url("/ws").replace("http:", "ws:");
    let (mut socket, _) = connect_async(socket).await.unwrap();
    pair.owner.ask_to_stop();
    let goodbye = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert!(
        matches!(goodbye, Ok(Message::Close(Some(_)))),
        "{goodbye:?}"
    );
    pair.becomes(WRONG).await;
    assert_eq!(pair.owner.exit_status(), 0);
}

#[tokio::test]
async fn a_session_whose_row_names_only_the_owner_is_carried() {
    let pair = Pair::start().await;
    let session = PreviewSession::owned_by(OWNER);
    let session = pair.database.insert(&session).await;
    let url = pair.wrong.url(&format!("/session/{session}"));
    get(url).await.is_served_by(OWNER);
}

#[tokio::test]
async fn a_session_is_carried_to_where_its_owner_runs_after_a_restart() {
    let mut pair = Pair::start().await;
    get(pair.url("")).await.is_served_by(OWNER);
    pair.owner.kill();
    // At another port, while the row has the address of the process before.
    pair.owner = start(OWNER, &pair.database.url());
    pair.becomes(OWNER).await;
}

#[tokio::test]
async fn a_session_is_taken_over_when_its_owner_is_killed() {
    let pair = Pair::start().await;
    get(pair.url("")).await.is_served_by(OWNER);
    pair.owner.kill();
    let refused = pair.becomes(WRONG).await;
    let codes: Vec<_> = refused.iter().filter_map(Answer::code).collect();
    assert!(codes.contains(&"owner-unreachable"), "{codes:?}");
}

#[tokio::test]
async fn a_container_that_may_carry_requests_nowhere_does_not_start() {
    let (status, log) =
        Container::attempt(&[("MACHINE_ID", WRONG), ("OWNERSHIP_HANDOVER", "forward")])
            .err()
            .expect("it ends");
    assert_ne!(status, 0);
    assert!(log.contains("OWNERSHIP_PEER_ALLOW"), "{log}");
}
