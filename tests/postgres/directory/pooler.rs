//! Everything through PgBouncer in transaction mode, which keeps two connections for all.

use std::time::{Duration, Instant};

use tower_ownership::{
    CachePolicy, NodeState, OwnerStatus, PostgresLookup, SessionDirectory as _, SessionId,
    directory::EndIf,
    postgres::{PostgresLookupBuilder, SessionFilter},
};

use super::race::{patient, race};
use super::{Process, machine, me, migrated, one, owned_by, row, unowned};
use crate::support::database::Database;
use crate::support::pgbouncer::PgBouncer;
use crate::support::{left_out, until_async};

/// One that refuses what a connection of ours asks for, and one that passes over it: behind that one
/// a prepared statement is not there any more.
async fn behind_each(what: &str, test: impl AsyncFn(Database, PostgresLookupBuilder)) {
    for ignored in ["", "options"] {
        let database = migrated().await;
        let Some(pooler) = PgBouncer::ignoring(&database, ignored) else {
            return left_out(what, "PgBouncer is not installed");
        };
        let builder = PostgresLookup::builder(pooler.url(&database)).ownership();
        test(database, builder).await;
    }
}

#[tokio::test]
async fn of_fifty_claims_one_wins() {
    behind_each("claims through PgBouncer", async |database, fleet| {
        let id = unowned(&database).await;
        let seen = Process::of("m0", &database).read(id).await;
        let winner = race(patient(fleet), &seen).await;
        assert_eq!(winner.1, 1);
    })
    .await;
}

#[tokio::test]
async fn the_life_of_an_ownership_is_the_same() {
    Box::pin(behind_each("ownerships through PgBouncer", lives)).await;
}

async fn lives(database: Database, fleet: PostgresLookupBuilder) {
    let process = |name| Process::with(name, fleet.clone(), CachePolicy::new());
    let (m1, m2) = (process("m1"), process("m2"));
    m1.directory.migrate().await.unwrap();
    let (here, there) = (m1.present().await, m2.present().await);
    let since = Instant::now();
    until_async("it beats", async || {
        here.health().last_beat < since.elapsed()
    })
    .await;

    let id = unowned(&database).await;
    let session = SessionId::new(id);
    assert_eq!(m1.claim(id).await.epoch(), Some(1));
    assert_eq!(m1.answer(id).await, "epoch 1");
    let released = m1.directory.release(&session, &m1.node).await;
    assert!(released.unwrap().unwrap().proven);
    assert_eq!(m2.claim(id).await.epoch(), Some(3));
    assert_eq!(m2.answer(id).await, "epoch 3");
    let assigned = m1.directory.assign(&session, &me("m1")).await.unwrap();
    assert_eq!((assigned.epoch, assigned.previous), (4, Some(me("m2"))));

    machine(&database, "lost", 60.0, "").await;
    // Only a machine that was heard all the while makes another one lost.
    database
        .execute("UPDATE ownership_machines SET steady_since = now() - interval '1 hour' WHERE machine_id <> 'lost'")
        .await;
    let lost = owned_by(&database, "lost").await;
    let audit = m2.directory.audit(10).await.unwrap().unwrap();
    assert_eq!(audit.findings.len(), 1, "{audit:?}");
    // The lock went with its transaction, whichever connection that was on.
    for _ in 0..10 {
        assert_eq!(m1.directory.audit(10).await.unwrap(), Some(audit.clone()));
    }
    let lost_owners = SessionFilter::OwnersAre(OwnerStatus::Lost);
    let listed = m2.directory.sessions(&lost_owners, 10).await.unwrap();
    assert_eq!(listed[0].id, SessionId::new(lost));
    assert_eq!(m2.directory.machines().await.unwrap().len(), 3);
    assert_eq!(m2.claim(lost).await.epoch(), Some(2));
    assert_eq!(
        m2.directory
            .end(SessionId::new(lost), EndIf::Any)
            .await
            .unwrap(),
        Some(2)
    );
    m2.directory.reap(Duration::ZERO, 10).await.unwrap();
    let left = "SELECT count(*) FROM preview_sessions WHERE ended_at IS NOT NULL";
    assert_eq!(one::<i64>(&database, left).await, 0);

    let drained = here.drain(Duration::from_secs(20)).await.unwrap();
    assert!(drained.is_empty && drained.released.len() == 1);
    assert_eq!(row(&database, id).await.1, 5);
    here.leave().await.unwrap();
    m2.directory.declare_gone(&me("m2")).await.unwrap();
    until_async("it stops", async || m2.node.state() == NodeState::Removed).await;
    drop(there);
}
