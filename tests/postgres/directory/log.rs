//! What presence says in the log.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tokio::runtime::Builder;
use tower_ownership::NodeState;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use super::{Process, me, migrated};
use crate::support::postgres::Cluster;
use crate::support::until_async;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// The events of presence so far, each with its level.
    fn events(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let events = text.lines().filter_map(|line| {
            let (before, event) = line.split_once(" tower_ownership::presence: ")?;
            let level = before.split_whitespace().next_back()?;
            Some(format!("{level} {event}"))
        });
        events.collect()
    }

    fn with(&self, begin: &str) -> Vec<String> {
        let events = self.events().into_iter();
        events.filter(|event| event.starts_with(begin)).collect()
    }
}

/// Runs it on this thread alone, and writes down everything that is said meanwhile.
fn logged(run: impl AsyncFnOnce(&Log)) -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(run(&log));
    });
    log
}

#[test]
fn an_outage_is_told_once_and_its_end_too() {
    let log = logged(async |_| {
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
    let events = log.events();
    let levels: Vec<&str> = events
        .iter()
        .filter_map(|event| event.split(' ').next())
        .collect();
    assert_eq!(levels, ["WARN", "INFO", "WARN", "INFO"], "{events:#?}");
    assert!(events[0].contains("beats do not arrive"), "{events:#?}");
    assert!(events[0].contains("machine=\"m1\""), "{events:#?}");
    assert!(events[0].contains("error="), "{events:#?}");
    assert!(events[1].contains("beats arrive again"), "{events:#?}");
    assert!(events[1].contains("failures="), "{events:#?}");
}

#[test]
fn both_of_two_processes_say_that_they_are_two() {
    let log = logged(async |log| {
        let database = migrated().await;
        let (old, young) = (Process::of("m1", &database), Process::of("m1", &database));
        let before = old.present().await;
        let after = young.present().await;
        // For as long as both are there.
        until_async("each has said so three times", async || {
            ["it was there before", "this one has stopped"]
                .iter()
                .all(|who| {
                    let events = log.events();
                    events.iter().filter(|event| event.contains(who)).count() >= 3
                })
        })
        .await;
        drop(before);
        until_async("the younger is alone", async || !after.health().rival).await;
        assert_eq!(young.node.state(), NodeState::Serving);
    });
    let events = log.events();
    for event in &events {
        assert!(event.starts_with("ERROR "), "{event}");
        assert!(event.contains("code=\"duplicate-identity\""), "{event}");
        assert!(event.contains("machine=\"m1\""), "{event}");
    }
}

#[test]
fn a_machine_that_was_declared_gone_says_so_once() {
    let log = logged(async |_| {
        let database = migrated().await;
        let process = Process::of("m1", &database);
        let _present = process.present().await;
        process.directory.declare_gone(&me("m1")).await.unwrap();
        until_async("it has stopped", async || {
            process.node.state() == NodeState::Removed
        })
        .await;
    });
    let told = log.with("ERROR an operator declared this machine gone");
    assert_eq!(told.len(), 1, "{:#?}", log.events());
}

#[test]
fn a_failed_registration_is_told_once_per_cause() {
    let log = logged(async |_| {
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
    let events = log.events();
    let told = log.with("WARN this machine cannot be registered");
    assert_eq!((told.len(), events.len()), (2, 2), "{events:#?}");
    assert!(told[0].contains("ownership_fleet"), "{told:#?}");
    assert!(told[1].contains("not today"), "{told:#?}");
}

#[test]
fn beats_that_fail_for_half_the_silence_are_an_error() {
    let log = logged(async |log| {
        let database = migrated().await;
        let lookup = super::builder(&database).lost_after(std::time::Duration::from_secs(2));
        let freshness = tower_ownership::CachePolicy::new();
        let process = Process::with("m1", lookup, freshness);
        let presence = process.present().await;
        let refuse =
            "ALTER TABLE ownership_machines ADD CONSTRAINT no CHECK (beat_at < now()) NOT VALID";
        database.execute(refuse).await;
        until_async("it is urgent", async || !log.with("ERROR").is_empty()).await;
        assert!(presence.health().last_beat >= std::time::Duration::from_secs(1));
        database
            .execute("ALTER TABLE ownership_machines DROP CONSTRAINT no")
            .await;
        until_async("beats arrive", async || presence.health().state.is_alive()).await;
    });
    let told = log.with("ERROR no beat has arrived for 1 s");
    assert_eq!(told.len(), 1, "{:#?}", log.events());
    assert!(told[0].contains("violates check constraint"), "{told:#?}");
}
