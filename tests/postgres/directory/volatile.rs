//! Sessions that end with their process, in the database.

use std::time::Duration;

use tower_ownership::{
    FlyReplay, Node, NodeState, OwnershipLayerBuilder, PathSegment, SessionDirectory as _,
    SessionId, directory::NewSession,
};
use uuid::Uuid;

use super::{BEAT, Process, builder, me, migrated, one, owned_by, row};
use crate::support::database::Database;
use crate::support::until_async;

const LONG: Duration = Duration::from_secs(20);

fn volatile(machine: &str, database: &Database) -> Process {
    let lookup = builder(database).build().unwrap();
    Process::around(machine, lookup, OwnershipLayerBuilder::volatile)
}

fn directory(database: &Database) -> tower_ownership::PostgresDirectory {
    builder(database).build().unwrap().directory().unwrap()
}

async fn create(process: &Process) -> Uuid {
    let id = Uuid::new_v4();
    let new = NewSession::new(SessionId::new(id));
    let machine = process.node.machine().clone();
    process.directory.create(new, machine).await.unwrap();
    id
}

async fn living(database: &Database) -> i64 {
    let living = "SELECT count(*) FROM preview_sessions WHERE ended_at IS NULL";
    one(database, living).await
}

#[tokio::test]
async fn a_drain_ends_all_sessions_in_one_statement() {
    let database = migrated().await;
    let process = volatile("m1", &database);
    let heartbeat = process.present().await;
    let sessions = "INSERT INTO preview_sessions (id, status, container_id)
         SELECT gen_random_uuid(), CASE n % 2 WHEN 0 THEN 'active' ELSE 'starting' END, 'm1'
         FROM generate_series(1, 100) AS n";
    database.execute(sessions).await;
    let others = owned_by(&database, "m2").await;
    let drained = heartbeat.drain(LONG).await.unwrap();
    assert!(drained.is_empty && drained.released.is_empty());
    assert_eq!(drained.ended.len(), 100);
    assert!(drained.ended.iter().all(|(_, epoch)| *epoch == 1));
    assert_eq!(database.statements_with("unnest($3"), 1);
    assert_eq!(living(&database).await, 1);
    assert_eq!(
        row(&database, others).await,
        (Some("m2".to_owned()), 1, None)
    );
}

#[tokio::test]
async fn a_session_of_a_lost_owner_is_ended_by_the_machine_it_reaches() {
    let database = migrated().await;
    let (one, other) = (volatile("m1", &database), volatile("m2", &database));
    let (lost, _heartbeat) = (one.present().await, other.present().await);
    let id = create(&one).await;
    lost.leave().await.unwrap();
    assert_eq!(other.answer(id).await, "session-absent");
    assert_eq!(other.answer(id).await, "session-over");
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 1, None));
    assert_eq!(living(&database).await, 0);
    let next = create(&other).await;
    assert_eq!(other.answer(next).await, "epoch 1");
}

#[tokio::test]
async fn a_restart_ends_what_is_not_locked_and_serves_what_is_not() {
    let database = migrated().await;
    let old = volatile("m1", &database);
    let crashed = old.present().await;
    let (locked, free) = (create(&old).await, create(&old).await);
    drop(crashed);
    let writer = database.client().await;
    let lock = format!("BEGIN; SELECT FROM preview_sessions WHERE id = '{locked}' FOR UPDATE");
    writer.batch_execute(&lock).await.unwrap();
    let young = volatile("m1", &database);
    let _heartbeat = young.present().await;
    assert_eq!(young.answer(free).await, "session-over");
    assert_eq!(young.answer(locked).await, "session-absent");
    // Nothing is waited for.
    let next = create(&young).await;
    assert_eq!(young.answer(next).await, "epoch 1");
    writer.batch_execute("COMMIT").await.unwrap();
    until_async("the heartbeat ends it", async || {
        living(&database).await == 1
    })
    .await;
    assert_eq!(young.answer(next).await, "epoch 1");
}

#[tokio::test]
async fn a_restart_while_the_table_is_locked_serves_nothing_before() {
    let database = migrated().await;
    let old = volatile("m1", &database);
    let crashed = old.present().await;
    let id = create(&old).await;
    drop(crashed);
    let writer = database.client().await;
    let lock = "BEGIN; LOCK TABLE preview_sessions IN ACCESS EXCLUSIVE MODE";
    writer.batch_execute(lock).await.unwrap();
    let young = volatile("m1", &database);
    let start = tokio::spawn({
        let (directory, node) = (young.directory.clone(), young.node.clone());
        async move { directory.heartbeat().start(&node).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(young.node.state(), NodeState::Joining);
    writer.batch_execute("COMMIT").await.unwrap();
    let _heartbeat = start.await.unwrap().unwrap();
    assert_eq!(young.node.state(), NodeState::Serving);
    assert_eq!(young.answer(id).await, "session-over");
}

#[tokio::test]
async fn a_process_that_was_replaced_ends_nothing_of_the_younger_one() {
    let database = migrated().await;
    let old = volatile("m1", &database);
    let heartbeat = old.present().await;
    let young = volatile("m1", &database);
    let _young = young.present().await;
    let id = create(&young).await;
    heartbeat.drain(LONG).await.unwrap_err();
    assert_eq!(young.answer(id).await, "epoch 1");
}

#[tokio::test]
async fn a_volatile_node_ends_its_sessions_when_it_ends() {
    let database = migrated().await;
    let node = Node::builder(directory(&database))
        .session(PathSegment::after("/session").unwrap())
        .machine(me("m1"))
        .replay(FlyReplay::new())
        .volatile()
        .heartbeat(|heartbeat| heartbeat.interval(BEAT))
        .linger(Duration::from_millis(1));
    let node = node.start().await.unwrap();
    owned_by(&database, "m1").await;
    node.drained_on(std::future::ready(())).await;
    assert_eq!(living(&database).await, 0);
}

/// A table of 6,000 sessions of the machine, of which one statement ends 5,000.
#[tokio::test]
async fn many_sessions_end_bite_by_bite() {
    let database = migrated().await;
    let old = volatile("m1", &database);
    drop(old.present().await);
    let sessions = "INSERT INTO preview_sessions (id, status, container_id)
         SELECT gen_random_uuid(), 'active', 'm1' FROM generate_series(1, 6000)";
    database.execute(sessions).await;
    let young = volatile("m1", &database);
    let _heartbeat = young.present().await;
    assert_eq!(living(&database).await, 0);
    assert_eq!(database.statements_with("unnest($3"), 2);
}
