//! A watch as a component of a machine's health.

use std::time::Duration;

use tower_ownership::{
    OwnershipLayer,
    directory::Coverage,
    health::HealthCheck as _,
    ownership::{Feed, FeedBuilder},
    postgres::{PostgresFeed, PostgresFeedBuilder},
};

use super::{Machine, is_down, layer, listening, long, until, with_session};
use crate::support::free_port;
use crate::support::incident::lookup;
use crate::support::relay::Relay;

async fn failing(layer: &OwnershipLayer, watch: &Feed) -> Vec<String> {
    let health = layer.health().check("watch", watch.health_check()).build();
    let report = health.report().await;
    report.failing().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_trigger_that_goes_while_it_listens_is_missed() {
    let (database, _) = with_session().await;
    let often = Duration::from_millis(100);
    let set = |feed: PostgresFeedBuilder| feed.check_triggers_every(often);
    let follow = |feed: FeedBuilder<PostgresFeed>| feed.heartbeat(often);
    let machine = Machine::following("m1", &database, long(), set, follow).await;
    assert_eq!(machine.watch.health().coverage, Coverage::Complete);
    for (gone, back) in [
        (
            "DISABLE TRIGGER tower_ownership_change",
            "ENABLE TRIGGER tower_ownership_change",
        ),
        ("DISABLE TRIGGER ALL", "ENABLE TRIGGER ALL"),
    ] {
        for (how, has) in [(gone, false), (back, true)] {
            let sql = format!("ALTER TABLE preview_sessions {how}");
            database.execute(&sql).await;
            let is_complete = |coverage| coverage == Coverage::Complete;
            until(&machine.watch, |health| is_complete(health.coverage) == has).await;
            assert_eq!(machine.watch.check().is_ok(), has);
        }
    }
}

#[tokio::test]
async fn it_is_well_while_it_listens() {
    let (database, _) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let machine = Machine::with("m1", &database, long(), |watch| watch.direct(direct)).await;
    assert_eq!(failing(&machine.layer, &machine.watch).await, [""; 0]);
    relay.cut().await;
    until(&machine.watch, is_down).await;
    assert_eq!(failing(&machine.layer, &machine.watch).await, ["watch"]);
    relay.restore().await;
    listening(&machine.watch).await;
    assert_eq!(failing(&machine.layer, &machine.watch).await, [""; 0]);
}

#[tokio::test]
async fn its_check_outlives_it_and_says_that_it_has_ended() {
    let (database, _) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let check = machine.watch.health_check();
    assert!(check.check().is_ok());
    machine.watch.stop().await;
    assert_eq!(check.check().reason(), "it has ended");
}

#[tokio::test]
async fn what_is_said_names_no_host() {
    let (database, _) = with_session().await;
    let layer = layer("m1", lookup(&database), long());
    let port = free_port();
    let nowhere = format!("postgres://secret@127.0.0.1:{port}/app");
    let watch = PostgresFeed::builder(nowhere).start(layer.cache()).unwrap();
    until(&watch, is_down).await;
    let check = watch.check();
    assert_eq!(
        check.reason(),
        "no connection to PostgreSQL could be opened"
    );
    assert!(check.age().is_some());
}

#[tokio::test]
async fn a_table_without_its_triggers_is_not_well() {
    let database = super::Database::fresh().await;
    database.incident_table().await;
    let lookup = lookup(&database);
    let layer = layer("m1", lookup.clone(), long());
    let watch = lookup.change_feed().start(layer.cache()).unwrap();
    until(&watch, |health| {
        health.state.is_listening() && health.coverage != Coverage::Unknown
    })
    .await;
    assert!(!watch.check().is_ok(), "{:?}", watch.check());
}
