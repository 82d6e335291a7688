//! Releases: what is proven, and what is not.

use tower_ownership::{NodeState, SessionId};
use uuid::Uuid;

use super::{Process, migrated, owned_by, row, unowned};
use crate::support::database::Database;

async fn set(database: &Database, id: Uuid, set: &str) {
    let sql = format!("UPDATE preview_sessions SET {set} WHERE id = '{id}'");
    database.execute(&sql).await;
}

#[tokio::test]
async fn the_first_owner_proves_its_release() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let _presence = process.present().await;
    let id = unowned(&database).await;
    process.claim(id).await;
    let released = process
        .directory
        .release(&SessionId::new(id), &process.node)
        .await;
    let released = released.unwrap().unwrap();
    assert_eq!(
        (released.session, released.epoch, released.proven),
        (SessionId::new(id), 2, true)
    );
    assert_eq!(row(&database, id).await, (None, 2, Some(2)));
}

#[tokio::test]
async fn so_does_an_owner_after_a_proven_release() {
    let database = migrated().await;
    let id = unowned(&database).await;
    for round in 0..3 {
        let process = Process::of(&format!("m{round}"), &database);
        let _presence = process.present().await;
        let claimed = process.claim(id).await;
        assert_eq!(claimed.epoch(), Some(2 * round + 1));
        let released = process
            .directory
            .release(&SessionId::new(id), &process.node)
            .await;
        assert!(released.unwrap().unwrap().proven);
    }
    assert_eq!(row(&database, id).await, (None, 6, Some(6)));
}

#[tokio::test]
async fn who_keeps_no_presence_proves_nothing_since_its_write_may_outlive_it() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    let session = SessionId::new(id);
    let released = process.directory.release(&session, &process.node).await;
    assert!(!released.unwrap().unwrap().proven);
    assert_eq!(row(&database, id).await, (None, 2, None));
}

#[tokio::test]
async fn who_has_not_waited_for_the_owner_before_proves_nothing() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let moved = owned_by(&database, "m2").await;
    set(&database, moved, "container_id = 'm1'").await;
    // Released by somebody who had not to wait, and then taken and moved by others.
    let stale = owned_by(&database, "m2").await;
    set(&database, stale, "container_id = NULL, owner_released = 2").await;
    set(&database, stale, "container_id = 'm3'").await;
    set(&database, stale, "container_id = 'm1'").await;
    // Taken away from its owner by somebody else, which is no release.
    let taken = owned_by(&database, "m2").await;
    set(&database, taken, "container_id = NULL").await;
    set(&database, taken, "container_id = 'm1'").await;
    for (id, epoch, released) in [(moved, 3, None), (stale, 5, Some(2)), (taken, 4, None)] {
        let answer = process
            .directory
            .release(&SessionId::new(id), &process.node)
            .await;
        let answer = answer.unwrap().unwrap();
        assert_eq!((answer.epoch, answer.proven), (epoch, false));
        assert_eq!(
            row(&database, id).await,
            (None, i64::try_from(epoch).unwrap(), released)
        );
    }
}

#[tokio::test]
async fn what_is_not_ones_own_is_left_alone() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    for id in [owned_by(&database, "m2").await, unowned(&database).await] {
        let before = row(&database, id).await;
        let released = process
            .directory
            .release(&SessionId::new(id), &process.node)
            .await;
        assert_eq!(released.unwrap(), None);
        assert_eq!(row(&database, id).await, before);
    }
    let unknown = SessionId::new(Uuid::new_v4());
    let released = process.directory.release(&unknown, &process.node).await;
    assert_eq!(released.unwrap(), None);
}

#[tokio::test]
async fn all_are_given_up_in_one_statement_each_with_the_proof_that_it_has() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let _presence = process.present().await;
    let (first, moved) = (
        owned_by(&database, "m1").await,
        owned_by(&database, "m2").await,
    );
    set(&database, moved, "container_id = 'm1'").await;
    let (others, over) = (
        owned_by(&database, "m2").await,
        owned_by(&database, "m1").await,
    );
    set(&database, over, "status = 'stopped'").await;
    let released = process.directory.release_all(&process.node).await.unwrap();
    let mut released: Vec<_> = released
        .into_iter()
        .map(|one| (*one.session.as_uuid().unwrap(), one.epoch, one.proven))
        .collect();
    released.sort();
    let mut expected = [(first, 2, true), (moved, 3, false)];
    expected.sort();
    assert_eq!(released, expected);
    assert_eq!(process.node.state(), NodeState::Draining);
    assert_eq!(
        row(&database, others).await,
        (Some("m2".to_owned()), 1, None)
    );
    assert_eq!(row(&database, over).await, (Some("m1".to_owned()), 1, None));
    let updates = database.statements_with("unnest($4");
    assert_eq!(updates, 1);
}
