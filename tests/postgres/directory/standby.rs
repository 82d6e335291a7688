//! A standby server: the library serves nothing by what it reads there.

use tokio::task::JoinSet;
use tower_ownership::{
    CachePolicy, LookupError, LookupErrorKind, PostgresLookup, SessionId, SessionLookup as _,
    postgres::PostgresVerifyError,
};
use uuid::Uuid;

use super::{F, PostgresDirectory, Process, machine, me, owned_by, row, unowned};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::log::logged;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;
use crate::support::until_async;

/// A primary with the incident's table, and a standby of it that has stopped to replay, so that it
/// lags behind.
struct Pair {
    database: Database,
    behind: Database,
    /// Held for their drop, the standby's first.
    _standby: Cluster,
    _primary: Cluster,
}

impl Pair {
    /// `before` runs before the standby stops to replay.
    async fn new(before: impl AsyncFnOnce(&Database)) -> Self {
        let primary = Cluster::private();
        let database = primary.database().await;
        database.incident_table().await;
        database.execute(PostgresDirectory::MIGRATION).await;
        before(&database).await;
        let standby = Cluster::standby_of(&primary);
        let behind = database.on(&standby);
        behind.execute("SELECT pg_wal_replay_pause()").await;
        behind
            .eventually("SELECT pg_get_wal_replay_pause_state() = 'paused'")
            .await;
        Self {
            database,
            behind,
            _standby: standby,
            _primary: primary,
        }
    }
}

fn freshness() -> CachePolicy {
    CachePolicy::new().owned(F).elsewhere(F / 2).unknown(F / 2)
}

fn process(url: &str, machine: &str) -> Process {
    Process::with(
        machine,
        PostgresLookup::builder(url).ownership(),
        freshness(),
    )
}

/// Whether an error says what is wrong and what to do about it.
fn names_the_standby(error: &LookupError) {
    assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
    let text = chain(error);
    for part in ["standby", "primary", "target_session_attrs=read-write"] {
        assert!(text.contains(part), "{text}");
    }
}

/// As after a failover to a new primary, when the host name leads to the old one for a while.
#[tokio::test]
async fn a_machine_that_reads_a_standby_does_not_serve() {
    for way in ["", "?pgbouncer=true"] {
        let mut moved = Uuid::nil();
        let pair = Pair::new(async |database| {
            moved = owned_by(database, "m1").await;
        })
        .await;
        let relay = Relay::to(pair.database.port()).await;
        let url = format!("{}{way}", pair.database.url_through(relay.port()));
        let here = process(&url, "m1");
        let there = process(&pair.database.url(), "m2");
        let present = here.present().await;
        let _present = there.present().await;
        assert_eq!(here.answer(moved).await, "epoch 1");

        relay.lead_to(pair.behind.port());
        relay.cut().await;
        relay.restore().await;
        let (session, m2) = (SessionId::new(moved), me("m2"));
        there.directory.assign(&session, &m2).await.unwrap();
        let later = owned_by(&pair.database, "m1").await;
        tokio::time::sleep(F).await;
        // The standby still says that it is this machine's.
        assert_eq!(row(&pair.behind, moved).await.0.as_deref(), Some("m1"));
        let began = std::time::Instant::now();
        while began.elapsed() < 2 * F {
            assert_eq!(here.answer(moved).await, "lookup-unavailable");
            // And it does not know that one.
            assert_eq!(here.answer(later).await, "lookup-unavailable");
        }
        until_async("m2 serves it", async || {
            there.answer(moved).await == "epoch 2"
        })
        .await;
        names_the_standby(&read(&here, later).await.unwrap_err());
        until_async("beats fail", async || present.health().failures > 0).await;
        match here.lookup.verify(&me("m1")).await {
            Err(PostgresVerifyError::Lookup(error)) => names_the_standby(&error),
            other => panic!("{other:?}"),
        }

        // The name leads to the primary again, and what is open stays open.
        relay.lead_to(pair.database.port());
        until_async("it serves", async || here.answer(later).await == "epoch 1").await;
        until_async("it beats", async || present.health().failures == 0).await;
        here.lookup.verify(&me("m1")).await.unwrap();
    }
}

async fn read(
    process: &Process,
    id: Uuid,
) -> Result<Option<tower_ownership::Session>, LookupError> {
    process.lookup.session(SessionId::new(id)).await
}

#[tokio::test]
async fn lookups_that_go_out_together_refuse_a_standby() {
    for way in ["", "?pgbouncer=true"] {
        let pair = Pair::new(async |database| {
            owned_by(database, "m1").await;
        })
        .await;
        let url = format!("{}{way}", pair.behind.url());
        let lookup = PostgresLookup::builder(url).ownership().max_batches(1);
        let lookup = lookup.build().unwrap();
        let mut crowd = JoinSet::new();
        for _ in 0..20 {
            let lookup = lookup.clone();
            let id = SessionId::new(Uuid::new_v4());
            crowd.spawn(async move { lookup.session(id).await.unwrap_err() });
        }
        for error in crowd.join_all().await {
            names_the_standby(&error);
        }
        assert!(pair.behind.statements_with("= ANY($1)") > 0);
    }
}

#[tokio::test]
async fn a_write_that_meets_a_standby_closes_the_connection() {
    for way in ["", "?pgbouncer=true"] {
        let mut id = Uuid::nil();
        let pair = Pair::new(async |database| {
            machine(database, "m1", 0.0, "").await;
            id = unowned(database).await;
        })
        .await;
        let relay = Relay::to(pair.behind.port()).await;
        let url = format!("{}{way}", pair.database.url_through(relay.port()));
        let here = process(&url, "m1");
        let seen = process(&pair.database.url(), "m2").read(id).await;
        let error = here.try_claim(seen.clone()).await.unwrap_err();
        names_the_standby(&error);
        let error = here
            .directory
            .heartbeat()
            .start(&here.node)
            .await
            .unwrap_err();
        let text = chain(&error);
        assert!(text.contains("standby"), "{text}");
        // No statement ends a transaction that the server has not begun, which it would warn of.
        assert!(!pair.behind.has_logged("no transaction in progress"));
        relay.lead_to(pair.database.port());
        assert_eq!(here.try_claim(seen).await.unwrap().epoch(), Some(1));
    }
}

#[tokio::test]
async fn of_several_hosts_the_primary_is_used() {
    let mut id = Uuid::nil();
    let pair = Pair::new(async |database| {
        id = owned_by(database, "m1").await;
    })
    .await;
    let (behind, primary) = (pair.behind.port(), pair.database.port());
    for way in [
        "",
        "?target_session_attrs=read-write",
        "?target_session_attrs=primary",
    ] {
        let url = format!(
            "postgres://postgres@127.0.0.1:{behind},127.0.0.1:{primary}/{}{way}",
            pair.database.name()
        );
        let here = process(&url, "m1");
        here.lookup.verify(&me("m1")).await.unwrap();
        let present = here.present().await;
        assert_eq!(here.answer(id).await, "epoch 1");
        present.leave().await.unwrap();
    }
}

/// The application keeps the ownership elsewhere and accepts stale reads.
#[tokio::test]
async fn without_ownership_a_standby_may_be_read() {
    let mut id = Uuid::nil();
    let pair = Pair::new(async |database| {
        id = owned_by(database, "m1").await;
    })
    .await;
    for way in ["", "?pgbouncer=true", "?target_session_attrs=read-only"] {
        let url = format!("{}{way}", pair.behind.url());
        let lookup = PostgresLookup::builder(url).build().unwrap();
        let found = lookup.session(SessionId::new(id)).await.unwrap().unwrap();
        assert_eq!(found.owner(), Some(&me("m1")));
    }
    let url = format!("{}?target_session_attrs=read-write", pair.behind.url());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    let error = lookup.session(SessionId::new(id)).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
}

/// As after a failover that has left the fleet on what is a replica now.
#[test]
fn a_machine_that_starts_on_a_standby_logs_why_it_cannot_once() {
    let log = logged("info", async |_| {
        let pair = Pair::new(async |_| {}).await;
        for way in ["", "?pgbouncer=true"] {
            let process = process(&format!("{}{way}", pair.behind.url()), "m1");
            for _ in 0..3 {
                let started = process.directory.heartbeat().start(&process.node).await;
                started.map(drop).unwrap_err();
            }
        }
        // The driver would log the warning for each attempt.
        assert!(
            !pair
                .behind
                .has_logged("there is no transaction in progress")
        );
    });
    let log = log.text();
    let warnings = log
        .lines()
        .filter(|line| line.contains("this machine cannot be registered"));
    let warnings: Vec<&str> = warnings.collect();
    // One for each of the two nodes.
    assert_eq!(warnings.len(), 2, "{log}");
    for warning in warnings {
        assert!(
            warning.contains("target_session_attrs=read-write"),
            "{warning}"
        );
    }
}
