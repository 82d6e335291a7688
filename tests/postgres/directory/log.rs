//! What presence says in the log.

use tower_ownership::NodeState;

use super::{Process, me, migrated};
use crate::support::log::{Log, logged};
use crate::support::postgres::Cluster;
use crate::support::until_async;

/// The events of presence so far, each with its level.
fn events(log: &Log) -> Vec<String> {
    let text = log.text();
    let events = text.lines().filter_map(|line| {
        let (before, event) = line.split_once(" tower_ownership::heartbeat: ")?;
        let level = before.split_whitespace().next_back()?;
        Some(format!("{level} {event}"))
    });
    events.collect()
}

/// Those that begin like this.
fn with(log: &Log, begin: &str) -> Vec<String> {
    let events = events(log).into_iter();
    events.filter(|event| event.starts_with(begin)).collect()
}

#[test]
fn an_outage_is_told_once_and_its_end_too() {
    let log = logged("info", async |_| {
        let cluster = Cluster::private();
        let database = cluster.database().await;
        database.incident_table().await;
        let process = Process::of("m1", &database);
        process.directory.migrate().await.unwrap();
        let presence = process.present().await;
        for _ in 0..2 {
            cluster.stop();
            until_async("beats fail", async || presence.health().failures >= 3).await;
            cluster.start();
            until_async("beats arrive", async || presence.health().state.is_alive()).await;
        }
    });
    let events = events(&log);
    let levels: Vec<&str> = events
        .iter()
        .filter_map(|event| event.split(' ').next())
        .collect();
    assert_eq!(levels, ["WARN", "INFO", "WARN", "INFO"], "{events:#?}");
    assert!(events[0].contains("beats do not arrive"), "{events:#?}");
    assert!(events[0].contains("machine=\"m1\""), "{events:#?}");
    assert!(events[0].contains("cause="), "{events:#?}");
    assert!(events[1].contains("beats arrive again"), "{events:#?}");
    assert!(events[1].contains("failures="), "{events:#?}");
}

#[test]
fn both_of_two_processes_say_that_they_are_two() {
    let mut boot_ids = Vec::new();
    let log = logged("info", async |log| {
        let database = migrated().await;
        let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
        let before = old.present().await;
        let after = young.present().await;
        // For as long as both are there.
        until_async("each has said so three times", async || {
            ["it was there before", "this one has stopped"]
                .iter()
                .all(|who| {
                    let events = events(log);
                    events.iter().filter(|event| event.contains(who)).count() >= 3
                })
        })
        .await;
        boot_ids = vec![before.boot_id(), after.boot_id()];
        drop(before);
        until_async("the younger is alone", async || !after.health().rival).await;
        assert_eq!(young.node.state(), NodeState::Serving);
    });
    let events = events(&log);
    for event in &events {
        assert!(event.starts_with("ERROR "), "{event}");
        assert!(event.contains("code=\"duplicate-identity\""), "{event}");
        let is_old = event.contains("this one has stopped");
        let (old, young) = (boot_ids[0], boot_ids[1]);
        let processes = if is_old {
            format!("{old} other_boot_id={young}")
        } else {
            young.to_string()
        };
        let said = format!("boot_id={processes} pid={}", std::process::id());
        assert!(event.contains(&said), "{said} in {event}");
        assert!(event.contains("machine=\"m1\""), "{event}");
    }
}

#[test]
fn a_machine_that_was_declared_gone_says_so_once() {
    let log = logged("info", async |_| {
        let database = migrated().await;
        let process = Process::of("m1", &database);
        let _present = process.present().await;
        process.directory.declare_gone(&me("m1")).await.unwrap();
        until_async("it has stopped", async || {
            process.node.state() == NodeState::Removed
        })
        .await;
    });
    let told = with(&log, "ERROR an operator declared this machine gone");
    assert_eq!(told.len(), 1, "{:#?}", events(&log));
}

#[test]
fn a_failed_registration_is_told_once_per_cause() {
    let log = logged("info", async |_| {
        let database = crate::support::database::Database::fresh().await;
        database.incident_table().await;
        let process = Process::of("m1", &database);
        let start = || process.directory.heartbeat().start(&process.node);
        for _ in 0..3 {
            start().await.unwrap_err();
        }
        process.directory.migrate().await.unwrap();
        database
            .execute(
                "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
                 CREATE TRIGGER no BEFORE INSERT ON ownership_machines
                     FOR EACH ROW EXECUTE FUNCTION no()",
            )
            .await;
        for _ in 0..3 {
            start().await.unwrap_err();
        }
    });
    let events = events(&log);
    let told = with(&log, "WARN this machine cannot be registered");
    assert_eq!((told.len(), events.len()), (2, 2), "{events:#?}");
    assert!(told[0].contains("ownership_fleet"), "{told:#?}");
    assert!(told[1].contains("not today"), "{told:#?}");
}

#[test]
fn beats_that_fail_for_half_the_silence_are_an_error() {
    let log = logged("info", async |log| {
        let database = migrated().await;
        let lookup = super::builder(&database).lost_after(std::time::Duration::from_secs(2));
        let freshness = tower_ownership::CachePolicy::new();
        let process = Process::with("m1", lookup, freshness);
        let presence = process.present().await;
        let refuse =
            "ALTER TABLE ownership_machines ADD CONSTRAINT no CHECK (beat_at < now()) NOT VALID";
        database.execute(refuse).await;
        until_async("it is urgent", async || !with(log, "ERROR").is_empty()).await;
        assert!(presence.health().last_beat >= std::time::Duration::from_secs(1));
        database
            .execute("ALTER TABLE ownership_machines DROP CONSTRAINT no")
            .await;
        until_async("beats arrive", async || presence.health().state.is_alive()).await;
    });
    let told = with(&log, "ERROR no beat has arrived for 1 s");
    assert_eq!(told.len(), 1, "{:#?}", events(&log));
    assert!(told[0].contains("violates check constraint"), "{told:#?}");
}
