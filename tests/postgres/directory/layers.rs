//! Several layers of one process under one heartbeat.

use std::time::Duration;

use tower_ownership::{CachePolicy, NodeState, PostgresLookup, SessionId};

use super::{BEAT, Process, builder, migrated, owned_by, row};
use crate::support::database::Database;
use crate::support::until_async;

const LONG: Duration = Duration::from_secs(20);

fn freshness() -> CachePolicy {
    CachePolicy::new().owned(Duration::from_secs(1))
}

/// A layer of machine `m1` on this lookup.
fn layer(lookup: &PostgresLookup) -> Process {
    Process::around("m1", lookup.clone(), |layer| {
        layer.cache_policy(freshness())
    })
}

/// The same, which serves nothing before its presence has begun.
fn waiting_layer(lookup: &PostgresLookup) -> Process {
    Process::around("m1", lookup.clone(), |layer| {
        layer.cache_policy(freshness()).require_membership()
    })
}

fn lookup(database: &Database) -> PostgresLookup {
    builder(database).build().unwrap()
}

#[tokio::test]
async fn a_drain_stops_every_layer_of_the_machine() {
    let database = migrated().await;
    let shared = lookup(&database);
    let other = lookup(&database);
    let (first, second) = (layer(&shared), layer(&shared));
    let third = Process::around("m1", other.clone(), |layer| {
        layer.cache_policy(freshness()).node(&first.node)
    });
    let presence = first.directory.heartbeat().interval(BEAT);
    let presence = presence.start(&first.node).await.unwrap();
    let late = layer(&shared);
    let layers = [&first, &second, &third, &late];
    let id = owned_by(&database, "m1").await;
    for layer in layers {
        assert_eq!(layer.answer(id).await, "epoch 1");
    }
    let drained = presence.drain(LONG).await.unwrap();
    assert!(drained.released[0].proven);
    let next = Process::with("m2", builder(&database), freshness());
    let _present = next.present().await;
    next.claim(id).await;
    assert_eq!(next.answer(id).await, "epoch 3");
    for layer in layers.into_iter().chain([&layer(&shared), &layer(&other)]) {
        assert_eq!(layer.node.state(), NodeState::Draining);
        assert_ne!(layer.answer(id).await, "epoch 1");
    }
}

#[tokio::test]
async fn a_release_stops_every_layer_of_the_machine() {
    let database = migrated().await;
    let shared = lookup(&database);
    let (first, second) = (layer(&shared), layer(&shared));
    let _present = first.present().await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(second.answer(id).await, "epoch 1");
    // Of a layer that has never seen the session.
    let session = SessionId::new(id);
    let released = first.directory.release(&session, &first.node);
    assert!(released.await.unwrap().unwrap().proven);
    assert_ne!(second.answer(id).await, "epoch 1");
}

#[tokio::test]
async fn a_machine_that_is_gone_or_replaced_stops_every_layer() {
    let database = migrated().await;
    let shared = lookup(&database);
    let (first, second) = (waiting_layer(&shared), waiting_layer(&shared));
    assert_eq!(second.node.state(), NodeState::Joining);
    let _present = first.present().await;
    assert_eq!(second.node.state(), NodeState::Serving);
    let young = lookup(&database);
    let (young, its_second) = (layer(&young), layer(&young));
    let _young = young.present().await;
    for node in [&first.node, &second.node] {
        until_async("the older stops", async || {
            node.state() == NodeState::Fenced
        })
        .await;
    }
    let late = layer(&shared);
    assert_eq!(late.node.state(), NodeState::Fenced);
    // The younger one waits, by each of its layers, also by one that is built now.
    let late = layer(&young.lookup);
    for layer in [&young, &its_second, &late] {
        assert!(!layer.node.is_alone());
    }
    let gone = young.directory.declare_gone(&super::me("m1")).await;
    assert!(gone.unwrap());
    for layer in [&young, &its_second, &late] {
        until_async("it is gone", async || {
            layer.node.state() == NodeState::Removed
        })
        .await;
    }
}

#[tokio::test]
async fn a_layer_that_is_built_later_takes_over_a_pending_release() {
    let database = migrated().await;
    let shared = lookup(&database);
    let first = layer(&shared);
    let _present = first.present().await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(first.answer(id).await, "epoch 1");
    let writer = database.client().await;
    writer
        .batch_execute("BEGIN; UPDATE preview_sessions SET tier = 'x'")
        .await
        .unwrap();
    let session = SessionId::new(id);
    let released = first.directory.release(&session, &first.node);
    released.await.unwrap_err();
    let late = layer(&shared);
    assert_eq!(late.answer(id).await, "session-moving");
    // The heartbeat repeats it, so the session does not stay with a machine that refuses it.
    writer.batch_execute("COMMIT").await.unwrap();
    until_async("it is released", async || {
        row(&database, id).await == (None, 2, Some(2))
    })
    .await;
}
