//! Connections that are lost, and say so.

use std::time::{Duration, Instant};

use tower_ownership::{
    CachePolicy,
    directory::{FeedError, FeedErrorKind},
    ownership::{Feed, FeedState},
    postgres::PostgresFeed,
};

use super::{Machine, PATIENCE, ask, becomes, give, is_down, layer, long, until, with_session};
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

#[tokio::test]
async fn what_changes_while_the_connection_is_lost_is_seen_after_it() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let machine = Machine::with("m1", &database, long(), |watch| watch.direct(direct)).await;
    assert_eq!(machine.ask(id).await, "served");

    relay.cut().await;
    let health = until(&machine.watch, is_down).await;
    assert_eq!(health.reconnects, 0);
    // Nothing is dropped because of it: the database may be down for everybody.
    assert_eq!(machine.layer.cache().len(), 1);
    give(&database, id, "m2").await;
    let refused =
        |health: &_| error(health).map(FeedError::kind) == Some(FeedErrorKind::Unreachable);
    until(&machine.watch, refused).await;
    assert_eq!(machine.ask(id).await, "served", "nobody could know");

    relay.restore().await;
    machine.becomes(id, "to m2").await;
    let health = until(&machine.watch, |health| health.state.is_listening()).await;
    assert_eq!(health.reconnects, 1);
    give(&database, id, "m1").await;
    machine.becomes(id, "served").await;
}

fn error(health: &tower_ownership::ownership::FeedHealth) -> Option<&FeedError> {
    match &health.state {
        FeedState::Down { error, .. } => Some(error),
        _ => None,
    }
}

#[tokio::test]
async fn without_it_the_freshness_bounds_hold() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let short = long().owned(Duration::from_millis(300));
    let machine = Machine::with("m1", &database, short, |watch| watch.direct(direct)).await;
    relay.cut().await;
    until(&machine.watch, is_down).await;
    assert_eq!(machine.ask(id).await, "served");
    let asked = Instant::now();
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    assert!(is_down(&machine.watch.health()));
}

#[tokio::test]
async fn what_changes_during_a_reconnect_is_seen() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m0", &database).await;
    for round in 1..=6_u32 {
        let before = machine.watch.health().reconnects;
        let owner = format!("m{round}");
        machine.ask(id).await;
        assert!(database.kill_backends().await > 0);
        // Somewhere between the loss and the first notification that arrives again. The waits grow,
        // because a server that throws us out again and again is no server to hurry back to.
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 20)).await;
        machine.ask(id).await;
        give(&database, id, &owner).await;
        machine.becomes(id, &format!("to {owner}")).await;
        until(&machine.watch, |health| {
            health.reconnects > before && health.state.is_listening()
        })
        .await;
    }
}

#[tokio::test]
async fn a_restarted_server_is_listened_to_again() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresFeed::MIGRATION).await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");

    cluster.stop();
    until(&machine.watch, is_down).await;
    assert_eq!(machine.ask(id).await, "served", "it is in the cache");
    cluster.start();
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    until(&machine.watch, |health| health.state.is_listening()).await;
    give(&database, id, "m3").await;
    machine.becomes(id, "to m3").await;
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    relay.cut().await;
    let lookup = lookup(&database);
    let layer = layer("m1", lookup.clone(), long());
    let watch = lookup
        .change_feed()
        .direct(database.url_through(relay.port()));
    let watch = watch.start(layer.cache()).unwrap();
    until(&watch, is_down).await;
    // The machine serves meanwhile.
    assert_eq!(ask(&layer, id).await, "served");
    give(&database, id, "m2").await;
    relay.restore().await;
    becomes(&layer, id, "to m2").await;
    assert_eq!(watch.health().reconnects, 0);
}

#[tokio::test]
async fn why_it_does_not_listen_is_told() {
    let (database, _) = with_session().await;
    let nowhere = database.url().replace(database.name(), "nowhere");
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let layer = layer("m1", lookup(&database), CachePolicy::new());
    let feed = PostgresFeed::builder(nowhere).build().unwrap();
    let watch = Feed::builder(feed)
        .on_change(move |health| drop(told.send(health.clone())))
        .start(layer.cache())
        .unwrap();
    let health = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
    let health = health.unwrap();
    let error = error(&health).unwrap();
    assert_eq!(error.kind(), FeedErrorKind::Unreachable);
    let cause = format!("{error:?}");
    assert!(cause.contains("does not exist"), "{cause}");
    assert!(is_down(&watch.health()));
    assert_eq!(watch.health().last_heard, None);
}
