//! Heartbeats that depend on something that serves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::net::TcpListener;
use tower_ownership::{
    CachePolicy, OnLostOwner, health::Check, health::HealthCheck as _, ownership::HeartbeatState,
};

use super::{BEAT, F, Process, builder, migrated, owned_by};
use crate::support::database::Database;
use crate::support::until_async;

const LOST_AFTER: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(300);

fn process(machine: &str, database: &Database) -> Process {
    let lookup = builder(database).lost_after(LOST_AFTER).build().unwrap();
    Process::around(machine, lookup, |layer| {
        layer
            .cache_policy(CachePolicy::always_ask().owned(F))
            .on_lost_owner(OnLostOwner::TakeOver)
    })
}

#[tokio::test]
async fn a_machine_that_listens_no_more_loses_its_sessions() {
    let database = migrated().await;
    let (m1, m2) = (process("m1", &database), process("m2", &database));
    let id = owned_by(&database, "m1").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let presence = m1.directory.heartbeat().interval(BEAT).serves_at(address);
    let presence = presence.stops_after(PATIENCE);
    let presence = presence.start(&m1.node).await.unwrap();
    let _other = m2.present().await;
    // It beats although it accepts no connection.
    tokio::time::sleep(LOST_AFTER + PATIENCE).await;
    assert!(presence.health().state.is_alive());
    drop(listener);
    let closed = Instant::now();
    until_async("another machine serves it", async || {
        m2.answer(id).await == "epoch 2"
    })
    .await;
    let took = closed.elapsed();
    assert!(took >= PATIENCE + LOST_AFTER, "{took:?}");
    assert!(took < PATIENCE + LOST_AFTER + F * 2, "{took:?}");
    assert!(matches!(
        presence.health().state,
        HeartbeatState::Withheld { .. }
    ));
    assert!(!presence.health_check().check().is_ok());
    let _again = TcpListener::bind(address).await.unwrap();
    until_async("it beats again", async || {
        presence.health().state.is_alive()
    })
    .await;
}

#[tokio::test]
async fn beats_stop_only_after_a_check_fails_without_interruption() {
    let database = migrated().await;
    let m1 = process("m1", &database);
    let is_well = Arc::new(AtomicBool::new(true));
    let check = Arc::clone(&is_well);
    let check = move || {
        if check.load(Ordering::Relaxed) {
            Check::ok("it serves")
        } else {
            Check::failing("it does not")
        }
    };
    let presence = m1.directory.heartbeat().interval(BEAT).beats_while(check);
    let presence = presence.stops_after(PATIENCE);
    let presence = presence.start(&m1.node).await.unwrap();
    for _ in 0..4 {
        is_well.store(false, Ordering::Relaxed);
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(presence.health().state.is_alive());
        is_well.store(true, Ordering::Relaxed);
        tokio::time::sleep(BEAT * 3).await;
    }
    is_well.store(false, Ordering::Relaxed);
    until_async("it stops", async || !presence.health().state.is_alive()).await;
    is_well.store(true, Ordering::Relaxed);
    until_async("it goes on", async || presence.health().state.is_alive()).await;
}
