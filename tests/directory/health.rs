//! A presence as a component of a machine's health.

use tower_ownership::HealthCheck as _;

use crate::support::postgres::Cluster;
use crate::support::until_async;
use crate::{Process, me, migrated};

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
