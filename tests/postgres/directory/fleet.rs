//! One freshness for the whole fleet, and who may not start.

use std::time::Duration;

use tower_ownership::{CachePolicy, ownership::HeartbeatError};

use super::{Process, builder, migrated, one};
use crate::support::database::Database;

fn with(machine: &str, database: &Database, freshness: CachePolicy) -> Process {
    Process::with(machine, builder(database), freshness)
}

async fn refused(process: &Process) -> HeartbeatError {
    let presence = process.directory.heartbeat().start(&process.node);
    presence.await.unwrap_err()
}

#[tokio::test]
async fn a_machine_with_another_freshness_does_not_start() {
    let database = migrated().await;
    let _first = Process::of("m1", &database).present().await;
    let stored: i64 = one(&database, "SELECT freshness_ms FROM ownership_fleet").await;
    assert_eq!(stored, 5_000);
    let _same = Process::of("m2", &database).present().await;
    let longer = CachePolicy::new().owned(Duration::from_secs(8));
    let error = refused(&with("m3", &database, longer)).await;
    let HeartbeatError::FreshnessDiffers { ours, fleet } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (*ours, *fleet),
        (Duration::from_secs(8), Duration::from_secs(5))
    );
    assert!(error.is_final());
    let text = error.to_string();
    assert!(text.contains("8s") && text.contains("5s"), "{text}");
    let registered: i64 = one(&database, "SELECT count(*) FROM ownership_machines").await;
    assert_eq!(registered, 2);
}

#[tokio::test]
async fn of_many_that_start_at_once_all_agree() {
    let database = migrated().await;
    let processes: Vec<_> = (0..10)
        .map(|number| {
            let freshness = CachePolicy::new().owned(Duration::from_secs(3 + number % 2));
            with(&format!("m{number}"), &database, freshness)
        })
        .collect();
    let starts = processes
        .iter()
        .map(|process| process.directory.heartbeat().start(&process.node));
    let started = futures_util::future::join_all(starts).await;
    let began = started.iter().filter(|started| started.is_ok()).count();
    assert_eq!(began, 5);
    for error in started.iter().filter_map(|started| started.as_ref().err()) {
        assert!(
            matches!(error, HeartbeatError::FreshnessDiffers { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_machine_that_serves_stale_owned_sessions_does_not_start() {
    let database = migrated().await;
    let stale = CachePolicy::new().stale_owned_if_error(Duration::from_secs(1));
    let error = refused(&with("m1", &database, stale)).await;
    assert!(
        matches!(error, HeartbeatError::ServesStaleOwned),
        "{error:?}"
    );
    assert!(error.is_final());
}

#[tokio::test]
async fn a_machine_that_would_be_lost_between_two_beats_does_not_start() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let presence = process
        .directory
        .heartbeat()
        .interval(Duration::from_secs(8));
    let error = presence.start(&process.node).await.unwrap_err();
    assert!(
        matches!(error, HeartbeatError::TooSeldom { .. }),
        "{error:?}"
    );
    for presence in [
        process.directory.heartbeat().interval(Duration::ZERO),
        process.directory.heartbeat().timeout(Duration::ZERO),
    ] {
        let error = presence.start(&process.node).await.unwrap_err();
        assert!(matches!(error, HeartbeatError::Zero { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_that_fails_may_be_tried_again() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let process = Process::of("m1", &database);
    let error = refused(&process).await;
    assert!(!error.is_final(), "{error:?}");
    process.directory.migrate().await.unwrap();
    drop(process.present().await);
}
