//! What a recorder is told of the fleet.

use metrics::set_default_local_recorder;
use std::time::Duration;

use tower_ownership::{CachePolicy, PostgresLookup, health::Check};

use super::{BEAT, Process, migrated, owned_by};
use crate::support::counted::{count, recorder, value};
use crate::support::log::logged;
use crate::support::relay::Relay;
use crate::support::until_async;

#[tokio::test]
async fn beats_are_counted_by_whether_they_arrived_and_the_last_one_has_a_time() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    // The runtime has one thread, so everything that is done here is counted.
    let _guard = set_default_local_recorder(&recorder);
    let database = migrated().await;
    let relay = Relay::to(database.port()).await;
    let builder = PostgresLookup::builder(database.url_through(relay.port())).ownership();
    let process = Process::with("m1", builder, CachePolicy::new());
    let _present = process.present().await;
    let beats = |outcome: &str| {
        let name = format!(r#"heartbeats_total{{outcome="{outcome}"}}"#);
        count(&prometheus, &name)
    };
    let last = || value(&prometheus, "heartbeat_last_timestamp_seconds");
    // Before the first beat is due: a machine that never beats has to have a last beat, too.
    let registered = last();
    assert!(registered > 0.0);
    assert_eq!((beats("written"), beats("failed")), (0, 0));

    until_async("it beats", async || beats("written") > 2).await;
    assert!(last() > registered);

    relay.cut().await;
    until_async("beats fail", async || beats("failed") > 0).await;
    let written = beats("written");
    let silent = last();
    until_async("more beats fail", async || beats("failed") > 2).await;
    assert_eq!(beats("written"), written);
    assert!(
        (last() - silent).abs() < f64::EPSILON,
        "nothing was written"
    );

    relay.restore().await;
    until_async("it beats again", async || beats("written") > written).await;
    assert!(last() > silent);
}

#[tokio::test]
async fn the_sessions_that_a_machine_owns_are_counted_while_it_is_present() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    let _guard = set_default_local_recorder(&recorder);
    let database = migrated().await;
    let process = Process::of("m1", &database);
    owned_by(&database, "m1").await;
    owned_by(&database, "m2").await;
    let presence = process.directory.heartbeat().interval(BEAT);
    let presence = presence.count_sessions_every(BEAT);
    let present = presence.start(&process.node).await.unwrap();
    let owned = || value(&prometheus, "owned_sessions");
    let is = |count: &str| {
        let page = prometheus.render();
        page.contains(&format!("tower_ownership_owned_sessions {count}\n"))
    };
    until_async("one is counted", async || is("1")).await;
    owned_by(&database, "m1").await;
    until_async("two are counted", async || is("2")).await;
    let drained = present.drain(Duration::from_secs(10)).await.unwrap();
    assert!(drained.is_empty);
    assert!(owned() < 0.5);
}

#[test]
fn missing_triggers_are_logged_and_counted() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    let log = logged("tower_ownership::heartbeat=info", async |_| {
        let _guard = set_default_local_recorder(&recorder);
        let database = migrated().await;
        let process = Process::of("m1", &database);
        let presence = process.directory.heartbeat().interval(BEAT);
        let presence = presence.check_triggers_every(BEAT);
        let _present = presence.start(&process.node).await.unwrap();
        for (sql, is_missing) in [
            ("ALTER TABLE preview_sessions DISABLE TRIGGER ALL", true),
            ("ALTER TABLE preview_sessions ENABLE TRIGGER ALL", false),
            // As the usual rewrite of a table does.
            (
                "CREATE TABLE copy (LIKE preview_sessions INCLUDING ALL);
                 ALTER TABLE preview_sessions RENAME TO old; ALTER TABLE copy RENAME TO preview_sessions",
                true,
            ),
        ] {
            database.execute(sql).await;
            until_async(sql, async || (value(&prometheus, "triggers_missing") > 0.5) == is_missing).await;
        }
    });
    let text = log.text();
    let said = [
        "ERROR tower_ownership::heartbeat: ownership triggers are missing or disabled",
        "INFO tower_ownership::heartbeat: all ownership triggers are there again",
        "ERROR tower_ownership::heartbeat: ownership triggers are missing or disabled",
    ];
    for (line, said) in text.lines().zip(said) {
        assert!(line.contains(said), "{text}");
        assert!(
            !line.contains("ERROR")
                || line.contains(r#"finding="migration-partly" missing="trigger "#),
            "{text}"
        );
    }
    assert_eq!(text.lines().count(), said.len(), "{text}");
}

#[test]
fn beats_that_are_withheld_are_logged_and_counted() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    let log = logged("tower_ownership::heartbeat=info", async |_| {
        let _guard = set_default_local_recorder(&recorder);
        let database = migrated().await;
        let process = Process::of("m1", &database);
        let presence = process.directory.heartbeat().interval(BEAT);
        let presence = presence
            .beats_while(|| Check::failing("the port is closed"))
            .stops_after(BEAT);
        let _present = presence.start(&process.node).await.unwrap();
        until_async("beats are withheld", async || {
            count(&prometheus, r#"heartbeats_total{outcome="withheld"}"#) > 2
        })
        .await;
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let said = "ERROR tower_ownership::heartbeat: this machine does not serve, so it does not beat";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("the port is closed"), "{text}");
}
