//! Assignments: to whom a session is given, and to whom not.

use tower_ownership::{LookupErrorKind, SessionId, postgres::AssignError};
use uuid::Uuid;

use super::{Process, machine, me, migrated, owned_by, row, unowned};
use crate::support::incident::PreviewSession;

#[tokio::test]
async fn whoever_owned_it_before_is_told() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let id = unowned(&database).await;
    let session = SessionId::new(id);
    for (machine, epoch, previous) in [
        ("m2", 1, None),
        ("m2", 1, Some(me("m2"))),
        ("m3", 2, Some(me("m2"))),
    ] {
        let assigned = process
            .directory
            .assign(&session, &me(machine))
            .await
            .unwrap();
        assert_eq!((assigned.epoch, assigned.previous), (epoch, previous));
    }
    assert_eq!(row(&database, id).await, (Some("m3".to_owned()), 2, None));
}

#[tokio::test]
async fn a_session_that_is_starting_may_be_assigned_and_one_that_is_over_not() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let mut session = PreviewSession::owned_by("unset");
    session.status = "provisioning".to_owned();
    let id = SessionId::new(database.insert(&session).await);
    process.directory.assign(&id, &me("m1")).await.unwrap();
    let set: [fn(&mut PreviewSession); 3] = [
        |session| session.status = "stopped".to_owned(),
        |session| session.expires_in = Some(-1.0),
        |session| session.ended_ago = Some(1.0),
    ];
    for set in set {
        let mut over = PreviewSession::owned_by("m2");
        set(&mut over);
        let id = database.insert(&over).await;
        let error = process
            .directory
            .assign(&SessionId::new(id), &me("m1"))
            .await
            .unwrap_err();
        assert!(matches!(error, AssignError::SessionOver), "{error}");
        assert_eq!(row(&database, id).await, (Some("m2".to_owned()), 1, None));
    }
    let unknown = SessionId::new(Uuid::new_v4());
    let error = process
        .directory
        .assign(&unknown, &me("m1"))
        .await
        .unwrap_err();
    assert!(matches!(error, AssignError::UnknownSession), "{error}");
}

#[tokio::test]
async fn a_machine_that_cannot_serve_is_given_nothing() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, "m1", 0.0, "").await;
    machine(&database, "draining", 0.0, ", draining = true").await;
    machine(&database, "silent", 16.0, "").await;
    machine(&database, "left", 0.0, ", left_at = now()").await;
    machine(&database, "gone", 0.0, ", gone_at = now()").await;
    let id = owned_by(&database, "m1").await;
    let session = SessionId::new(id);
    for (name, is_right) in [
        (
            "draining",
            (|error| matches!(error, AssignError::MachineDraining { .. })) as fn(&_) -> _,
        ),
        ("silent", |error| {
            matches!(error, AssignError::MachineLost { .. })
        }),
        ("left", |error| {
            matches!(error, AssignError::MachineLost { .. })
        }),
        ("gone", |error| {
            matches!(error, AssignError::MachineGone { .. })
        }),
        ("stranger", |error| {
            matches!(error, AssignError::MachineNeverSeen { .. })
        }),
    ] {
        let error = process
            .directory
            .assign(&session, &me(name))
            .await
            .unwrap_err();
        assert!(is_right(&error), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 1, None));
}

#[tokio::test]
async fn an_owner_that_cannot_be_one_is_replaced() {
    let database = migrated().await;
    let id = owned_by(&database, "not a machine").await;
    let process = Process::of("m1", &database);
    let assigned = process
        .directory
        .assign(&SessionId::new(id), &me("m1"))
        .await
        .unwrap();
    assert_eq!((assigned.epoch, assigned.previous), (2, None));
}

#[tokio::test]
async fn a_write_that_a_trigger_swallows_is_no_success() {
    let database = migrated().await;
    database
        .execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER a_swallows BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION swallow()",
        )
        .await;
    let id = owned_by(&database, "m2").await;
    let process = Process::of("m1", &database);
    let error = process
        .directory
        .assign(&SessionId::new(id), &me("m1"))
        .await
        .unwrap_err();
    let AssignError::Directory(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
}
