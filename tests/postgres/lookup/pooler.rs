//! Through a PgBouncer in transaction mode.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_ownership::{LookupErrorKind, PostgresLookup};

use super::{FAST, NO_QUERY_SLEEPS, SLOW, find, found, slow, with_session};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::left_out::left_out;
use crate::support::pgbouncer::PgBouncer;

fn pooler(database: &Database, what: &str) -> Option<PgBouncer> {
    let pooler = PgBouncer::in_front_of(database);
    if pooler.is_none() {
        left_out(what, "PgBouncer is not installed");
    }
    pooler
}

#[tokio::test]
async fn many_lookups_share_few_server_connections() {
    let (database, id) = with_session().await;
    // A type that the driver does not know: it would prepare a statement to learn of it.
    database
        .execute(
            "CREATE TYPE state AS ENUM ('active');
             ALTER TABLE preview_sessions ALTER status TYPE state USING status::state",
        )
        .await;
    let Some(pooler) = pooler(&database, "lookups through PgBouncer") else {
        return;
    };
    let url = format!("{}?pgbouncer=true", pooler.url(&database));
    let lookup = PostgresLookup::builder(url)
        .attributes(["tier", "created_at"])
        .max_connections(8)
        .build()
        .unwrap();
    let me = "m1".parse().unwrap();
    lookup.verify(&me).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let lookup = lookup.clone();
        tasks.spawn(async move {
            for _ in 0..50 {
                found(&lookup, id).await;
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn a_slow_query_ends_behind_the_pooler() {
    let (database, _) = with_session().await;
    let Some(pooler) = pooler(&database, "slow queries through PgBouncer") else {
        return;
    };
    let lookup = slow(&pooler.url(&database))
        .query_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    // More often than PgBouncer has server connections.
    for _ in 0..2 * PgBouncer::POOL_SIZE {
        let error = find(&lookup, SLOW).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
    }
    database.eventually(NO_QUERY_SLEEPS).await;
    found(&lookup, FAST).await;
}

#[tokio::test]
async fn killed_server_connections_behind_the_pooler_heal() {
    let (database, id) = with_session().await;
    let Some(pooler) = pooler(&database, "healing behind PgBouncer") else {
        return;
    };
    let lookup = PostgresLookup::builder(pooler.url(&database));
    let lookup = lookup.build().unwrap();
    database.insert(&PreviewSession::owned_by("m2")).await;
    for _ in 0..10 {
        found(&lookup, id).await;
        database.kill_backends().await;
        found(&lookup, id).await;
    }
}
