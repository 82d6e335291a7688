//! A node in one call.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    FlyReplay, Node, NodeState, OwnerStatus, PathSegment, PostgresDirectory, PostgresLookup,
    Rejection,
    node::{NodeBuilder, NodeError, RunningNode},
};
use uuid::Uuid;

use super::{BEAT, Process, builder, me, migrated, migrated_in, row, unowned};
use crate::support::postgres::Cluster;
use crate::support::until_async;

const NO_TIME: Duration = Duration::from_millis(1);

fn node(machine: &str, directory: PostgresDirectory) -> NodeBuilder<PostgresDirectory> {
    Node::builder(directory)
        .session(PathSegment::after("/session").unwrap())
        .machine(me(machine))
        .replay(FlyReplay::new())
        .claim_unassigned()
        .heartbeat(|heartbeat| heartbeat.interval(BEAT))
        .linger(NO_TIME)
}

/// What a request for the session is answered: by the application, by a replay, or with a code.
async fn answer(node: &RunningNode<PostgresDirectory>, id: Uuid) -> String {
    let application = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get(format!("/session/{id}/"))
        .body(String::new())
        .unwrap();
    let Ok(response) = node.layer().layer(application).oneshot(request).await;
    if let Some(replay) = response.headers().get("fly-replay") {
        return replay.to_str().unwrap().to_owned();
    }
    match response.extensions().get::<Rejection>() {
        Some(rejection) => rejection.code().as_str().to_owned(),
        None => "served".to_owned(),
    }
}

async fn end(node: &RunningNode<PostgresDirectory>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let drained = node.drained_on(async {
        let _ = stopped.await;
    });
    drop(stop);
    drained.await;
}

#[tokio::test]
async fn the_next_process_of_a_machine_serves_at_once() {
    let database = migrated().await;
    let directory = || builder(&database).build().unwrap().directory().unwrap();
    let id = unowned(&database).await;
    let first = node("m1", directory()).start().await.unwrap();
    assert_eq!(answer(&first, id).await, "served");
    assert_eq!(row(&database, id).await.0.as_deref(), Some("m1"));
    end(&first).await;
    assert_eq!(first.state(), NodeState::Draining);
    assert_eq!(row(&database, id).await, (None, 2, Some(2)));
    let next = node("m1", directory()).start().await.unwrap();
    assert_eq!(answer(&next, id).await, "served");
}

#[tokio::test]
async fn what_still_arrives_while_a_node_ends_reaches_the_next_owner() {
    let database = migrated().await;
    let directory = || builder(&database).build().unwrap().directory().unwrap();
    let id = unowned(&database).await;
    let ends = node("m1", directory()).linger(Duration::from_secs(60));
    let ends = ends.start().await.unwrap();
    assert_eq!(answer(&ends, id).await, "served");
    let other = node("m2", directory()).start().await.unwrap();
    let drained = tokio::spawn(ends.drained_on(std::future::ready(())));
    until_async("it is given up", async || {
        row(&database, id).await.0.is_none()
    })
    .await;
    assert_eq!(answer(&other, id).await, "served");
    until_async("it knows", async || {
        answer(&ends, id).await.starts_with("instance=m2;")
    })
    .await;
    drained.abort();
}

#[tokio::test]
async fn a_node_starts_while_the_database_is_down() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let id = unowned(&database).await;
    let directory = PostgresDirectory::new(database.url()).unwrap();
    cluster.stop();
    let node = node("m1", directory).start().await.unwrap();
    assert_eq!(node.state(), NodeState::Joining);
    let request = Request::get("/ready").body(()).unwrap();
    let Ok(response) = node.health().build().oneshot(request).await;
    assert_eq!(response.status(), 503);
    cluster.start();
    until_async("it has joined", async || node.state() == NodeState::Serving).await;
    assert_eq!(answer(&node, id).await, "served");
    end(&node).await;
}

#[tokio::test]
async fn a_node_whose_directory_does_not_fit_does_not_start() {
    let database = crate::support::database::Database::fresh().await;
    database.incident_table().await;
    let directory = PostgresDirectory::new(database.url()).unwrap();
    let error = node("m1", directory).start().await.unwrap_err();
    assert!(matches!(error, NodeError::Directory(_)), "{error:?}");
}

#[tokio::test]
async fn a_node_hears_of_changes_and_leaves() {
    let database = migrated().await;
    database
        .execute(tower_ownership::postgres::PostgresFeed::MIGRATION)
        .await;
    let directory = builder(&database).build().unwrap().directory().unwrap();
    let reader = Process::of("m2", &database);
    let id = unowned(&database).await;
    let node = node("m1", directory).start().await.unwrap();
    assert_eq!(answer(&node, id).await, "served");
    assert_eq!(reader.read(id).await.owner_status(), OwnerStatus::Alive);
    until_async("it hears of a change", async || {
        database
            .execute("UPDATE preview_sessions SET container_id = 'm3'")
            .await;
        answer(&node, id).await == "owner-never-seen"
    })
    .await;
    end(&node).await;
}

#[tokio::test]
async fn a_node_that_is_dropped_ends_its_heartbeat_although_its_health_is_served() {
    let database = migrated().await;
    let directory = builder(&database).build().unwrap().directory().unwrap();
    let node = node("m1", directory).start().await.unwrap();
    let health = node.health().build();
    let ready = async || {
        let request = Request::get("/ready").body(()).unwrap();
        let Ok(response) = health.clone().oneshot(request).await;
        response.status().is_success()
    };
    assert!(ready().await);
    drop(node);
    assert!(!ready().await);
    let beat = "SELECT beat_at::text FROM ownership_machines";
    let before: String = super::one(&database, beat).await;
    tokio::time::sleep(4 * BEAT).await;
    let after: String = super::one(&database, beat).await;
    assert_eq!(before, after, "no heartbeat is sent any more");
}

#[tokio::test]
async fn a_node_asks_for_the_password_at_every_connection() {
    let cluster = Cluster::prepared(|data| {
        let rules = "local all all trust\nhost all rotated 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        Vec::new()
    });
    let cluster = cluster.unwrap();
    let database = migrated_in(&cluster).await;
    let role = "ROLE rotated WITH LOGIN SUPERUSER PASSWORD";
    database.execute(&format!("CREATE {role} 'first'")).await;
    let (first, second) = (unowned(&database).await, unowned(&database).await);
    let password = Arc::new(Mutex::new("first".to_owned()));
    let provider = Arc::clone(&password);
    let url = database.url().replace("postgres@", "rotated@");
    let lookup = PostgresLookup::builder(url).ownership().password(move || {
        let password = provider.lock().unwrap().clone();
        async { Ok::<_, Infallible>(password) }
    });
    let directory = lookup.build().unwrap().directory().unwrap();
    let node = node("m1", directory).start().await.unwrap();
    assert_eq!(answer(&node, first).await, "served");

    database.execute(&format!("ALTER {role} 'second'")).await;
    "second".clone_into(&mut password.lock().unwrap());
    database.kill_backends().await;
    // Heartbeat, claim and feed, each by a connection that was made since.
    database
        .execute("CREATE TABLE killed AS SELECT clock_timestamp() AS at")
        .await;
    let beats = "SELECT beat_at > at FROM ownership_machines, killed";
    database.eventually(beats).await;
    until_async("claimed", async || answer(&node, second).await == "served").await;
    let feed = "SELECT count(*) > 0 FROM pg_stat_activity
        WHERE usename = 'rotated' AND application_name = 'tower-ownership feed'";
    database.eventually(feed).await;
}
