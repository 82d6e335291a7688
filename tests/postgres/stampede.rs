//! Many requests at once, and a real database that counts the questions.

use std::time::{Duration, Instant};

use crate::support::{
    database::Database,
    incident::PreviewSession,
    machine::{Answer, Machine},
    postgres::Cluster,
    relay::Relay,
};
use tokio::task::JoinSet;
use tower_ownership::{CachePolicy, PostgresLookup};
use uuid::Uuid;

/// How many lookups the server saw.
fn lookups(database: &Database) -> usize {
    database.statements_with("preview_sessions")
        - database.statements_with("create table")
        - database.statements_with("insert into")
}

async fn directory() -> (Database, PostgresLookup) {
    let database = Database::fresh().await;
    database.incident_table().await;
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    (database, lookup)
}

/// Sends one request for each session, all at once; returns the answers.
async fn crowd(machine: &Machine, sessions: impl IntoIterator<Item = Uuid>) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    for session in sessions {
        let machine = machine.clone();
        requests.spawn(async move { machine.get(session).await });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cold_requests_for_one_session_ask_once() {
    let (database, lookup) = directory().await;
    let session = database.insert(&PreviewSession::owned_by("me")).await;
    let machine = Machine::new("me", lookup, CachePolicy::new());
    let before = lookups(&database);
    let answers = crowd(&machine, std::iter::repeat_n(session, 1_000)).await;
    assert!(answers.iter().all(|answer| *answer == Answer::Served));
    assert_eq!(lookups(&database) - before, 1);
    assert_eq!(machine.served(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cold_requests_for_an_unknown_session_ask_once() {
    let (database, lookup) = directory().await;
    let machine = Machine::new("me", lookup, CachePolicy::new());
    let before = lookups(&database);
    let answers = crowd(&machine, std::iter::repeat_n(Uuid::new_v4(), 1_000)).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Answer::Refused("session-unknown"))
    );
    assert_eq!(lookups(&database) - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_where_nothing_is_remembered_those_who_wait_share_one_question() {
    let (database, lookup) = directory().await;
    let session = database.insert(&PreviewSession::owned_by("me")).await;
    let machine = Machine::new("me", lookup, CachePolicy::always_ask());
    let before = lookups(&database);
    crowd(&machine, std::iter::repeat_n(session, 1_000)).await;
    let asked = lookups(&database) - before;
    assert!(
        asked < 100,
        "{asked} questions for a thousand requests at once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_during_an_outage_is_answered_at_once() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let session = database.insert(&PreviewSession::owned_by("me")).await;
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    let machine = Machine::new("me", lookup, CachePolicy::new());
    cluster.stop();

    let begin = Instant::now();
    let answers = crowd(&machine, (0..1_000).map(|_| Uuid::new_v4())).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Answer::Refused("lookup-unavailable"))
    );
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );

    cluster.start();
    crate::support::until_async("the session is served again", async || {
        machine.get(session).await == Answer::Served
    })
    .await;
}

#[tokio::test]
async fn a_database_that_only_fails_is_left_alone() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let relay = Relay::to(database.port()).await;
    let lookup = PostgresLookup::builder(database.url_through(relay.port()));
    let machine = Machine::new("me", lookup.build().unwrap(), CachePolicy::new());
    cluster.stop();

    let begin = Instant::now();
    for _ in 0..300 {
        let answer = machine.get(Uuid::new_v4()).await;
        assert_eq!(answer, Answer::Refused("lookup-unavailable"));
    }
    // Three before it is clear, and then one every 100 ms.
    let most = 4 + begin.elapsed().as_millis() / 100;
    let attempts = relay.accepted();
    assert!(attempts as u128 <= most, "{attempts} of at most {most}");
}
