//! A presence as a component of a machine's health.

use tower_ownership::health::HealthCheck as _;

use super::{Process, me, migrated};
use crate::support::postgres::Cluster;
use crate::support::until_async;

#[tokio::test]
async fn it_is_well_while_its_beats_arrive() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    let presence = process.present().await;
    let check = presence.health_check();
    assert!(check.check().is_ok());
    cluster.stop();
    until_async("beats fail", async || !presence.check().is_ok()).await;
    let reason = check.check().reason().to_owned();
    assert!(reason.contains("PostgreSQL"), "{reason}");
    assert!(!reason.contains("127.0.0.1"), "{reason}");
    cluster.start();
    until_async("beats arrive", async || check.check().is_ok()).await;
}

/// Without a request that fails, and without an audit.
#[tokio::test]
async fn a_running_process_misses_its_triggers() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process
        .directory
        .heartbeat()
        .interval(super::BEAT)
        .check_triggers_every(super::BEAT);
    let presence = presence.start(&process.node).await.unwrap();
    let misses = || presence.check().reason().contains("apply the migration");
    assert!(!misses());
    for (how, missing) in [("DISABLE", true), ("ENABLE", false)] {
        database
            .execute(&format!("ALTER TABLE preview_sessions {how} TRIGGER ALL"))
            .await;
        until_async(how, async || misses() == missing).await;
    }
    database
        .execute("ALTER TABLE preview_sessions DISABLE TRIGGER zz_tower_ownership_insert")
        .await;
    until_async("one is missed", async || misses()).await;
    assert_eq!(
        presence.health().missing_triggers,
        [r#"trigger "zz_tower_ownership_insert" of "preview_sessions" is disabled"#]
    );
    // All machines of the fleet see the same, and none of them should be taken out of service.
    assert!(presence.check().is_ok());
}

#[tokio::test]
async fn it_says_why_it_has_ended() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let left = process.present().await;
    let check = left.health_check();
    left.leave().await.unwrap();
    assert_eq!(check.check().reason(), "it has ended");
    let presence = process.present().await;
    process.directory.declare_gone(&me("m1")).await.unwrap();
    until_async("it is gone", async || !presence.check().is_ok()).await;
    let reason = presence.check().reason().to_owned();
    assert_eq!(reason, "this machine was declared gone");
}
