//! Ends.

use tower_ownership::{
    CachePolicy, LookupErrorKind, SessionDirectory as _, SessionId, SessionStatus, directory::EndIf,
};
use uuid::Uuid;

use super::{Process, builder, me, migrated, one, owned_by, row, unowned};
use crate::support::incident::PreviewSession;
use crate::support::incident::columns;

fn by(machine: &str, epoch: u64) -> EndIf {
    let machine = me(machine);
    EndIf::Owner { machine, epoch }
}

#[tokio::test]
async fn a_session_ends_once_and_keeps_its_last_epoch() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let (owned, free) = (owned_by(&database, "m2").await, unowned(&database).await);
    for (id, epoch) in [(owned, 1), (free, 0)] {
        let ended = process.directory.end(SessionId::new(id), EndIf::Any).await;
        assert_eq!(ended.unwrap(), Some(epoch));
        assert_eq!(process.read(id).await.status(), SessionStatus::Over);
    }
    let at = "SELECT min(ended_at)::text FROM preview_sessions";
    let first: String = one(&database, at).await;
    let ended = process
        .directory
        .end(SessionId::new(owned), EndIf::Any)
        .await;
    assert_eq!(ended.unwrap(), Some(1));
    assert_eq!(one::<String>(&database, at).await, first);
    // It is nobody's to claim any more, and its owner stays written down.
    assert_eq!(process.claim(free).await.owner(), None);
    assert_eq!(
        row(&database, owned).await,
        (Some("m2".to_owned()), 1, None)
    );
    let unknown = process
        .directory
        .end(SessionId::new(Uuid::new_v4()), EndIf::Any)
        .await;
    assert_eq!(unknown.unwrap(), None);
}

#[tokio::test]
async fn a_previous_owner_does_not_end_its_successors_session() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let id = owned_by(&database, "m1").await;
    let session = SessionId::new(id);
    let take = format!("UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'");
    database.execute(&take).await;
    for (machine, epoch) in [("m1", 1), ("m1", 2), ("m2", 1), ("m2", u64::MAX)] {
        let ended = process
            .directory
            .end(session.clone(), by(machine, epoch))
            .await;
        assert_eq!(ended.unwrap(), None, "{machine} {epoch}");
        assert_eq!(process.read(id).await.status(), SessionStatus::Active);
    }
    for _ in 0..2 {
        let ended = process.directory.end(session.clone(), by("m2", 2)).await;
        assert_eq!(ended.unwrap(), Some(2));
        assert_eq!(process.read(id).await.status(), SessionStatus::Over);
    }
}

#[tokio::test]
async fn an_end_that_waits_for_the_row_is_fenced_by_what_it_finds() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let id = owned_by(&database, "m1").await;
    let moves = database.client().await;
    let take = format!("BEGIN; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'");
    moves.batch_execute(&take).await.unwrap();
    let ends = process.directory.end(SessionId::new(id), by("m1", 1));
    let commits = async {
        let waits = "SELECT count(*) = 1 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        database.eventually(waits).await;
        moves.batch_execute("COMMIT").await.unwrap();
    };
    let (ended, ()) = tokio::join!(ends, commits);
    assert_eq!(ended.unwrap(), None);
    assert_eq!(process.read(id).await.status(), SessionStatus::Active);
}

#[tokio::test]
async fn one_that_is_starting_ends_and_one_that_is_over_stays_as_it_is() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let mut session = PreviewSession::owned_by("m1");
    for (status, ended) in [("starting", 1), ("stopped", 0)] {
        (session.id, session.status) = (Uuid::new_v4(), status.to_owned());
        let id = database.insert(&session).await;
        let told = process.directory.end(SessionId::new(id), EndIf::Any).await;
        assert_eq!(told.unwrap(), Some(1));
        let sql = format!(
            "SELECT count(*) FROM preview_sessions WHERE id = '{id}' AND ended_at IS NOT NULL"
        );
        assert_eq!(one::<i64>(&database, &sql).await, ended, "{status}");
    }
}

#[tokio::test]
async fn without_a_column_for_the_end_the_status_says_it() {
    let database = migrated().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('active', 'done', 'failed');
             DROP INDEX preview_sessions_tower_ownership_owner;
             DROP FUNCTION preview_sessions_tower_ownership CASCADE;
             ALTER TABLE preview_sessions ALTER status TYPE state USING status::state",
        )
        .await;
    let id = owned_by_state(&database).await;
    let without = builder(&database).columns(columns("ended_at="));
    // Nobody said which word an enum has.
    let silent = Process::with("m1", without.clone(), CachePolicy::new());
    let error = silent
        .directory
        .end(SessionId::new(id), EndIf::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{error:?}");
    let told = without.over_statuses(["done", "failed"]);
    let told = Process::with("m1", told, CachePolicy::new());
    let ended = told
        .directory
        .end(SessionId::new(id), EndIf::Any)
        .await
        .unwrap();
    assert_eq!(ended, Some(1));
    let status: String = one(&database, "SELECT status::text FROM preview_sessions").await;
    assert_eq!(status, "done");
    assert_eq!(told.read(id).await.status(), SessionStatus::Over);
}

async fn owned_by_state(database: &crate::support::database::Database) -> Uuid {
    let insert = "INSERT INTO preview_sessions (id, status, container_id)
         VALUES (gen_random_uuid(), 'active', 'm1') RETURNING id";
    one(database, insert).await
}

#[tokio::test]
async fn where_nothing_can_say_it_that_is_said() {
    let database = migrated().await;
    let id = SessionId::new(owned_by(&database, "m1").await);
    let contradiction = builder(&database)
        .columns(columns("ended_at="))
        .active_statuses(["active", "ended"]);
    let nothing = builder(&database).columns(columns("ended_at=,status="));
    for builder in [contradiction, nothing] {
        let process = Process::with("m1", builder, CachePolicy::new());
        let error = process
            .directory
            .end(id.clone(), EndIf::Any)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
    }
}
