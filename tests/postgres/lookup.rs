//! `PostgresLookup` against the real thing.

mod batch;
mod batch_leaving;
mod batch_query;
mod build;
mod direct;
mod explain;
mod heal;
mod names;
mod patience;
mod place;
mod pooler;
mod query;
mod rows;
#[cfg(feature = "tls")]
mod tls;
mod verify;

use std::time::{Duration, Instant};

use tower_ownership::{
    LookupError, LookupErrorKind, PostgresLookup, Session, SessionId, SessionLookup as _,
    postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::incident::PreviewSession;

async fn find(lookup: &PostgresLookup, id: Uuid) -> Result<Option<Session>, LookupError> {
    lookup.session(SessionId::new(id)).await
}

/// The session, which has to be there.
async fn found(lookup: &PostgresLookup, id: Uuid) -> Session {
    match find(lookup, id).await {
        Ok(Some(session)) => session,
        other => panic!("{other:?}"),
    }
}

async fn kind(lookup: &PostgresLookup, id: Uuid) -> LookupErrorKind {
    find(lookup, id).await.unwrap_err().kind()
}

/// A database with the incident's table and one session in it.
async fn with_session() -> (Database, Uuid) {
    let database = Database::fresh().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    (database, id)
}

/// The session for which [`slow`] takes a minute.
const SLOW: Uuid = Uuid::from_u128(1);
/// One for which it takes no time.
const FAST: Uuid = Uuid::from_u128(2);

/// A lookup that takes a minute for the session [`SLOW`].
fn slow(url: &str) -> PostgresLookupBuilder {
    PostgresLookup::builder(url)
        .query(format!(
            "SELECT 'm1' AS owner, 'active' AS status
             FROM pg_sleep(CASE WHEN $1 = '{SLOW}' THEN 60 ELSE 0 END)"
        ))
        .max_connections(1)
}

/// Whether a minute's sleep of [`slow`] is running in this database. The comparison keeps the
/// question from finding itself.
const SLEEPS: &str = "SELECT count(*) > 0 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'";
const NO_QUERY_SLEEPS: &str = "SELECT count(*) = 0 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'";

/// Waits until that many queries of the lookup are on their way, and so many lookups queue.
async fn state(lookup: &PostgresLookup, in_flight: usize, waiting: usize) {
    let wanted = format!("in_flight: {in_flight}, waiting: {waiting}, ");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let state = format!("{lookup:?}");
        if state.contains(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "never {wanted}: {state}");
        tokio::task::yield_now().await;
    }
}

/// A transaction that keeps all others from reading the table until it ends, with its client.
async fn locked(database: &Database) -> tokio_postgres::Client {
    let client = database.client().await;
    let lock = "BEGIN; LOCK TABLE preview_sessions";
    client.batch_execute(lock).await.unwrap();
    client
}

/// A lookup that has one query in flight at most, and patience with [`locked`].
fn patient(database: &Database) -> PostgresLookupBuilder {
    PostgresLookup::builder(database.url())
        .max_batches(1)
        .query_timeout(Duration::from_secs(30))
        .timeout(Duration::from_secs(40))
}
