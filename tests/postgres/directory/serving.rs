//! What a layer answers while its machine joins, waits, gives up, and is superseded.

use std::time::{Duration, Instant};

use tower_ownership::{CachePolicy, NodeState, OnUnassigned, SessionId, ownership::HeartbeatError};
use uuid::Uuid;

use super::{F, Process, builder, migrated, owned_by, row};
use crate::support::database::Database;
use crate::support::until_async;

fn of(machine: &str, database: &Database) -> Process {
    let lookup = builder(database).build().unwrap();
    Process::around(machine, lookup, |layer| {
        let freshness = CachePolicy::new().owned(F);
        let layer = layer.cache_policy(freshness);
        layer.on_unassigned(OnUnassigned::Claim)
    })
}

/// A session that was taken from m2 while that may have been serving.
async fn moved_to_m1(database: &Database) -> Uuid {
    let id = owned_by(database, "m2").await;
    let sql = format!("UPDATE preview_sessions SET container_id = 'm1' WHERE id = '{id}'");
    database.execute(&sql).await;
    id
}

#[tokio::test]
async fn a_release_is_proven_by_who_has_waited_and_not_by_who_still_waits() {
    let database = migrated().await;
    let m1 = of("m1", &database);
    let _presence = m1.present().await;
    let (early, late) = (moved_to_m1(&database).await, moved_to_m1(&database).await);
    let began = Instant::now();
    assert_eq!(m1.answer(early).await, "session-moving");
    assert_eq!(m1.answer(late).await, "session-moving");
    let release = async |id| {
        let released = m1.directory.release(&SessionId::new(id), &m1.node).await;
        let released = released.unwrap().unwrap();
        (released.epoch, released.proven)
    };
    assert_eq!(release(early).await, (3, false));
    assert_eq!(row(&database, early).await, (None, 3, None));

    until_async("it has waited", async || {
        match m1.answer(late).await.as_str() {
            "session-moving" => false,
            answer => answer == "epoch 2" || panic!("{answer}"),
        }
    })
    .await;
    assert!(began.elapsed() >= F, "{:?}", began.elapsed());
    assert_eq!(release(late).await, (3, true));
    assert_eq!(row(&database, late).await, (None, 3, Some(3)));

    // The next one need not wait for it, and has to for whoever was before the other.
    let m3 = of("m3", &database);
    let _present = m3.present().await;
    assert_eq!(m3.answer(late).await, "epoch 4");
    assert_eq!(m3.answer(early).await, "session-moving");
    assert_eq!(m1.answer(late).await, "replay-not-honoured");
}

#[tokio::test]
async fn a_release_of_all_proves_as_much_as_each_alone() {
    let database = migrated().await;
    let m1 = of("m1", &database);
    let _presence = m1.present().await;
    let waited = moved_to_m1(&database).await;
    until_async("it has waited", async || {
        m1.answer(waited).await == "epoch 2"
    })
    .await;
    let waits = moved_to_m1(&database).await;
    assert_eq!(m1.answer(waits).await, "session-moving");
    let mut released: Vec<_> = m1
        .directory
        .release_all(&m1.node)
        .await
        .unwrap()
        .into_iter()
        .map(|one| (*one.session.as_uuid().unwrap(), one.epoch, one.proven))
        .collect();
    released.sort_by_key(|one| one.2);
    assert_eq!(released, [(waits, 3, false), (waited, 3, true)]);
}

#[tokio::test]
async fn who_waits_for_its_presence_serves_from_when_it_has_joined() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let with = |machine: &str, owned| {
        let lookup = builder(&database).build().unwrap();
        Process::around(machine, lookup, |layer| {
            let layer = layer.cache_policy(CachePolicy::new().owned(owned));
            layer.require_membership()
        })
    };
    let process = with("m1", 5 * F);
    assert_eq!(process.answer(id).await, "session-starting");
    assert_eq!(process.node.state(), NodeState::Joining);
    let _present = process.present().await;
    assert_eq!(process.answer(id).await, "epoch 1");

    let id = owned_by(&database, "m2").await;
    let other = with("m2", 8 * F);
    let presence = other.directory.heartbeat().start(&other.node);
    let error = presence.await.unwrap_err();
    assert!(
        matches!(error, HeartbeatError::FreshnessDiffers { .. }),
        "{error:?}"
    );
    assert_eq!(other.node.state(), NodeState::Joining);
    assert_eq!(other.answer(id).await, "session-starting");
}

#[tokio::test]
async fn the_older_of_two_processes_serves_nothing_two_beats_later_and_the_younger_soon_after() {
    const BEAT: Duration = Duration::from_secs(2);
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
    let present = async |process: &Process| {
        let presence = process.directory.heartbeat().interval(BEAT);
        presence.start(&process.node).await.unwrap()
    };
    let _before = present(&old).await;
    assert_eq!(old.answer(id).await, "epoch 1");
    let began = Instant::now();
    let _after = present(&young).await;
    until_async("the older has stopped", async || {
        old.node.state() == NodeState::Fenced
    })
    .await;
    assert!(began.elapsed() < 2 * BEAT, "{:?}", began.elapsed());
    assert_eq!(old.answer(id).await, "duplicate-identity");
    assert_eq!(young.answer(id).await, "session-moving");
    until_async("the younger is alone", async || young.node.is_alone()).await;
    assert_eq!(young.answer(id).await, "epoch 1");
}

#[tokio::test]
async fn a_release_that_fails_may_be_tried_again_and_the_session_stays_given_up() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    let _presence = process.present().await;
    assert_eq!(process.answer(id).await, "epoch 1");
    let writer = database.client().await;
    writer
        .batch_execute("BEGIN; UPDATE preview_sessions SET tier = 'x'")
        .await
        .unwrap();
    let session = SessionId::new(id);
    let release = process.directory.release(&session, &process.node);
    release.await.unwrap_err();
    assert_eq!(process.answer(id).await, "session-moving");
    writer.batch_execute("COMMIT").await.unwrap();
    // Though the row still says that it is the owner.
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 1, None));
    process.cache.forget_all();
    assert_eq!(process.answer(id).await, "session-moving");
    let released = process.directory.release(&session, &process.node).await;
    assert!(released.unwrap().unwrap().proven);
    let released = process.directory.release(&session, &process.node).await;
    assert_eq!(released.unwrap(), None);
    assert_eq!(process.answer(id).await, "session-unassigned");
    // Given to it again, it is another epoch.
    let again = process.directory.assign(&session, process.node.machine());
    assert_eq!(again.await.unwrap().epoch, 3);
    process.cache.forget_all();
    assert_eq!(process.answer(id).await, "epoch 3");
}
