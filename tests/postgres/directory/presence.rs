//! Beats.

use tower_ownership::{
    NodeState, OwnerStatus, SessionId, SessionLookup as _,
    ownership::{HeartbeatError, HeartbeatState},
};

use super::{BEAT, Process, builder, me, migrated, one, owned_by};
use crate::support::postgres::Cluster;
use crate::support::until_async;

#[tokio::test]
async fn a_machine_tells_what_it_is() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process
        .directory
        .heartbeat()
        .app("shop")
        .region("fra")
        .version("1.2");
    let presence = presence.start(&process.node).await.unwrap();
    let row = database
        .client()
        .await
        .query_one(
            "SELECT machine_id, boot_id, app, region, version, address FROM ownership_machines",
            &[],
        )
        .await
        .unwrap();
    let text = |column: usize| row.get::<_, Option<String>>(column).unwrap_or_default();
    assert_eq!(
        [text(0), text(2), text(3), text(4), text(5)],
        ["m1", "shop", "fra", "1.2", ""]
    );
    assert_eq!(row.get::<_, uuid::Uuid>(1), presence.boot_id());
    assert!(presence.health().state.is_alive());
}

#[tokio::test]
async fn beats_touch_no_session_and_are_one_small_update_each() {
    let database = migrated().await;
    for _ in 0..10 {
        owned_by(&database, "m1").await;
    }
    let process = Process::of("m1", &database);
    let _present = process.present().await;
    let stat = "SELECT COALESCE(sum(seq_scan + COALESCE(idx_scan, 0) + n_tup_upd), 0)::bigint
         FROM pg_stat_user_tables WHERE relname = 'preview_sessions'";
    let before: i64 = one(&database, stat).await;
    let beats = "UPDATE \"ownership_machines\" SET beat_at";
    let begun = database.statements_with(beats);
    until_async("ten beats", async || {
        database.statements_with(beats) >= begun + 10
    })
    .await;
    drop(process);
    until_async("the server has counted", async || {
        let done: i64 = one(
            &database,
            "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'ownership_machines'",
        )
        .await;
        done >= 9
    })
    .await;
    assert_eq!(one::<i64>(&database, stat).await, before);
}

#[tokio::test]
async fn a_machine_that_was_declared_gone_stops_and_does_not_start_again() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    assert!(process.directory.declare_gone(&me("m1")).await.unwrap());
    let stranger = process.directory.declare_gone(&me("stranger")).await;
    assert!(!stranger.unwrap());
    until_async("it is gone", async || {
        process.node.state() == NodeState::Removed
    })
    .await;
    until_async("it says so", async || {
        matches!(presence.health().state, HeartbeatState::Removed)
    })
    .await;
    let again = Process::of("m1", &database);
    let presence = again.directory.heartbeat().start(&again.node);
    let error = presence.await.unwrap_err();
    assert!(
        matches!(error, HeartbeatError::DeclaredGone { .. }),
        "{error:?}"
    );
    assert!(error.is_final());
    assert!(error.to_string().contains("readmit"), "{error}");
    assert!(again.directory.readmit(&me("m1")).await.unwrap());
    let _present = again.present().await;
    assert_eq!(again.node.state(), NodeState::Serving);
    assert_eq!(process.node.state(), NodeState::Removed);
}

#[tokio::test]
async fn a_row_that_somebody_deleted_comes_back() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    database.execute("DELETE FROM ownership_machines").await;
    database
        .eventually("SELECT count(*) = 1 FROM ownership_machines")
        .await;
    let boot_id: uuid::Uuid = one(&database, "SELECT boot_id FROM ownership_machines").await;
    assert_eq!(boot_id, presence.boot_id());
    assert_eq!(process.node.state(), NodeState::Serving);
}

#[tokio::test]
async fn beats_outlive_a_database_that_is_away() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    let presence = process.present().await;
    cluster.stop();
    until_async("beats fail", async || presence.health().failures >= 2).await;
    let health = presence.health();
    assert!(
        matches!(health.state, HeartbeatState::Failing { .. }),
        "{health:?}"
    );
    assert!(health.last_beat > BEAT, "{health:?}");
    cluster.start();
    until_async("beats arrive", async || presence.health().state.is_alive()).await;
    assert_eq!(presence.health().failures, 0);
    assert_eq!(process.node.state(), NodeState::Serving);
}

#[tokio::test]
async fn dropping_it_ends_the_beats_and_leaves_nothing() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    drop(process.present().await);
    let left: bool = one(
        &database,
        "SELECT left_at IS NOT NULL FROM ownership_machines",
    )
    .await;
    assert!(!left);
    // The machine beats no more, and another one does.
    let other = Process::of("m2", &database);
    let _present = other.present().await;
    let brief = builder(&database).lost_after(10 * BEAT).build().unwrap();
    let id = SessionId::new(owned_by(&database, "m1").await);
    until_async("it is lost", async || {
        let found = brief.session(id.clone()).await.unwrap().unwrap();
        found.owner_status() == OwnerStatus::Lost
    })
    .await;
}

#[tokio::test]
async fn beats_get_past_claims_and_releases_that_hold_the_machines_row() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process.present().await;
    // As a claim does that takes its time.
    let claim = database.client().await;
    claim
        .batch_execute(
            "BEGIN; SELECT FROM ownership_machines WHERE machine_id = 'm1' FOR KEY SHARE",
        )
        .await
        .unwrap();
    let beats = "SELECT beat_at > now() FROM ownership_machines WHERE machine_id = 'm1'";
    let other = database.client().await;
    other.batch_execute("BEGIN").await.unwrap();
    until_async("it beats", async || {
        other.query_one(beats, &[]).await.unwrap().get(0)
    })
    .await;
    assert!(presence.health().state.is_alive());
    claim.batch_execute("COMMIT").await.unwrap();
}
