//! Ids that come again after their rows were deleted, as the names of rooms do.

use std::time::Duration;

use tower_ownership::{
    CachePolicy, SessionDirectory as _, SessionId,
    directory::{EndIf, NewSession},
};
use uuid::Uuid;

use super::partitions::partitioned;
use super::{F, PostgresDirectory, Process, builder, migrated, one, owned_by, row, unowned};
use crate::support::database::Database;

/// What no clock of today is behind, in microseconds.
const LATE: i64 = 1_700_000_000_000_000;

fn reusing(machine: &str, database: &Database) -> Process {
    let builder = builder(database).reusable_ids();
    Process::with(machine, builder, CachePolicy::new().owned(F))
}

async fn reusable() -> (Database, Process) {
    let database = Database::fresh().await;
    database.incident_table().await;
    let process = reusing("m1", &database);
    process.directory.migrate().await.unwrap();
    (database, process)
}

/// Ends the session and deletes its row, so long after the end that it may come again.
async fn reap(process: &Process, database: &Database, id: Uuid) {
    let session = SessionId::new(id);
    process
        .directory
        .end(session.clone(), EndIf::Any)
        .await
        .unwrap();
    database
        .execute("UPDATE preview_sessions SET ended_at = now() - interval '1 hour'")
        .await;
    let reaped = process.directory.reap(2 * F, 10).await.unwrap();
    assert_eq!(reaped.sessions.len(), 1);
    process.cache.forget(&session);
}

#[tokio::test]
async fn an_id_that_comes_again_is_at_a_higher_epoch_and_served_at_once() {
    let (database, process) = reusable().await;
    let _present = process.present().await;
    let id = Uuid::new_v4();
    let new = || NewSession::new(SessionId::new(id)).lifetime(Duration::from_secs(60));
    let first = process.begin(new()).await.epoch().unwrap();
    for owner in ["NULL", "'m1'"] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = {owner}"
            ))
            .await;
    }
    assert_eq!(process.read(id).await.epoch(), Some(first + 2));
    reap(&process, &database, id).await;
    let again = process.begin(new()).await.epoch().unwrap();
    assert!(again > first + 2, "{again} after {first}");
    assert_eq!(process.answer(id).await, format!("epoch {again}"));
}

#[tokio::test]
async fn an_id_that_was_used_before_the_setting_comes_again_at_a_higher_epoch() {
    let database = migrated().await;
    let process = reusing("m1", &database);
    let id = owned_by(&database, "m1").await;
    for owner in ["m2", "m1"] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = '{owner}'"
            ))
            .await;
    }
    let done = process.directory.migrate().await.unwrap().done;
    assert_eq!(done, ["triggers that raise epochs"]);
    assert_eq!(row(&database, id).await.1, 3);
    reap(&process, &database, id).await;
    let new = process.begin(NewSession::new(SessionId::new(id))).await;
    assert!(new.epoch() > Some(3), "{new:?}");
}

#[tokio::test]
async fn without_the_setting_an_id_that_comes_again_begins_at_one() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let id = owned_by(&database, "m1").await;
    for owner in ["m2", "m1"] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = '{owner}'"
            ))
            .await;
    }
    assert_eq!(row(&database, id).await.1, 3);
    reap(&process, &database, id).await;
    let new = process.begin(NewSession::new(SessionId::new(id))).await;
    assert_eq!(new.epoch(), Some(1));
}

#[tokio::test]
async fn every_insert_begins_at_the_clock_with_a_proof() {
    let (database, process) = reusable().await;
    let _present = process.present().await;
    let (free, owned) = (unowned(&database).await, owned_by(&database, "m1").await);
    let (_, epoch, released) = row(&database, free).await;
    assert!(
        epoch > LATE && released == Some(epoch),
        "{epoch} {released:?}"
    );
    let claimed = process.claim(free).await.epoch();
    assert_eq!(claimed, u64::try_from(epoch + 1).ok());
    assert_eq!(process.answer(free).await, format!("epoch {}", epoch + 1));
    let (_, epoch, released) = row(&database, owned).await;
    assert!(
        epoch > LATE && released == Some(epoch - 1),
        "{epoch} {released:?}"
    );
    assert_eq!(process.answer(owned).await, format!("epoch {epoch}"));
    // An epoch that the row brings along counts, and a proof does not.
    let id = Uuid::new_v4();
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status, container_id, owner_epoch, owner_released)
             VALUES ('{id}', 'active', 'm1', 77, 76)"
        ))
        .await;
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 77, None));
}

#[tokio::test]
async fn a_row_that_moves_to_another_partition_is_not_born_again() {
    let partitions = "CREATE TABLE active PARTITION OF preview_sessions FOR VALUES IN ('active');
         CREATE TABLE others PARTITION OF preview_sessions DEFAULT";
    let database = partitioned("LIST (status)", partitions).await;
    let process = reusing("m1", &database);
    process.directory.migrate().await.unwrap();
    for id in [owned_by(&database, "m1").await, unowned(&database).await] {
        let (owner, epoch, released) = row(&database, id).await;
        for (set, more) in [
            ("status = 'paused'", 0),
            ("status = 'active', container_id = 'm2'", 1),
            ("status = 'paused', container_id = NULL", 2),
            ("status = 'active'", 2),
        ] {
            database
                .execute(&format!(
                    "UPDATE preview_sessions SET {set} WHERE id = '{id}'"
                ))
                .await;
            let now = row(&database, id).await;
            assert_eq!((now.1, now.2), (epoch + more, released), "{owner:?} {set}");
        }
    }
}

#[tokio::test]
async fn a_migration_without_the_setting_does_not_take_it_away() {
    let (database, process) = reusable().await;
    let plain = Process::of("m2", &database);
    assert_eq!(plain.directory.migrate().await.unwrap().done, [""; 0]);
    process.lookup.verify(process.node.machine()).await.unwrap();
    // Its text does, and that is noticed.
    database.execute(PostgresDirectory::MIGRATION).await;
    let error = process.lookup.verify(process.node.machine()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("reusable ids"), "{error}");
    let done = process.directory.migrate().await.unwrap().done;
    assert_eq!(done, ["triggers that raise epochs"]);
    process.lookup.verify(process.node.machine()).await.unwrap();
}

#[tokio::test]
async fn an_epoch_that_cannot_hold_the_clock_is_refused() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute("ALTER TABLE preview_sessions ADD owner_epoch int NOT NULL DEFAULT 1")
        .await;
    let process = reusing("m1", &database);
    process.directory.migrate().await.unwrap();
    let new = NewSession::new(SessionId::new(Uuid::new_v4()));
    let machine = process.node.machine().clone();
    let error = process.directory.create(new, machine).await.unwrap_err();
    assert!(
        crate::support::chain(&error).contains("bigint"),
        "{error:?}"
    );
    let rows: i64 = one(&database, "SELECT count(*) FROM preview_sessions").await;
    assert_eq!(rows, 0);
}
