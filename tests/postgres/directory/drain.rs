//! Draining and leaving.

use std::time::Duration;

use tower_ownership::{NodeState, OwnerStatus, SessionId, postgres::AssignError};

use super::{Process, me, migrated, one, owned_by, row, unowned};
use crate::support::incident::PreviewSession;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn all_sessions_are_given_up_in_one_statement() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    for _ in 0..100 {
        database.insert(&PreviewSession::owned_by("m1")).await;
    }
    let others = owned_by(&database, "m2").await;
    let drained = presence.drain(LONG).await.unwrap();
    assert!(drained.is_empty);
    assert_eq!(drained.released.len(), 100);
    assert!(
        drained
            .released
            .iter()
            .all(|one| one.epoch == 2 && one.proven)
    );
    assert_eq!(database.statements_with("unnest($4"), 1);
    let left: i64 = one(
        &database,
        "SELECT count(*) FROM preview_sessions WHERE container_id = 'm1'",
    )
    .await;
    assert_eq!(left, 0);
    assert_eq!(row(&database, others).await.0.as_deref(), Some("m2"));
    assert_eq!(process.node.state(), NodeState::Draining);
    // Who has nothing left is done at once.
    let again = presence.drain(LONG).await.unwrap();
    assert!(again.is_empty && again.released.is_empty());
}

#[tokio::test]
async fn a_machine_that_drains_is_given_nothing_and_beats_on() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    presence.drain(LONG).await.unwrap();
    let id = unowned(&database).await;
    assert_eq!(process.claim(id).await.owner(), None);
    let error = process
        .directory
        .assign(&SessionId::new(id), &me("m1"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, AssignError::MachineDraining { .. }),
        "{error}"
    );
    let given = owned_by(&database, "m1").await;
    assert_eq!(
        process.read(given).await.owner_status(),
        OwnerStatus::Draining
    );
    // Its row is gone; it comes back as that of a machine which drains.
    database.execute("DELETE FROM ownership_machines").await;
    database
        .eventually("SELECT count(*) = 1 FROM ownership_machines WHERE draining")
        .await;
}

#[tokio::test]
async fn a_machine_that_left_is_lost_at_once_and_back_after_a_restart() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    presence.leave().await.unwrap();
    assert_eq!(process.node.state(), NodeState::Draining);
    assert_eq!(process.read(id).await.owner_status(), OwnerStatus::Lost);
    let again = Process::of("m1", &database);
    let _present = again.present().await;
    assert_eq!(again.read(id).await.owner_status(), OwnerStatus::Alive);
}

#[tokio::test]
async fn a_drain_ends_in_time_when_the_table_is_locked() {
    let database = migrated().await;
    owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    let writer = database.client().await;
    writer
        .batch_execute("BEGIN; UPDATE preview_sessions SET tier = 'x'")
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let drained = presence.drain(Duration::from_millis(500)).await.unwrap();
    assert!(!drained.is_empty && drained.released.is_empty());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(process.node.state(), NodeState::Draining);
    writer.batch_execute("COMMIT").await.unwrap();
    let drained = presence.drain(LONG).await.unwrap();
    assert!(drained.is_empty);
    assert_eq!(drained.released.len(), 1);
}

#[tokio::test]
async fn a_locked_row_keeps_back_no_other_session() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    let sessions = "INSERT INTO preview_sessions (id, status, container_id)
         SELECT gen_random_uuid(), 'active', 'm1' FROM generate_series(1, 6000)";
    database.execute(sessions).await;
    let locked = owned_by(&database, "m1").await;
    let writer = database.client().await;
    let lock = format!("BEGIN; SELECT FROM preview_sessions WHERE id = '{locked}' FOR UPDATE");
    writer.batch_execute(&lock).await.unwrap();
    let drained = presence.drain(Duration::from_secs(4)).await.unwrap();
    assert!(!drained.is_empty);
    assert_eq!(drained.released.len(), 6_000);
    assert!(drained.released.iter().all(|one| one.proven));
    let drain = presence.drain(LONG);
    let unlock = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        writer.batch_execute("COMMIT").await.unwrap();
    };
    let (drained, ()) = tokio::join!(drain, unlock);
    let drained = drained.unwrap();
    assert!(drained.is_empty);
    assert_eq!(drained.released[0].session.as_uuid(), Some(&locked));
    assert!(drained.released[0].proven);
}

#[tokio::test]
async fn what_another_process_owns_is_not_drained() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
    let before = old.present().await;
    let _after = young.present().await;
    let began = std::time::Instant::now();
    before.drain(LONG).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 1, None));
    assert_eq!(young.read(id).await.owner_status(), OwnerStatus::Alive);
}
