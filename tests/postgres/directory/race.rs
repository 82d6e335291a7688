//! Many claims at once: one winner, of whom everybody is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tower_ownership::{
    LookupErrorKind, MachineId, Session, SessionDirectory as _, SessionId, SessionLookup as _,
    postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use super::{
    PostgresDirectory, Process, builder, machine, me, migrated, one, owned_by, row, unowned,
};
use crate::support::postgres::Cluster;
use crate::support::until_async;

/// Fifty machines claim it at once; returns who won.
pub(crate) async fn race(builder: PostgresLookupBuilder, seen: &Session) -> (MachineId, u64) {
    // A few processes, each with machines of its own: the server has a limit of connections.
    let directories: Vec<_> = (0..5)
        .map(|_| builder.clone().build().unwrap().directory().unwrap())
        .collect();
    let mut claims = JoinSet::new();
    for number in 0..50 {
        let (directory, seen) = (directories[number % 5].clone(), seen.clone());
        let machine = me(&format!("m{number}"));
        claims.spawn(async move {
            let claimed = directory.claim(seen, machine).await;
            claimed.unwrap().unwrap().session
        });
    }
    let told: BTreeSet<_> = claims
        .join_all()
        .await
        .into_iter()
        .map(|session| (session.owner().cloned().unwrap(), session.epoch().unwrap()))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    told.into_iter().next().unwrap()
}

pub(crate) fn patient(builder: PostgresLookupBuilder) -> PostgresLookupBuilder {
    let long = Duration::from_secs(20);
    builder.pool_timeout(long).query_timeout(long).timeout(long)
}

#[tokio::test]
async fn of_fifty_one_wins_and_all_are_told_whom() {
    let database = migrated().await;
    for round in 0..5 {
        let id = unowned(&database).await;
        let seen = Process::of("m0", &database).read(id).await;
        let winner = race(patient(builder(&database)), &seen).await;
        let (owner, epoch, _) = row(&database, id).await;
        assert_eq!(
            (owner.as_deref(), epoch),
            (Some(winner.0.as_str()), 1),
            "{round}"
        );
    }
}

#[tokio::test]
async fn of_fifty_one_takes_a_lost_owners_session() {
    let database = migrated().await;
    machine(&database, "lost", 60.0, "").await;
    machine(&database, "heard", 0.0, "").await;
    let id = owned_by(&database, "lost").await;
    let seen = Process::of("m0", &database).read(id).await;
    let winner = race(patient(builder(&database)), &seen).await;
    assert_eq!(winner.1, 2);
    assert_eq!(row(&database, id).await.1, 2);
}

#[tokio::test]
async fn a_claim_waits_for_who_writes_the_row_and_judges_what_they_left() {
    for keeps_presence in [false, true] {
        let database = migrated().await;
        let id = unowned(&database).await;
        let process = Process::with(
            "m1",
            patient(builder(&database)),
            tower_ownership::CachePolicy::new(),
        );
        let _present = if keeps_presence {
            Some(process.present().await)
        } else {
            None
        };
        let seen = process.read(id).await;
        let writer = database.client().await;
        writer
            .batch_execute("BEGIN; UPDATE preview_sessions SET container_id = 'm2'")
            .await
            .unwrap();
        let waits = "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let commits = async {
            database.eventually(waits).await;
            writer.batch_execute("COMMIT").await.unwrap();
        };
        let (found, ()) = futures_util::future::join(process.claim_as(seen), commits).await;
        assert_eq!((found.owner(), found.epoch()), (Some(&me("m2")), Some(1)));
    }
}

#[tokio::test]
async fn a_claim_that_waits_for_too_long_has_taken_nothing() {
    let database = migrated().await;
    let id = unowned(&database).await;
    let process = Process::of("m1", &database);
    let seen = process.read(id).await;
    let writer = database.client().await;
    writer
        .batch_execute("BEGIN; UPDATE preview_sessions SET tier = 'x'")
        .await
        .unwrap();
    let error = process.directory.claim(seen, me("m1")).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(row(&database, id).await, (None, 0, None));
}

/// Walks through the sessions and claims each, until it knows of every one whose it is.
async fn claim_all(
    process: &Process,
    ids: &[Uuid],
    failures: &AtomicU32,
) -> BTreeMap<Uuid, (MachineId, u64)> {
    let mut told = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while told.len() < ids.len() {
        assert!(Instant::now() < deadline, "{} of {}", told.len(), ids.len());
        for id in ids {
            if told.contains_key(id) {
                continue;
            }
            let began = Instant::now();
            let claimed = async {
                let seen = process.lookup.session(SessionId::new(*id)).await?.unwrap();
                let me = process.node.machine().clone();
                process.directory.claim(seen, me).await
            };
            let claimed = claimed.await;
            // Each of the two has 1.8 s; the rest is for a machine that is busy.
            assert!(began.elapsed() < Duration::from_secs(10));
            if let Ok(claimed) = claimed {
                let claimed = claimed.unwrap().session;
                let owner = claimed.owner().unwrap().clone();
                told.insert(*id, (owner, claimed.epoch().unwrap()));
            } else {
                failures.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_a_restart_of_the_database_interrupts_leave_one_owner() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
        .execute(
            "INSERT INTO preview_sessions (id, status)
             SELECT gen_random_uuid(), 'active' FROM generate_series(1, 500)",
        )
        .await;
    let ids = database.client().await;
    let ids = ids.query("SELECT id FROM preview_sessions", &[]).await;
    let ids: Arc<[Uuid]> = ids.unwrap().iter().map(|row| row.get(0)).collect();
    let failures = Arc::new(AtomicU32::new(0));
    let mut claimers = JoinSet::new();
    for number in 0..5 {
        let process = Process::of(&format!("m{number}"), &database);
        let (ids, failures) = (Arc::clone(&ids), Arc::clone(&failures));
        claimers.spawn(async move { claim_all(&process, &ids, &failures).await });
    }
    let some = "SELECT count(container_id) >= 50 FROM preview_sessions";
    database.eventually(some).await;
    let done: i64 = one(
        &database,
        "SELECT count(container_id) FROM preview_sessions",
    )
    .await;
    assert!(done < 500, "too late");
    tokio::task::block_in_place(|| cluster.stop());
    until_async("claims fail", async || failures.load(Ordering::Relaxed) > 0).await;
    tokio::task::block_in_place(|| cluster.start());
    let told = claimers.join_all().await;
    for id in &*ids {
        let (owner, epoch, released) = row(&database, *id).await;
        assert_eq!((epoch, released), (1, None));
        let owner = (me(&owner.unwrap()), 1);
        assert!(told.iter().all(|told| told[id] == owner), "{id}");
    }
}
