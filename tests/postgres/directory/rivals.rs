//! Two processes of one machine, and writes that arrive late.

use std::time::Duration;

use tower_ownership::{
    CachePolicy, NodeState, OnUnassigned, OwnerStatus, PostgresLookup, SessionId,
    ownership::HeartbeatState,
};
use uuid::Uuid;

use super::{Process, builder, migrated, owned_by, row, unowned};
use crate::support::{database::Database, relay::Relay, until_async};

/// A process of machine `m1`, in a fleet whose F is a second.
fn process(database: &Database) -> Process {
    let freshness = CachePolicy::new().owned(Duration::from_secs(1));
    Process::with("m1", builder(database), freshness)
}

#[tokio::test]
async fn the_older_of_two_processes_stops_serving_and_the_younger_hears_of_it() {
    let database = migrated().await;
    let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
    let before = old.present().await;
    let after = young.present().await;
    assert_ne!(before.boot_id(), after.boot_id());
    until_async("the older stops", async || {
        old.node.state() == NodeState::Fenced
    })
    .await;
    until_async("the younger hears", async || after.health().rival).await;
    assert!(matches!(before.health().state, HeartbeatState::Fenced));
    assert_eq!(young.node.state(), NodeState::Serving);
    assert!(after.health().state.is_alive());
    // Once the older is no more, the younger hears nothing.
    drop(before);
    until_async("the younger is alone", async || !after.health().rival).await;
}

#[tokio::test]
async fn after_a_restart_there_is_no_rival() {
    let database = migrated().await;
    let old = Process::of("m1", &database);
    drop(old.present().await);
    let young = Process::of("m1", &database);
    let after = young.present().await;
    until_async("a few beats", async || {
        after.health().last_beat < super::BEAT
    })
    .await;
    assert!(!after.health().rival);
    assert_eq!(young.node.state(), NodeState::Serving);
}

#[tokio::test]
async fn what_the_process_before_writes_is_refused() {
    let database = migrated().await;
    let (old, young) = (process(&database), process(&database));
    let mine = owned_by(&database, "m1").await;
    let free = unowned(&database).await;
    drop(old.present().await);
    let _after = young.present().await;

    let session = SessionId::new(mine);
    old.directory
        .release(&session, &old.node)
        .await
        .unwrap_err();
    assert_eq!(row(&database, mine).await, (Some("m1".to_owned()), 1, None));
    assert_eq!(old.claim(free).await.owner(), None);
    old.directory.release_all(&old.node).await.unwrap_err();
    assert_eq!(row(&database, mine).await, (Some("m1".to_owned()), 1, None));

    assert_eq!(young.claim(free).await.epoch(), Some(1));
    until_async("the younger is alone", async || young.node.is_alone()).await;
    let released = young.directory.release(&session, &young.node).await;
    assert!(released.unwrap().unwrap().proven);
}

#[tokio::test]
async fn a_read_tells_the_older_process_at_once_and_the_younger_waits_until_it_has_stopped() {
    let database = migrated().await;
    let (old, young) = (process(&database), process(&database));
    let mine = owned_by(&database, "m1").await;
    // Neither beats again while this runs.
    let seldom = async |process: &Process| process.directory.heartbeat().start(&process.node).await;
    let before = seldom(&old).await.unwrap();
    assert_eq!(old.answer(mine).await, "epoch 1");
    let _after = seldom(&young).await.unwrap();
    assert_eq!(young.answer(mine).await, "session-moving");

    assert_eq!(old.read(mine).await.owner_status(), OwnerStatus::Superseded);
    old.cache.forget_all();
    assert_eq!(old.answer(mine).await, "duplicate-identity");
    assert_eq!(old.node.state(), NodeState::Fenced);
    assert!(before.health().state.is_alive());

    assert_eq!(young.read(mine).await.owner_status(), OwnerStatus::Alive);
    until_async("the younger is alone", async || young.node.is_alone()).await;
    assert_eq!(young.answer(mine).await, "epoch 1");
}

#[tokio::test]
async fn what_a_process_gives_up_while_it_waits_for_the_one_before_is_no_proof() {
    let database = migrated().await;
    let (old, young) = (process(&database), process(&database));
    let one = owned_by(&database, "m1").await;
    owned_by(&database, "m1").await;
    drop(old.present().await);
    let _after = young.present().await;
    let session = SessionId::new(one);
    let released = young.directory.release(&session, &young.node);
    assert!(!released.await.unwrap().unwrap().proven);
    let released = young.directory.release_all(&young.node).await.unwrap();
    assert_eq!(released.len(), 1);
    assert!(!released[0].proven);
}

#[tokio::test]
async fn who_waits_for_the_process_before_claims_nothing_that_others_could_serve() {
    let database = migrated().await;
    let young = Process::around("m1", builder(&database).build().unwrap(), |layer| {
        let freshness = CachePolicy::always_ask().owned(Duration::from_secs(1));
        layer
            .cache_policy(freshness)
            .on_unassigned(OnUnassigned::Claim)
    });
    let free = unowned(&database).await;
    drop(process(&database).present().await);
    let _after = young.present().await;
    assert_eq!(young.answer(free).await, "session-starting");
    assert_eq!(row(&database, free).await.0, None);
    until_async("the younger is alone", async || young.node.is_alone()).await;
    assert_eq!(young.answer(free).await, "epoch 1");
}

#[tokio::test]
async fn nobody_waits_for_a_process_that_has_left() {
    let database = migrated().await;
    let (old, young) = (process(&database), process(&database));
    let mine = owned_by(&database, "m1").await;
    old.present().await.leave().await.unwrap();
    let _after = young.present().await;
    assert!(young.node.is_alone());
    assert_eq!(young.answer(mine).await, "epoch 1");
}

#[tokio::test]
async fn who_leaves_while_it_waits_for_the_one_before_leaves_the_wait_to_the_next() {
    let database = migrated().await;
    let [old, hasty, next, last] = std::array::from_fn(|_| process(&database));
    drop(old.present().await);
    hasty.present().await.leave().await.unwrap();
    let present = next.present().await;
    assert!(!next.node.is_alone());
    until_async("it is alone", async || next.node.is_alone()).await;
    present.leave().await.unwrap();
    let _present = last.present().await;
    assert!(last.node.is_alone());
}

#[tokio::test]
async fn a_process_that_begins_waits_for_a_release_on_its_way() {
    let database = migrated().await;
    let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
    let mine = owned_by(&database, "m1").await;
    let present = old.present().await;
    let boot_id = present.boot_id();
    drop(present);
    // As a release does that is not committed yet.
    let late = database.client().await;
    late.batch_execute(&format!(
        "BEGIN; SELECT FROM ownership_machines WHERE machine_id = 'm1' AND boot_id = '{boot_id}' FOR KEY SHARE;
         UPDATE preview_sessions SET container_id = NULL, owner_released = 2 WHERE id = '{mine}'"
    ))
    .await
    .unwrap();
    let error = young
        .directory
        .heartbeat()
        .start(&young.node)
        .await
        .unwrap_err();
    assert!(!error.is_final(), "{error:?}");
    late.batch_execute("COMMIT").await.unwrap();
    let _present = young.present().await;
    assert_eq!(young.read(mine).await.owner(), None);
}

#[tokio::test]
async fn attempts_to_register_are_of_one_process() {
    let database = migrated().await;
    let relay = Relay::to(database.port()).await;
    let lookup = PostgresLookup::builder(database.url_through(relay.port())).ownership();
    let freshness = CachePolicy::new().owned(Duration::from_secs(1));
    let process = Process::with("m1", lookup, freshness);
    let mine = owned_by(&database, "m1").await;
    let start = || process.directory.heartbeat().start(&process.node);
    // The answer to the first attempt is lost, and its write lands.
    database
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE INSERT ON ownership_machines
                 FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let lost = async {
        let sleeps = "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE wait_event = 'PgSleep' AND datname = current_database()";
        database.eventually(sleeps).await;
        relay.black_hole().await;
    };
    let (failed, ()) = tokio::join!(start(), lost);
    let error = failed.unwrap_err();
    assert!(!error.is_final(), "{error:?}");
    database
        .eventually("SELECT count(*) = 1 FROM ownership_machines")
        .await;
    relay.restore().await;
    let present = start().await.unwrap();
    // It waits for no other process.
    assert!(process.node.is_alone());
    assert_eq!(process.answer(mine).await, "epoch 1");
    let row: Uuid = super::one(&database, "SELECT boot_id FROM ownership_machines").await;
    assert_eq!(row, present.boot_id());
}

#[tokio::test]
async fn a_lost_row_lets_no_paused_process_serve_beside_a_younger_one() {
    let database = migrated().await;
    let (old, young) = (process(&database), process(&database));
    let mine = owned_by(&database, "m1").await;
    // Paused: it does not beat.
    let seldom = async |process: &Process| process.directory.heartbeat().start(&process.node).await;
    let _before = seldom(&old).await.unwrap();
    let _after = seldom(&young).await.unwrap();
    until_async("the younger is alone", async || young.node.is_alone()).await;
    assert_eq!(young.answer(mine).await, "epoch 1");
    database.execute("DELETE FROM ownership_machines").await;
    // The older one goes on, and reads a table that does not know of the younger one.
    assert_eq!(old.answer(mine).await, "session-moving");
    assert_eq!(young.answer(mine).await, "epoch 1");
    young.cache.forget_all();
    assert_eq!(young.answer(mine).await, "session-moving");
    // As with other machines in the table.
    super::machine(&database, "m2", 0.0, "").await;
    old.cache.forget_all();
    assert_eq!(old.answer(mine).await, "session-moving");
}

#[tokio::test]
async fn who_puts_its_row_back_waits_like_a_successor() {
    let database = migrated().await;
    let process = process(&database);
    let mine = owned_by(&database, "m1").await;
    let _present = process.present().await;
    assert_eq!(process.answer(mine).await, "epoch 1");
    database.execute("DELETE FROM ownership_machines").await;
    let back = "SELECT count(*) = 1 FROM ownership_machines WHERE took_over";
    database.eventually(back).await;
    until_async("it waits", async || !process.node.is_alone()).await;
    let since = std::time::Instant::now();
    assert_eq!(process.answer(mine).await, "session-moving");
    let session = SessionId::new(mine);
    let released = process.directory.release(&session, &process.node);
    assert!(!released.await.unwrap().unwrap().proven);
    let other = owned_by(&database, "m1").await;
    until_async("it serves again", async || {
        process.answer(other).await == "epoch 1"
    })
    .await;
    assert!(since.elapsed() > Duration::from_millis(800));
}
