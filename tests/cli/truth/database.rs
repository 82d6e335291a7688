//! A database that gives no answer.

use tower_ownership::testing::FlyEdge;

use super::log::{Level, Line};
use super::machine::{Life, Told};
use super::place::{OWNER, Place, WRONG, migrated};
use crate::support::client::get;
use crate::support::postgres::Cluster;
use crate::support::until_async;

const BEATS: &str = "tower_ownership::heartbeat: beats do not arrive";
const WATCH: &str = "tower_ownership::feed: changes of sessions are not heard";

#[tokio::test]
async fn a_database_that_is_down() {
    let cluster = Cluster::private();
    let database = migrated(cluster.database().await).await;
    let place = Place::with(database, FlyEdge::builder()).await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    let before = machine.before().await;
    cluster.stop();
    // The beats and the watch notice by themselves.
    until_async("all parts notice", async || {
        let log = machine.container.log();
        log.contains(BEATS) && log.contains(WATCH)
    })
    .await;
    let answer = place.get(session).await;
    answer.is_refused(503, "lookup-unavailable");

    let told = machine.since(before).await;
    told.counted(&["reject/lookup-unavailable/miss +1"]);
    told.rose_by_one("lookup_duration_seconds_count{outcome=\"unavailable\"}");
    assert!(told.metrics.value("feed_listening").abs() < 0.5);
    assert!(told.rose("heartbeats_total{outcome=\"failed\"}") > 0.5);
    let refused = said(&told, "tower_ownership::verdict: ");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].has_code("lookup-unavailable"), "{refused:?}");
    refused[0].says("Connection refused");
    let beats = said(&told, BEATS);
    assert_eq!(beats.len(), 1, "{beats:?}");
    // The connection ended, and then there was none to be had.
    let watch = said(&told, WATCH);
    assert!((1..=2).contains(&watch.len()), "{watch:?}");
    let of_parts = refused.len() + beats.len() + watch.len();
    assert_eq!(said(&told, " tower_ownership").len(), of_parts);
    for line in beats.into_iter().chain(watch) {
        // Which one depends on whether the server was still taking its leave.
        let causes = ["Connection re", "FATAL: ", "connection closed"];
        let named = causes.iter().any(|cause| line.text.contains(cause));
        assert!(named, "no cause in {line:?}");
    }
    let parts = ["The directory cannot be asked from here: "];
    let doctor = place.doctor(session).await;
    doctor.could_not_look("directory-down", &parts);
}

/// The lines for an operator with this part.
fn said<'a>(told: &'a Told, part: &str) -> Vec<&'a Line> {
    let lines = told.lines.iter().filter(|line| line.text.contains(part));
    let aloud: Vec<_> = lines.filter(|line| line.is_aloud()).collect();
    let warnings = aloud.iter().all(|line| line.level == Level::Warn);
    assert!(warnings, "{aloud:#?}");
    aloud
}

#[tokio::test]
async fn a_table_that_is_locked() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    // Somebody migrates the table, and takes long.
    let mut client = place.database.client().await;
    let migration = client.transaction().await.unwrap();
    let lock = "LOCK TABLE preview_sessions IN ACCESS EXCLUSIVE MODE";
    migration.batch_execute(lock).await.unwrap();
    let before = machine.before().await;
    let answer = get(place.edge.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "lookup-unavailable");

    let told = machine.since(before).await;
    let line = told.one_line(Level::Warn, "lookup-unavailable");
    line.says("cause=");
    told.counted(&["reject/lookup-unavailable/miss +1"]);
    told.rose_by_one("lookup_duration_seconds_count{outcome=\"timeout\"}");
    let doctor = place.doctor(session).await;
    let parts = [
        "idle in transaction for",
        "locks \"preview_sessions\"",
        lock,
    ];
    doctor.says("database-locked", &parts);
    migration.rollback().await.unwrap();
}
