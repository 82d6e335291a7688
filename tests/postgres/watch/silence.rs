//! Connections that are lost without anybody saying so.

use std::time::{Duration, Instant};

use tower_ownership::{
    directory::FeedErrorKind,
    ownership::{Feed, FeedBuilder, FeedHealth, FeedState},
    postgres::{PostgresFeed, PostgresFeedBuilder},
};

use super::{Machine, give, is_down, layer, listening, long, until, with_session};
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;
use crate::support::until_async;

const HEARTBEAT: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_millis(300);

fn hasty(feed: PostgresFeedBuilder) -> PostgresFeedBuilder {
    feed.answer_timeout(DEADLINE)
        .connect_timeout(Duration::from_millis(500))
}

fn beating(feed: FeedBuilder<PostgresFeed>) -> FeedBuilder<PostgresFeed> {
    feed.heartbeat(HEARTBEAT).heartbeat_deadline(DEADLINE)
}

fn is_silent(health: &FeedHealth) -> bool {
    matches!(&health.state, FeedState::Down { error, .. } if error.kind() == FeedErrorKind::Silent)
}

/// A process that is stopped: its kernel takes what it has room for, and it reads nothing.
#[tokio::test]
async fn a_stopped_listener_holds_nothing_back_at_the_server() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let set =
        |watch: PostgresFeedBuilder| watch.direct(direct).send_timeout(Duration::from_secs(2));
    let _machine = Machine::with("m1", &database, long(), set).await;
    relay.black_hole().await;
    database
        .execute(
            "SELECT pg_notify('tower_ownership', '1 ' || gen_random_uuid())
             FROM generate_series(1, 300000)",
        )
        .await;
    let client = database.client().await;
    let waits = async || {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event = 'ClientWrite')";
        client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0)
    };
    until_async("its backend waits", waits).await;
    until_async("its backend is gone", async || !waits().await).await;
    // One statement each, since VACUUM takes no part in a transaction.
    for sql in [
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) AS n",
        "DELETE FROM t",
        "VACUUM t",
    ] {
        client.batch_execute(sql).await.unwrap();
    }
    let row = client.query_one("SELECT pg_relation_size('t')", &[]).await;
    assert_eq!(row.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_half_open_connection_is_found_and_replaced() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let set = |watch: PostgresFeedBuilder| hasty(watch.direct(direct));
    let machine = Machine::following("m1", &database, long(), set, beating).await;
    assert_eq!(machine.ask(id).await, "served");

    relay.black_hole().await;
    let lost = Instant::now();
    give(&database, id, "m2").await;
    until(&machine.watch, is_silent).await;
    let found = lost.elapsed();
    // And some, for a machine that is busy with other tests.
    assert!(
        found < HEARTBEAT + DEADLINE + Duration::from_secs(2),
        "{found:?}"
    );
    assert_eq!(machine.ask(id).await, "served", "nobody could know");

    relay.restore().await;
    machine.becomes(id, "to m2").await;
    until(&machine.watch, |health| health.state.is_listening()).await;
    give(&database, id, "m3").await;
    machine.becomes(id, "to m3").await;
}

/// Of several hosts, one of which accepts connections and never answers.
#[tokio::test]
async fn notifications_pass_over_a_frozen_host() {
    let (database, id) = with_session().await;
    let frozen = Relay::to(database.port()).await;
    frozen.black_hole().await;
    let (frozen, alive) = (frozen.port(), database.port());
    for (first, second, owner) in [(frozen, alive, "m2"), (alive, frozen, "m3")] {
        let direct = database.url_through(first);
        let direct = direct.replace(
            &format!(":{first}/"),
            &format!(":{first},127.0.0.1:{second}/"),
        );
        let set = |watch: PostgresFeedBuilder| hasty(watch.direct(direct));
        let machine = Machine::following("m1", &database, long(), set, beating).await;
        machine.ask(id).await;
        give(&database, id, owner).await;
        machine.becomes(id, &format!("to {owner}")).await;
    }
}

#[tokio::test]
async fn a_frozen_server_is_found_and_returned_to() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresFeed::MIGRATION).await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let machine = Machine::following("m1", &database, long(), hasty, beating).await;
    assert_eq!(machine.ask(id).await, "served");
    cluster.freeze();
    until(&machine.watch, is_down).await;
    assert_eq!(machine.ask(id).await, "served", "it is in the cache");
    cluster.thaw();
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    until(&machine.watch, |health| health.state.is_listening()).await;
}

#[tokio::test]
async fn a_quiet_channel_is_no_loss() {
    let (database, id) = with_session().await;
    let follow = |feed: FeedBuilder<PostgresFeed>| feed.heartbeat(Duration::from_millis(20));
    let machine = Machine::following("m1", &database, long(), |feed| feed, follow).await;
    assert_eq!(machine.ask(id).await, "served");
    let mut last = machine.watch.health().last_heard;
    let began = Instant::now();
    for _ in 0..20 {
        last = until(&machine.watch, |health| health.last_heard > last)
            .await
            .last_heard;
    }
    // The deadline of a heartbeat that was heard is no longer waited for.
    assert!(began.elapsed() < Duration::from_secs(10));
    let health = machine.watch.health();
    assert!(health.state.is_listening());
    assert_eq!(
        (health.changes, health.unreadable, health.reconnects),
        (0, 0, 0)
    );
    assert_eq!(machine.layer.cache().len(), 1);
    assert_eq!(database.statements_with("LISTEN"), 1);
}

#[tokio::test]
async fn a_fleet_shares_its_heartbeats() {
    const MACHINES: u32 = 8;
    const BEATS: u32 = 10;
    let (database, _) = with_session().await;
    let mut fleet = Vec::new();
    for number in 0..MACHINES {
        let layer = layer(&format!("m{number}"), lookup(&database), long());
        let feed = PostgresFeed::builder(database.url()).build().unwrap();
        let watch = Feed::builder(feed).heartbeat(HEARTBEAT);
        let watch = watch.start(layer.cache()).unwrap();
        listening(&watch).await;
        fleet.push(watch);
    }
    let before = database.statements_with("0 beat");
    let began = Instant::now();
    while began.elapsed() < HEARTBEAT * BEATS {
        tokio::time::sleep(HEARTBEAT).await;
    }
    let sent = u32::try_from(database.statements_with("0 beat") - before).unwrap();
    // Alone, each would send between one and two in the time of a heartbeat.
    let intervals = u32::try_from(began.elapsed().as_millis() / HEARTBEAT.as_millis()).unwrap();
    assert!(sent >= intervals / 2, "{sent} in {intervals}");
    assert!(sent <= intervals * MACHINES / 2, "{sent} in {intervals}");
    assert!(fleet.iter().all(|watch| watch.health().reconnects == 0));
}
