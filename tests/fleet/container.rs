//! Whole containers: processes of their own, a real database, the edge in front.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tower_ownership::testing::FlyEdge;
use uuid::Uuid;

use crate::application::sha256;
use crate::fleet::{OWNER, WRONG, edge};
use crate::support::client::{HTML, SOON, client, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::postgres::Cluster;

/// The longest that a lookup may take.
const BOUND: Duration = Duration::from_secs(2);

fn start(machine: &str, database: &Database) -> Container {
    Container::start(&[("MACHINE_ID", machine), ("DATABASE_URL", &database.url())])
}

/// Two containers behind an edge, and a session that [`OWNER`] owns.
struct Pair {
    database: Database,
    wrong: Container,
    owner: Container,
    edge: FlyEdge,
    session: Uuid,
}

impl Pair {
    async fn start() -> Self {
        let database = Database::fresh().await;
        database.incident_table().await;
        let session = database.insert(&PreviewSession::owned_by(OWNER)).await;
        let (wrong, owner) = (start(WRONG, &database), start(OWNER, &database));
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, wrong.addr);
        edge.add(OWNER, owner.addr);
        Self {
            database,
            wrong,
            owner,
            edge,
            session,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }
}

async fn health(container: &Container) -> Value {
    let answer = get(container.url("/healthz")).await;
    assert_eq!(answer.status, 200, "healthy is not the same as ready");
    answer.json()
}

async fn is_ready(container: &Container) {
    let deadline = Instant::now() + SOON;
    while health(container).await["ready"] != true {
        assert!(Instant::now() < deadline, "not ready:\n{}", container.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_page_and_an_upload_come_from_the_owner() {
    let pair = Pair::start().await;
    for container in [&pair.wrong, &pair.owner] {
        is_ready(container).await;
    }
    let answer = get(pair.edge.url(&pair.path("/x"))).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["session"], pair.session.to_string());
    assert_eq!(answer.json()["path"], pair.path("/x"));

    let bytes = Bytes::from(b"0123456789".repeat(90_000));
    let upload = request(Method::POST, pair.edge.url(&pair.path("/upload")));
    let answer = send(upload.body(bytes.clone())).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["session"], pair.session.to_string());
    assert_eq!(answer.json()["bytes"], 900_000);
    assert_eq!(answer.json()["sha256"], sha256(&bytes));

    let large = request(Method::POST, pair.edge.url(&pair.path("/upload")));
    let large = large.body(vec![0; 3_000_000]);
    send(large).await.is_refused(413, "not-replayable");
}

#[tokio::test]
async fn a_websocket_and_five_events_come_from_the_owner() {
    let pair = Pair::start().await;
    let url = format!("ws://{}{}", pair.edge.addr(), pair.path("/ws"));
    let (mut socket, _) = connect_async(url).await.unwrap();
    socket.send("hello".into()).await.unwrap();
    let echo = timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(echo, "hello".into());

    let answer = get(pair.edge.url(&pair.path("/events"))).await;
    let events: Vec<Value> = answer
        .text
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let expected: Vec<Value> = (1..=5)
        .map(|number| {
            json!({ "machine": OWNER, "session": pair.session.to_string(), "number": number })
        })
        .collect();
    assert_eq!(events, expected);
}

#[tokio::test]
async fn the_wrong_container_answers_with_a_replay_and_says_what_it_is() {
    let pair = Pair::start().await;
    let url = pair.wrong.url(&pair.path("/x"));
    // Before that it does not know which directory it reads.
    crate::support::until("it has asked", || pair.wrong.log().contains("ready: "));
    let answer = get(url.clone()).await;
    answer.is_refused(409, "replay-not-honoured");
    let expected = format!("instance={OWNER};timeout=5s;fallback=force_self;state=own.1.");
    let replay = answer.header("fly-replay").unwrap();
    let directory = replay.strip_prefix(&*expected).unwrap();
    assert_eq!(directory.len(), 8, "{replay}");
    let page = send(request(Method::GET, url).header("accept", HTML)).await;
    assert!(page.text.contains("replay-not-honoured"));
}

#[tokio::test]
async fn a_row_that_changes_hands_is_followed_within_its_freshness() {
    let pair = Pair::start().await;
    let url = pair.edge.url(&pair.path(""));
    get(url.clone()).await.is_served_by(OWNER);
    let moved = format!("UPDATE preview_sessions SET container_id = '{WRONG}'");
    pair.database.execute(&moved).await;
    becomes(&url, 200, WRONG).await;
    let freed = "UPDATE preview_sessions SET container_id = NULL";
    pair.database.execute(freed).await;
    becomes(&url, 503, "session-starting").await;
    let ended = "UPDATE preview_sessions SET ended_at = now()";
    pair.database.execute(ended).await;
    becomes(&url, 410, "session-over").await;
}

/// Asks until the answer is this one, for as long as an owned session may be remembered.
async fn becomes(url: &str, status: u16, text: &str) {
    let changed = Instant::now();
    loop {
        let answer = get(url.to_owned()).await;
        if answer.status == status && answer.text.contains(text) {
            return;
        }
        let late = changed.elapsed() > Duration::from_secs(6);
        assert!(!late, "not {status} {text}, but {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_container_may_redirect_instead() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let session = database.insert(&PreviewSession::owned_by(OWNER)).await;
    let container = Container::start(&[
        ("MACHINE_ID", WRONG),
        ("DATABASE_URL", &database.url()),
        ("OWNERSHIP_HANDOVER", "redirect:https://{owner}.example.com"),
    ]);
    let answer = get(container.url(&format!("/session/{session}/x?a=b"))).await;
    assert_eq!(answer.status, 307);
    let there = format!("https://{OWNER}.example.com/session/{session}/x?a=b");
    assert_eq!(answer.header("location"), Some(there.as_str()));
    assert_eq!(answer.header("fly-replay"), None);
}

#[tokio::test]
async fn a_container_that_is_asked_to_stop_finishes_what_is_under_way() {
    let pair = Pair::start().await;
    let url = pair.edge.url(&pair.path("/events"));
    let mut events = client().get(url).send().await.unwrap().bytes_stream();
    let first = timeout(SOON, events.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let mut text = String::from_utf8(first.to_vec()).unwrap();
    assert_eq!(text.matches("data: ").count(), 1, "four more are to come");

    pair.owner.ask_to_stop();
    crate::support::until("it takes nobody new", || {
        std::net::TcpStream::connect(pair.owner.addr).is_err()
    });
    assert!(!pair.owner.has_ended(), "an event stream is under way");
    while let Some(chunk) = timeout(SOON, events.next()).await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert_eq!(text.matches("data: ").count(), 5, "{text}");
    assert_eq!(pair.owner.exit_status(), 0);
}

#[tokio::test]
async fn a_container_that_starts_without_its_database_says_so_and_needs_no_restart() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let session = database.insert(&PreviewSession::owned_by(OWNER)).await;
    let another = database.insert(&PreviewSession::owned_by(OWNER)).await;
    cluster.stop();

    let container = start(OWNER, &database);
    let health_before = health(&container).await;
    assert_eq!(health_before["ready"], false);
    assert!(health_before["reason"].is_string(), "{health_before}");
    let url = container.url(&format!("/session/{session}"));
    is_503_in_time(&url).await;

    cluster.start();
    is_ready(&container).await;
    // A watch that comes back has the container forget what it knew, and should have by then.
    crate::support::until("it hears of changes again", || {
        container.log().contains("changes of sessions are heard")
    });
    get(url.clone()).await.is_served_by(OWNER);

    // Later on, one that accepts and says nothing is the harder case.
    cluster.freeze();
    get(url.clone()).await.is_served_by(OWNER);
    let not_remembered = container.url(&format!("/session/{another}"));
    is_503_in_time(&not_remembered).await;
    assert_eq!(get(container.url("/healthz")).await.status, 200);
    cluster.thaw();
    let deadline = Instant::now() + SOON;
    while get(not_remembered.clone()).await.status != 200 {
        assert!(
            Instant::now() < deadline,
            "it does not heal:\n{}",
            container.log()
        );
    }
    assert!(!container.has_ended());
}

async fn is_503_in_time(url: &str) {
    let asked = Instant::now();
    let answer = get(url.to_owned()).await;
    answer.is_refused(503, "lookup-unavailable");
    assert!(answer.header("retry-after").is_some());
    let took = asked.elapsed();
    assert!(took < BOUND, "{took:?}");
}

#[test]
fn a_container_that_does_not_know_which_machine_it_is_ends_and_names_what_it_looked_for() {
    let Err((status, log)) = Container::attempt(&[]) else {
        panic!("it runs without an identity");
    };
    assert_eq!(status, 1);
    for name in ["FLY_MACHINE_ID", "POD_UID", "HEROKU_DYNO_ID"] {
        assert!(log.contains(name), "{name} is not in: {log}");
    }
}

#[test]
fn a_container_takes_its_identity_from_its_platform() {
    let container = Container::start(&[("FLY_MACHINE_ID", OWNER), ("FLY_APP_NAME", "app")]);
    assert!(container.log().contains(OWNER), "{}", container.log());
}
