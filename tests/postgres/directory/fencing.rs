//! The example of a fenced write in the documentation of `Owned`, as it stands there.

use std::time::Duration;

use tower_ownership::SessionId;
use uuid::Uuid;

use super::{Process, migrated, one, owned_by, row};
use crate::support::database::Database;

/// The statement of the example.
fn statement() -> String {
    let source = include_str!("../../../src/ownership/owned.rs");
    let documented = source.lines().filter_map(|line| line.strip_prefix("/// "));
    let documented = documented.collect::<Vec<_>>().join("\n");
    let from = documented.find("\"INSERT INTO").unwrap() + 1;
    let length = documented[from..].find('"').unwrap();
    documented[from..from + length].to_owned()
}

async fn with_states() -> (Database, Uuid) {
    let database = migrated().await;
    database
        .execute(
            "CREATE TABLE session_states (session_id uuid PRIMARY KEY, epoch bigint, state text)",
        )
        .await;
    let id = owned_by(&database, "m1").await;
    (database, id)
}

async fn write(database: &Database, id: Uuid, epoch: i64, state: &str) -> u64 {
    let client = database.client().await;
    client
        .execute(&statement(), &[&id, &epoch, &state])
        .await
        .unwrap()
}

async fn state(database: &Database) -> String {
    one(database, "SELECT state FROM session_states").await
}

#[tokio::test]
async fn the_next_owner_reads_every_acknowledged_write() {
    let (database, id) = with_states().await;
    assert_eq!(write(&database, id, 1, "first").await, 1);
    // The old owner's next write has begun, and waits for a lock.
    let blocker = database.client().await;
    let lock = "BEGIN; SELECT FROM session_states FOR UPDATE";
    blocker.batch_execute(lock).await.unwrap();
    let (writes, database) = (database.client().await, database);
    let late = tokio::spawn(async move {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&id, &1_i64, &"last"];
        writes.execute(&statement(), &parameters).await.unwrap()
    });
    let waits = "SELECT count(*) = 1 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'
             AND query LIKE 'INSERT INTO session_states%'";
    database.eventually(waits).await;
    // Meanwhile another machine becomes the owner, and reads the state.
    let moves = database.client().await;
    let reads = tokio::spawn(async move {
        let release = format!(
            "UPDATE preview_sessions SET container_id = NULL, owner_released = 2 WHERE id = '{id}'"
        );
        moves.batch_execute(&release).await.unwrap();
        let claim = format!("UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'");
        moves.batch_execute(&claim).await.unwrap();
        let read = "SELECT state FROM session_states";
        moves
            .query_one(read, &[])
            .await
            .unwrap()
            .get::<_, String>(0)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    blocker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(late.await.unwrap(), 1, "it is acknowledged");
    assert_eq!(reads.await.unwrap(), "last");
    assert_eq!(row(&database, id).await.0.as_deref(), Some("m2"));
}

#[tokio::test]
async fn a_late_write_of_an_earlier_epoch_is_refused() {
    let (database, id) = with_states().await;
    let m1 = Process::of("m1", &database);
    assert_eq!(write(&database, id, 1, "first").await, 1);
    let released = m1.directory.release(&SessionId::new(id), &m1.node).await;
    assert!(released.unwrap().is_some());
    assert_eq!(write(&database, id, 1, "late").await, 0);
    let claimed = Process::of("m2", &database).claim(id).await;
    let epoch = i64::try_from(claimed.epoch().unwrap()).unwrap();
    assert_eq!(write(&database, id, 1, "late").await, 0);
    assert_eq!(write(&database, id, epoch, "next").await, 1);
    assert_eq!(write(&database, id, 1, "late").await, 0);
    assert_eq!(state(&database).await, "next");
}
