//! Containers that beat, claim, take over and give up, as processes with a real database.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tower_ownership::testing::FlyEdge;
use tower_ownership::{PostgresLookup, ownership::LossReason};
use uuid::Uuid;

use crate::fleet::{OWNER, WRONG, edge};
use crate::support::client::{Answer, SOON, client, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

/// As short as they may be, so that a test sees whole lives.
const F: &str = "1000";
const BEAT: &str = "250";
const LOST_AFTER: &str = "1500";

async fn database() -> Database {
    let database = Database::fresh().await;
    migrate(&database).await;
    database
}

/// Makes a database one for containers that live.
pub async fn migrate(database: &Database) {
    database.incident_table().await;
    let lookup = PostgresLookup::builder(database.url()).ownership().build();
    lookup
        .unwrap()
        .directory()
        .unwrap()
        .migrate()
        .await
        .unwrap();
    database
        .execute(
            "CREATE TABLE session_states (
                session_id uuid PRIMARY KEY, epoch bigint NOT NULL, writer text, at timestamptz)",
        )
        .await;
}

fn variables<'a>(machine: &'a str, url: &'a str, freshness: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("MACHINE_ID", machine),
        ("DATABASE_URL", url),
        ("OWNERSHIP_LIFE", "on"),
        ("OWNERSHIP_FRESHNESS_MS", freshness),
        ("OWNERSHIP_BEAT_MS", BEAT),
        ("OWNERSHIP_LOST_AFTER_MS", LOST_AFTER),
    ]
}

struct Pair {
    database: Database,
    wrong: Container,
    owner: Container,
    edge: FlyEdge,
    session: Uuid,
}

impl Pair {
    /// Two containers that have joined, and a session that nobody owns. Requests land on
    /// [`OWNER`], which makes it what its name says.
    async fn start() -> Self {
        let database = database().await;
        let nobodys = PreviewSession {
            container_id: None,
            ..PreviewSession::owned_by(OWNER)
        };
        let session = database.insert(&nobodys).await;
        let url = database.url();
        let start = |machine| Container::start(&variables(machine, &url, F));
        let (wrong, owner) = (start(WRONG), start(OWNER));
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, wrong.addr);
        edge.add(OWNER, owner.addr);
        edge.land_on(OWNER);
        let pair = Self {
            database,
            wrong,
            owner,
            edge,
            session,
        };
        // A claim may have to wait until the machine has joined.
        pair.becomes("", OWNER).await;
        pair
    }

    fn url(&self, rest: &str) -> String {
        self.edge.url(&format!("/session/{}{rest}", self.session))
    }

    /// Asks until this machine serves; every other answer has to be a refusal that says when to
    /// ask again.
    async fn becomes(&self, rest: &str, machine: &str) -> Answer {
        let began = Instant::now();
        loop {
            let answer = get(self.url(rest)).await;
            if answer.status == 200 {
                assert_eq!(answer.json()["machine"], machine, "{answer:?}");
                return answer;
            }
            // The edge's own answer, for a connection that a dying process had accepted.
            let of_the_edge = answer.status == 502 && answer.code().is_none();
            let says_when = answer.header("retry-after").is_some();
            assert!(says_when || of_the_edge, "{answer:?}");
            let late = began.elapsed() > SOON;
            assert!(!late, "{answer:?}\n{}", self.wrong.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_container_that_is_asked_to_stop_hands_its_sessions_on_and_nobody_waits() {
    let pair = Pair::start().await;
    let answer = get(pair.url("")).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["epoch"], 1);
    send(request(Method::POST, pair.url("/write")))
        .await
        .is_served_by(OWNER);

    let mut events = client()
        .get(pair.url("/events?count=1000"))
        .send()
        .await
        .unwrap()
        .bytes_stream();
    timeout(SOON, events.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let socket = pair.url("/ws").replace("http://", "ws://");
    let (mut socket, _) = connect_async(socket).await.unwrap();
    socket.send("hello".into()).await.unwrap();
    timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    pair.edge.land_on(WRONG);
    pair.owner.ask_to_stop();
    let answer = pair.becomes("", WRONG).await;
    assert_eq!(answer.json()["epoch"], 3, "given up, and claimed");

    let mut last = String::new();
    while let Some(chunk) = timeout(SOON, events.next()).await.unwrap() {
        last.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert!(
        last.ends_with("event: ownership-lost\ndata: draining\n\n"),
        "{last}"
    );
    let goodbye = timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let Message::Close(Some(goodbye)) = goodbye else {
        panic!("no goodbye, but {goodbye:?}");
    };
    assert_eq!(goodbye.code, CloseCode::from(LossReason::CLOSE_CODE));
    assert_eq!(goodbye.reason, "draining");
    drop(socket);
    assert_eq!(pair.owner.exit_status(), 0);
    let left = "SELECT left_at IS NOT NULL FROM ownership_machines WHERE machine_id = $1";
    let client = pair.database.client().await;
    let left: bool = client.query_one(left, &[&OWNER]).await.unwrap().get(0);
    assert!(left);
}

#[tokio::test]
async fn a_container_whose_beats_fail_is_not_ready_until_they_arrive_again() {
    let database = database().await;
    let container = Container::start(&variables(OWNER, &database.url(), F));
    let ready = async |status| {
        let began = Instant::now();
        loop {
            let answer = get(container.url("/health/ready")).await;
            if answer.status == status {
                return answer.text;
            }
            let late = began.elapsed() > SOON;
            assert!(!late, "{answer:?}\n{}", container.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    ready(200).await;
    // What it reads goes on to be answered.
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 $$BEGIN RAISE EXCEPTION 'read-only'; END$$; \
             CREATE TRIGGER refuse BEFORE UPDATE ON ownership_machines \
                 FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let why_not = ready(503).await;
    assert!(why_not.contains(r#""presence""#), "{why_not}");
    assert!(!why_not.contains(r#""directory""#), "{why_not}");
    database
        .execute("DROP TRIGGER refuse ON ownership_machines")
        .await;
    ready(200).await;
}

#[tokio::test]
async fn a_container_that_beats_audits_its_fleet_from_time_to_time() {
    let database = database().await;
    database.insert(&PreviewSession::owned_by("ghost")).await;
    let url = database.url();
    let mut told = variables(OWNER, &url, F).to_vec();
    told.push(("OWNERSHIP_AUDIT_MS", "100"));
    let container = Container::start(&told);
    let found = r#"tower_ownership_audit_findings{kind="owner-never-seen"} 1"#;
    let began = Instant::now();
    while !get(container.url("/metrics")).await.text.contains(found) {
        assert!(began.elapsed() < SOON, "{}", container.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let said = container.log();
    assert_eq!(said.matches("something is wrong with the fleet").count(), 1);
    assert!(said.contains("owner-never-seen"), "{said}");
}

#[tokio::test]
async fn a_container_that_is_killed_is_taken_over_from_after_its_silence_and_f() {
    let pair = Pair::start().await;
    pair.edge.land_on(WRONG);
    get(pair.url("")).await.is_served_by(OWNER);
    let killed = Instant::now();
    let Pair { owner, .. } = &pair;
    owner.kill();
    let answer = pair.becomes("", WRONG).await;
    assert_eq!(answer.json()["epoch"], 2);
    let took = killed.elapsed();
    assert!(
        took >= Duration::from_secs(2),
        "F and most of the silence: {took:?}"
    );
    let written = send(request(Method::POST, pair.url("/write"))).await;
    assert_eq!(written.json()["written"], true);
}

#[tokio::test]
async fn a_container_that_counts_otherwise_than_its_fleet_ends_and_says_both_values() {
    let pair = Pair::start().await;
    let url = pair.database.url();
    let other = Container::start(&variables("third", &url, "2000"));
    crate::support::until("it ends", || other.has_ended());
    let log = other.log();
    assert!(log.contains("2s") && log.contains("1s"), "{log}");
    assert_eq!(other.exit_status(), 1);
}
