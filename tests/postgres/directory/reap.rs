//! What is deleted, and what is left.

use std::time::Duration;

use tower_ownership::{CachePolicy, OwnerStatus, SessionId};
use uuid::Uuid;

use super::{Process, builder, machine, migrated, one, owned_by, row};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::columns;

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn session(database: &Database, set: fn(&mut PreviewSession)) -> Uuid {
    let mut session = PreviewSession::owned_by("m1");
    set(&mut session);
    database.insert(&session).await
}

async fn sessions(database: &Database) -> i64 {
    one(database, "SELECT count(*) FROM preview_sessions").await
}

#[tokio::test]
async fn sessions_that_are_long_over_are_deleted_and_others_not() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let mut old = vec![
        session(&database, |session| session.ended_ago = Some(3_700.0)).await,
        session(&database, |session| session.expires_in = Some(-3_700.0)).await,
        session(&database, |session| {
            (session.status, session.ended_ago) = ("stopped".to_owned(), Some(3_700.0));
        })
        .await,
    ];
    session(&database, |_| {}).await;
    session(&database, |session| session.expires_in = None).await;
    session(&database, |session| session.ended_ago = Some(3_500.0)).await;
    session(&database, |session| session.expires_in = Some(-3_500.0)).await;
    // Nothing tells since when.
    session(&database, |session| session.status = "stopped".to_owned()).await;
    let reaped = process.directory.reap(HOUR, 100).await.unwrap();
    let mut deleted: Vec<Uuid> = reaped
        .sessions
        .iter()
        .map(|one| *one.session.as_uuid().unwrap())
        .collect();
    deleted.sort();
    old.sort();
    assert_eq!(deleted, old);
    assert!(reaped.sessions.iter().all(|one| one.epoch == 1));
    assert_eq!(sessions(&database).await, 5);
    // However long one may want to keep them.
    let reaped = process.directory.reap(Duration::MAX, 100).await.unwrap();
    assert_eq!((reaped.sessions.len(), reaped.machines.len()), (0, 0));
}

#[tokio::test]
async fn a_batch_is_no_larger_than_asked_for_and_passes_over_what_is_locked() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    for _ in 0..5 {
        session(&database, |session| session.ended_ago = Some(3_700.0)).await;
    }
    let locked = session(&database, |session| session.ended_ago = Some(3_700.0)).await;
    let writer = database.client().await;
    let lock = format!("BEGIN; UPDATE preview_sessions SET tier = 'x' WHERE id = '{locked}'");
    writer.batch_execute(&lock).await.unwrap();
    for (batch, left) in [(2, 4), (2, 2), (2, 1), (2, 1)] {
        let reaped = process.directory.reap(HOUR, batch).await.unwrap();
        assert!(reaped.sessions.len() <= batch);
        assert_eq!(sessions(&database).await, left);
    }
    writer.batch_execute("COMMIT").await.unwrap();
    let reaped = process.directory.reap(HOUR, 2).await.unwrap();
    assert_eq!(reaped.sessions[0].session, SessionId::new(locked));
    assert_eq!(process.directory.reap(HOUR, 0).await.unwrap().sessions, []);
}

#[tokio::test]
async fn a_session_that_another_table_refers_to_fails_the_batch() {
    let database = migrated().await;
    let id = session(&database, |session| session.ended_ago = Some(3_700.0)).await;
    database
        .execute(&format!(
            "CREATE TABLE logs (session uuid REFERENCES preview_sessions);
             INSERT INTO logs VALUES ('{id}')"
        ))
        .await;
    let process = Process::of("m1", &database);
    process.directory.reap(HOUR, 100).await.unwrap_err();
    assert_eq!(row(&database, id).await.1, 1);
}

#[tokio::test]
async fn machines_that_are_long_gone_and_own_nothing_are_forgotten() {
    let database = migrated().await;
    let process = Process::of("here", &database);
    for (name, ago, more) in [
        ("here", 1.0, ""),
        ("lost", 3_700.0, ""),
        ("recently", 3_500.0, ""),
        ("owns", 3_700.0, ""),
        ("left", 3_700.0, ", left_at = beat_at"),
        ("left-now", 3_700.0, ", left_at = now()"),
        ("gone", 3_700.0, ", gone_at = beat_at"),
        ("drained", 3_700.0, ", draining = true"),
        ("owned", 3_700.0, ""),
    ] {
        machine(&database, name, ago, more).await;
    }
    owned_by(&database, "owns").await;
    session(&database, |session| {
        (session.container_id, session.status) = (Some("owned".into()), "stopped".into());
    })
    .await;
    let mut machines = Vec::new();
    for _ in 0..3 {
        let reaped = process.directory.reap(HOUR, 2).await.unwrap();
        assert!(reaped.machines.len() <= 2);
        machines.extend(reaped.machines);
    }
    machines.sort();
    assert_eq!(machines, ["drained", "left", "lost", "owned"]);
}

#[tokio::test]
async fn a_machine_whose_session_is_starting_is_not_forgotten() {
    let database = migrated().await;
    let process = Process::of("here", &database);
    for name in ["creates", "created"] {
        machine(&database, name, 3_700.0, "").await;
    }
    machine(&database, "here", 1.0, "").await;
    let starting = session(&database, |session| {
        (session.container_id, session.status) = (Some("creates".into()), "creating".into());
    })
    .await;
    // Its life is over, so it is nothing to come back for.
    session(&database, |session| {
        (session.container_id, session.status) = (Some("created".into()), "creating".into());
        session.expires_in = Some(-60.0);
    })
    .await;
    let reaped = process.directory.reap(HOUR, 10).await.unwrap();
    assert_eq!(reaped.machines, ["created"]);
    assert_eq!(
        process.read(starting).await.owner_status(),
        OwnerStatus::Lost
    );
}

/// A machine that was away for so long that it was forgotten makes its row again.
#[tokio::test]
async fn a_machine_that_was_forgotten_comes_back() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    machine(&database, "heard", 0.0, "").await;
    // Of another process, so that no beat makes it young again meanwhile.
    database
        .execute(
            "UPDATE ownership_machines
             SET beat_at = now() - interval '1 day', boot_id = gen_random_uuid()
             WHERE machine_id = 'm1'",
        )
        .await;
    let other = Process::of("m2", &database);
    let reaped = other.directory.reap(HOUR, 10).await.unwrap();
    assert_eq!(reaped.machines, ["m1"]);
    database
        .eventually("SELECT count(*) = 2 FROM ownership_machines")
        .await;
    let boot_id = "SELECT boot_id FROM ownership_machines WHERE machine_id = 'm1'";
    let boot_id: Uuid = one(&database, boot_id).await;
    assert_eq!(boot_id, presence.boot_id());
}

#[tokio::test]
async fn a_table_that_tells_no_end_keeps_its_sessions() {
    let database = migrated().await;
    session(&database, |session| session.ended_ago = Some(3_700.0)).await;
    machine(&database, "lost", 3_700.0, "").await;
    machine(&database, "heard", 0.0, "").await;
    let endless = builder(&database).columns(columns("ended_at=,expires_at="));
    let process = Process::with("m1", endless, CachePolicy::new());
    let reaped = process.directory.reap(HOUR, 100).await.unwrap();
    assert_eq!((reaped.sessions.len(), reaped.machines.len()), (0, 1));
    assert_eq!(sessions(&database).await, 1);
}
