//! Silence is judged only by machines that were heard meanwhile.

use std::time::{Duration, Instant};

use tower_ownership::{
    CachePolicy, OnLostOwner, OnUnassigned, OwnerStatus, PostgresDirectory, ownership::Heartbeat,
};
use uuid::Uuid;

use super::{F, Process, builder, machine, me, migrated, owned_by, row};
use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::until_async;

/// After this silence a machine of these tests is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Some two intervals of beats, and what a loaded host adds.
const SLACK: Duration = Duration::from_secs(2);

/// A process that takes over from lost owners.
fn process(machine: &str, database: &Database) -> Process {
    let lookup = builder(database).lost_after(LOST_AFTER).build().unwrap();
    Process::around(machine, lookup, |layer| {
        layer
            .cache_policy(CachePolicy::always_ask().owned(F))
            .on_lost_owner(OnLostOwner::TakeOver)
            .on_unassigned(OnUnassigned::Claim)
    })
}

async fn present(process: &Process) -> Heartbeat<PostgresDirectory> {
    let presence = process.directory.heartbeat().interval(LOST_AFTER / 5);
    presence.start(&process.node).await.unwrap()
}

/// Two machines that have been present for long enough to be witnesses, and 30 sessions of each.
struct Pair {
    machines: [Process; 2],
    presences: [Heartbeat<PostgresDirectory>; 2],
    sessions: Vec<Uuid>,
    database: Database,
}

impl Pair {
    async fn of(database: Database) -> Self {
        let machines = ["m1", "m2"].map(|id| process(id, &database));
        let presences = [present(&machines[0]).await, present(&machines[1]).await];
        let mut sessions = Vec::new();
        for index in 0..60 {
            sessions.push(owned_by(&database, ["m1", "m2"][index / 30]).await);
        }
        tokio::time::sleep(LOST_AFTER * 2).await;
        Self {
            machines,
            presences,
            sessions,
            database,
        }
    }

    /// Asks both machines for every session, again and again for `length`, and says how many
    /// answers were `owner-lost` or `session-moving`.
    async fn ask_for(&self, length: Duration) -> usize {
        let begun = Instant::now();
        let mut bad = 0;
        while begun.elapsed() < length {
            for id in &self.sessions {
                for machine in &self.machines {
                    let answer = machine.answer(*id).await;
                    bad += usize::from(answer == "owner-lost" || answer == "session-moving");
                }
            }
        }
        bad
    }

    /// Nothing moved, and nothing was refused as if it had.
    async fn nothing_moved(&self, what: &str) {
        let bad = self.ask_for(LOST_AFTER + SLACK).await;
        let sql = "SELECT count(*) FROM preview_sessions WHERE owner_epoch > 1";
        let moved: i64 = super::one(&self.database, sql).await;
        assert_eq!((moved, bad), (0, 0), "{what}");
        for presence in &self.presences {
            assert!(presence.health().state.is_alive(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_silent_owner_is_lost_only_if_a_witness_was_heard() {
    let database = migrated().await;
    let reader = Process::of("reader", &database);
    let id = owned_by(&database, "m1").await;
    for (owner, witness, steady, expected) in [
        // The owner beats.
        (1.0, 1.0, 60.0, OwnerStatus::Alive),
        (1.0, 60.0, 60.0, OwnerStatus::Alive),
        // Both are silent.
        (60.0, 60.0, 120.0, OwnerStatus::Silent),
        // The witness was heard again a moment ago, or for less than the silence.
        (60.0, 0.0, 0.0, OwnerStatus::Silent),
        (60.0, 1.0, 14.0, OwnerStatus::Silent),
        // It was heard for long enough, but not while the owner was silent.
        (16.0, 3.0, 60.0, OwnerStatus::Silent),
        (16.0, 0.5, 60.0, OwnerStatus::Lost),
        (60.0, 1.0, 17.0, OwnerStatus::Lost),
        // The clock was set back, and the owner has not beaten since.
        (-60.0, 1.0, 14.0, OwnerStatus::Silent),
        (-60.0, 1.0, 17.0, OwnerStatus::Lost),
        (-10.0, 1.0, 60.0, OwnerStatus::Alive),
        // Another one's beat is from before the clock was set back.
        (1.0, -60.0, 120.0, OwnerStatus::Alive),
        (60.0, -60.0, 120.0, OwnerStatus::Silent),
    ] {
        machine(&database, "m1", owner, "").await;
        let since = format!(", steady_since = now() - interval '{steady} s'");
        machine(&database, "m2", witness, &since).await;
        let case = format!("owner {owner}, witness {witness}, steady {steady}");
        assert_eq!(reader.read(id).await.owner_status(), expected, "{case}");
    }
}

#[tokio::test]
async fn a_machine_that_is_silent_itself_takes_over_nothing() {
    let database = migrated().await;
    let claimer = Process::of("m2", &database);
    let presence = claimer.directory.heartbeat();
    let _present = presence.start(&claimer.node).await.unwrap();
    machine(&database, "m1", 60.0, "").await;
    machine(&database, "witness", 0.0, "").await;
    let id = owned_by(&database, "m1").await;
    let silence = "UPDATE ownership_machines SET beat_at = now() - interval '20 s'
         WHERE machine_id = 'm2'";
    database.execute(silence).await;
    assert_eq!(claimer.claim(id).await.owner(), Some(&me("m1")));
    let heard = "UPDATE ownership_machines SET beat_at = now() WHERE machine_id = 'm2'";
    database.execute(heard).await;
    assert_eq!(claimer.claim(id).await.owner(), Some(&me("m2")));
}

#[tokio::test]
async fn an_outage_of_the_database_moves_no_session() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let pair = Pair::of(database).await;
    // Less than the bound of a gap, between it and the silence, just below it, and more.
    for outage in [0.45, 0.75, 0.95, 2.5] {
        cluster.stop();
        tokio::time::sleep(LOST_AFTER.mul_f64(outage)).await;
        cluster.start();
        pair.nothing_moved(&format!("an outage of {outage}")).await;
    }
    // A machine that dies meanwhile is found, a silence after the recovery.
    cluster.stop();
    let Pair {
        machines: [m1, m2],
        presences: [dies, _lives],
        sessions,
        database,
    } = pair;
    drop((dies, m1));
    tokio::time::sleep(LOST_AFTER * 2).await;
    cluster.start();
    let recovered = Instant::now();
    until_async("it is served by the other machine", async || {
        m2.answer(sessions[0]).await == "epoch 2"
    })
    .await;
    let took = recovered.elapsed();
    assert!(took > LOST_AFTER, "{took:?}");
    assert!(took < LOST_AFTER + F + SLACK, "{took:?}");
    assert_eq!(row(&database, sessions[0]).await.0.as_deref(), Some("m2"));
}

#[tokio::test]
async fn locks_and_a_clock_that_jumps_move_no_session() {
    let pair = Pair::of(migrated().await).await;
    // In the first, nothing can be read; in the second, only beats have to wait.
    for mode in ["ACCESS EXCLUSIVE", "SHARE"] {
        let locker = pair.database.client().await;
        let lock = format!("BEGIN; LOCK TABLE ownership_machines IN {mode} MODE");
        locker.batch_execute(&lock).await.unwrap();
        let bad = pair.ask_for(LOST_AFTER * 2).await;
        assert_eq!(bad, 0, "{mode}");
        locker.batch_execute("COMMIT").await.unwrap();
        pair.nothing_moved(mode).await;
    }
    for jump in ["- interval '20 s'", "+ interval '20 s'"] {
        let jumps = format!("UPDATE ownership_machines SET beat_at = beat_at {jump}");
        pair.database.execute(&jumps).await;
        pair.nothing_moved(jump).await;
    }
}

#[tokio::test]
async fn one_machine_alone_takes_over_from_a_dead_one() {
    let database = migrated().await;
    let (m1, m2) = (process("m1", &database), process("m2", &database));
    let id = owned_by(&database, "m1").await;
    let dying = present(&m1).await;
    let _lives = present(&m2).await;
    tokio::time::sleep(LOST_AFTER).await;
    drop(dying);
    let died = Instant::now();
    until_async("it is served by the other machine", async || {
        m2.answer(id).await == "epoch 2"
    })
    .await;
    let took = died.elapsed();
    assert!(took < LOST_AFTER + F + SLACK, "{took:?}");
}

#[tokio::test]
async fn new_machines_take_over_from_a_fleet_that_died() {
    let database = migrated().await;
    for dead in ["m1", "m2", "m3"] {
        machine(&database, dead, 60.0, "").await;
    }
    let id = owned_by(&database, "m1").await;
    let new = process("new", &database);
    let _present = present(&new).await;
    let registered = Instant::now();
    until_async("it is served by the new machine", async || {
        new.answer(id).await == "epoch 2"
    })
    .await;
    let took = registered.elapsed();
    assert!(took < LOST_AFTER + F + SLACK, "{took:?}");
}
