//! What operators do in place of a machine.

use tower_ownership::{SessionDirectory as _, SessionId, SessionLookup as _, directory::EndIf};

use super::{Process, machine, me, migrated, owned_by, row};

const FLY: &str = "e2863555a91708";
const OTHER: &str = "148ed599c14189";

#[tokio::test]
async fn a_session_is_taken_from_the_owner_that_was_seen_and_from_no_other() {
    let database = migrated().await;
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 1.0, "").await;
    let process = Process::of(OTHER, &database);
    let id = owned_by(&database, FLY).await;
    let session = SessionId::new(id);
    let directory = &process.directory;
    let seen = directory.session(session.clone()).await.unwrap().unwrap();
    // Meanwhile it became the other machine's.
    directory.assign(&session, &me(OTHER)).await.unwrap();
    assert_eq!(directory.unassign(&seen).await.unwrap(), None);
    assert_eq!(row(&database, id).await.0.as_deref(), Some(OTHER));

    let seen = directory.session(session.clone()).await.unwrap().unwrap();
    let released = directory.unassign(&seen).await.unwrap().unwrap();
    assert_eq!(released.session, session);
    // Nothing proves that its owner has stopped.
    assert!(!released.proven);
    assert_eq!(directory.unassign(&seen).await.unwrap(), None);
    let unowned = directory.session(session).await.unwrap().unwrap();
    assert_eq!(unowned.owner(), None);
    assert_eq!(directory.unassign(&unowned).await.unwrap(), None);
}

#[tokio::test]
async fn a_rehearsal_returns_what_would_be_done_and_changes_nothing() {
    let database = migrated().await;
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 1.0, "").await;
    let process = Process::of(OTHER, &database);
    let session = SessionId::new(owned_by(&database, FLY).await);
    let directory = process.directory.clone().rehearsal();
    let before = directory.session(session.clone()).await.unwrap().unwrap();
    for _ in 0..2 {
        let assigned = directory.assign(&session, &me(OTHER)).await.unwrap();
        assert_eq!((assigned.epoch, assigned.previous), (2, Some(me(FLY))));
        assert!(directory.unassign(&before).await.unwrap().is_some());
        assert!(directory.declare_gone(&me(FLY)).await.unwrap());
        let ended = directory.end(session.clone(), EndIf::Any).await.unwrap();
        assert_eq!(ended, Some(1));
    }
    let after = directory.session(session).await.unwrap().unwrap();
    assert_eq!(after.owner(), before.owner());
    assert_eq!(after.epoch(), Some(1));
    assert!(
        !directory
            .machines()
            .await
            .unwrap()
            .iter()
            .any(|one| one.gone)
    );
}

#[tokio::test]
async fn the_lease_ttl_of_a_fleet_is_what_its_first_machine_wrote() {
    let database = migrated().await;
    let process = Process::of(FLY, &database);
    assert_eq!(process.directory.lease_ttl().await.unwrap(), None);
    database
        .execute("INSERT INTO ownership_fleet (freshness_ms) VALUES (7000)")
        .await;
    let ttl = process.directory.lease_ttl().await.unwrap().unwrap();
    assert_eq!(ttl.as_secs(), 7);
}
