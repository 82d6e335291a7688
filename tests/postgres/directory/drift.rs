//! Owners that change while the triggers are missing, disabled, or lost with a table.

use std::time::Duration;

use tower_ownership::SessionDirectory as _;
use tower_ownership::{
    CachePolicy, LookupErrorKind, PostgresDirectory, SessionId, SessionLookup as _,
};
use uuid::Uuid;

use super::{F, Process, builder, migrated, one, owned_by, row};
use crate::support::database::Database;

/// Ways to lose the triggers, of which each is documented or usual.
const LOST: [&str; 4] = [
    "ALTER TABLE preview_sessions DISABLE TRIGGER ALL",
    "DROP FUNCTION preview_sessions_tower_ownership_epoch, preview_sessions_tower_ownership CASCADE",
    "BEGIN; CREATE TABLE shadow (LIKE preview_sessions INCLUDING ALL);
     INSERT INTO shadow SELECT * FROM preview_sessions;
     ALTER TABLE preview_sessions RENAME TO old; ALTER TABLE shadow RENAME TO preview_sessions;
     COMMIT",
    // The writer, not the table.
    "ALTER ROLE postgres IN DATABASE DB SET session_replication_role = replica",
];

async fn lose(database: &Database, how: &str) {
    database.execute(&how.replace("DB", database.name())).await;
}

fn of(machine: &str, database: &Database) -> Process {
    Process::with(machine, builder(database), CachePolicy::new().owned(F))
}

async fn error(process: &Process, id: Uuid) -> (LookupErrorKind, String) {
    let error = process
        .lookup
        .session(SessionId::new(id))
        .await
        .unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn an_owner_without_an_epoch_is_served_by_no_machine() {
    for how in LOST {
        let database = migrated().await;
        let (m1, m2) = (of("m1", &database), of("m2", &database));
        let (_one, _two) = (m1.present().await, m2.present().await);
        let id = owned_by(&database, "m1").await;
        let stays = owned_by(&database, "m1").await;
        let leaves = owned_by(&database, "m2").await;
        assert_eq!(m1.answer(id).await, "epoch 1");
        assert_eq!(m2.answer(leaves).await, "epoch 1");
        lose(&database, how).await;
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}';
                 UPDATE preview_sessions SET container_id = 'm3' WHERE id = '{leaves}';
                 UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{leaves}'"
            ))
            .await;
        let born = owned_by(&database, "m2").await;
        // The owner before serves from what it has read, and no other machine does.
        assert_eq!(m1.answer(id).await, "epoch 1", "{how}");
        for new in [id, born] {
            assert_eq!(m2.answer(new).await, "directory-corrupt", "{how}");
            let (kind, text) = error(&m2, new).await;
            assert_eq!(kind, LookupErrorKind::Corrupt);
            assert!(text.contains("triggers were missing or disabled"), "{text}");
            assert!(text.contains("apply the migration"), "{text}");
        }
        m1.cache.forget_all();
        assert_eq!(m1.answer(id).await, "directory-corrupt", "{how}");
        // An owner that is the same again, and one that never changed.
        m2.cache.forget_all();
        assert_eq!(m2.answer(leaves).await, "epoch 1", "{how}");
        assert_eq!(m1.answer(stays).await, "epoch 1", "{how}");

        database
            .execute(&format!(
                "ALTER ROLE postgres IN DATABASE {} RESET ALL",
                database.name()
            ))
            .await;
        m1.directory.migrate().await.unwrap();
        assert_eq!(
            row(&database, id).await,
            (Some("m2".to_owned()), 2, None),
            "{how}"
        );
        assert_eq!(row(&database, born).await.1, 2, "{how}");
        assert_eq!(row(&database, stays).await.1, 1, "{how}");
        assert_eq!(row(&database, leaves).await.1, 1, "{how}");
        m2.cache.forget_all();
        assert_eq!(m2.answer(id).await, "session-moving", "{how}");
        tokio::time::sleep(F + Duration::from_millis(500)).await;
        assert_eq!(m2.answer(id).await, "epoch 2", "{how}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_over_whatever_its_epoch() {
    let database = migrated().await;
    let process = of("m1", &database);
    let id = owned_by(&database, "m1").await;
    lose(&database, LOST[0]).await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'm2', status = 'stopped'")
        .await;
    assert_eq!(process.answer(id).await, "session-over");
}

#[tokio::test]
async fn a_session_without_an_epoch_is_neither_claimed_nor_released() {
    let database = migrated().await;
    let process = of("m1", &database);
    let _presence = process.present().await;
    let id = owned_by(&database, "m2").await;
    let seen = process.read(id).await;
    super::machine(&database, "m2", 60.0, "").await;
    let mine = owned_by(&database, "m2").await;
    lose(&database, LOST[0]).await;
    database
        .execute(&format!(
            "UPDATE preview_sessions SET container_id = 'm1' WHERE id = '{mine}';
             UPDATE preview_sessions SET owner_epoch_of = 'm9' WHERE id = '{id}'"
        ))
        .await;
    let claim = process
        .directory
        .claim(seen, process.node.machine().clone());
    assert_eq!(claim.await.unwrap_err().kind(), LookupErrorKind::Corrupt);
    assert_eq!(row(&database, id).await.0.as_deref(), Some("m2"));
    let released = process.directory.release_all(&process.node).await.unwrap();
    assert!(released.is_empty(), "{released:?}");
    assert_eq!(row(&database, mine).await.0.as_deref(), Some("m1"));
}

#[tokio::test]
async fn a_proof_written_without_the_triggers_proves_nothing() {
    let database = migrated().await;
    let id = owned_by(&database, "z").await;
    database
        .execute(
            "UPDATE preview_sessions SET container_id = 'y';
             UPDATE preview_sessions SET container_id = 'a'",
        )
        .await;
    lose(&database, LOST[1]).await;
    // As `release` writes it.
    database
        .execute("UPDATE preview_sessions SET container_id = NULL, owner_released = 4")
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'b'")
        .await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'c'")
        .await;
    assert_eq!(row(&database, id).await, (Some("c".to_owned()), 6, None));
}

/// Nor where the owner is the same again, so that nothing shows.
#[tokio::test]
async fn a_proof_ahead_of_its_epoch_is_cleared() {
    let database = migrated().await;
    let id = owned_by(&database, "a").await;
    lose(&database, LOST[0]).await;
    database
        .execute(
            "UPDATE preview_sessions SET container_id = NULL, owner_released = 2;
             UPDATE preview_sessions SET container_id = 'a'",
        )
        .await;
    Process::of("a", &database)
        .directory
        .migrate()
        .await
        .unwrap();
    database
        .execute("UPDATE preview_sessions SET container_id = 'b'")
        .await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'c'")
        .await;
    assert_eq!(row(&database, id).await, (Some("c".to_owned()), 3, None));
}

#[tokio::test]
async fn any_write_of_a_row_heals_it_once_the_triggers_are_back() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    lose(&database, LOST[0]).await;
    database
        .execute(
            "UPDATE preview_sessions SET container_id = 'm2', owner_released = 1;
             ALTER TABLE preview_sessions ENABLE TRIGGER ALL;
             UPDATE preview_sessions SET tier = 'x'",
        )
        .await;
    assert_eq!(row(&database, id).await, (Some("m2".to_owned()), 2, None));
    let of: String = one(&database, "SELECT owner_epoch_of FROM preview_sessions").await;
    assert_eq!(of, "m2");
}
