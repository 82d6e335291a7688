//! Every wait has a bound, and what outlived it does no harm.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tower_ownership::{LookupErrorKind, PostgresLookup};

use super::{FAST, NO_QUERY_SLEEPS, SLEEPS, SLOW, find, found, slow, with_session};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

/// What the layer grants a lookup by default.
const LAYER: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_frozen_server_is_a_timeout_and_heals_when_it_thaws() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let lookup = lookup(&database);
    found(&lookup, id).await;

    cluster.freeze();
    // The first has a connection and waits for an answer, the others wait for a connection.
    for _ in 0..3 {
        let began = Instant::now();
        let error = find(&lookup, id).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
        assert!(began.elapsed() < LAYER, "{:?}", began.elapsed());
    }
    cluster.thaw();
    found(&lookup, id).await;
}

#[tokio::test]
async fn no_bound_is_too_long_to_be_counted() {
    let (database, id) = with_session().await;
    let builder = PostgresLookup::builder(database.url())
        .pool_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .query_timeout(Duration::MAX)
        .timeout(Duration::MAX);
    found(&builder.build().unwrap(), id).await;
}

#[tokio::test]
async fn a_network_that_loses_everything_is_a_timeout() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let lookup = PostgresLookup::builder(database.url_through(relay.port()));
    let lookup = lookup.build().unwrap();
    found(&lookup, id).await;
    relay.black_hole().await;
    for _ in 0..2 {
        let began = Instant::now();
        let error = find(&lookup, id).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
        assert!(began.elapsed() < LAYER, "{:?}", began.elapsed());
    }
    // The connection whose answer is outstanding was not used again.
    assert_eq!(relay.accepted(), 2);
    relay.restore().await;
    found(&lookup, id).await;
}

#[tokio::test]
async fn a_query_that_timed_out_holds_nothing_up() {
    let database = Database::fresh().await;
    let lookup = slow(&database.url())
        .query_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    found(&lookup, FAST).await;
    for _ in 0..3 {
        let error = find(&lookup, SLOW).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Timeout);
        // There is only one connection: this one would wait a minute for it.
        found(&lookup, FAST).await;
    }
    database.eventually(NO_QUERY_SLEEPS).await;
}

#[tokio::test]
async fn a_lookup_that_nobody_waits_for_holds_nothing_up() {
    let database = Database::fresh().await;
    let lookup = slow(&database.url())
        .query_timeout(Duration::from_secs(20))
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let abandoned = {
        let lookup = lookup.clone();
        tokio::spawn(async move { find(&lookup, SLOW).await })
    };
    database.eventually(SLEEPS).await;
    abandoned.abort();
    // There is only one connection: that one would not answer for another 18 s.
    let began = Instant::now();
    found(&lookup, FAST).await;
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn a_lookup_dropped_at_any_poll_leaves_the_pool_whole() {
    let (database, id) = with_session().await;
    let lookup = PostgresLookup::builder(database.url())
        .max_connections(2)
        .build()
        .unwrap();
    for polls in 0..40 {
        let mut lookup_once = Box::pin(find(&lookup, id));
        for _ in 0..polls {
            if futures_util::poll!(lookup_once.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(lookup_once);
        if polls % 10 == 0 {
            found(&lookup, id).await;
        }
    }
    found(&lookup, id).await;
}

#[tokio::test]
async fn queries_that_wait_for_a_lock_do_not_pile_up_at_the_server() {
    let (database, id) = with_session().await;
    let lookup = PostgresLookup::builder(database.url())
        .query_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let migration = database.client().await;
    migration
        .batch_execute("BEGIN; LOCK TABLE preview_sessions")
        .await
        .unwrap();
    for _ in 0..5 {
        let mut crowd = JoinSet::new();
        for _ in 0..4 {
            let lookup = lookup.clone();
            crowd.spawn(async move { find(&lookup, id).await.unwrap_err().kind() });
        }
        for kind in crowd.join_all().await {
            assert_eq!(kind, LookupErrorKind::Timeout);
        }
    }
    database
        .eventually(
            "SELECT count(*) = 0 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .await;
    migration.batch_execute("COMMIT").await.unwrap();
    found(&lookup, id).await;
}

#[tokio::test]
async fn an_exhausted_pool_is_a_timeout() {
    let database = Database::fresh().await;
    let lookup = slow(&database.url())
        .pool_timeout(Duration::from_millis(50))
        .query_timeout(Duration::from_secs(50))
        .timeout(Duration::from_secs(50))
        .build()
        .unwrap();
    let busy = {
        let lookup = lookup.clone();
        tokio::spawn(async move { find(&lookup, SLOW).await })
    };
    database.eventually(SLEEPS).await;
    let error = find(&lookup, FAST).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout);
    assert!(error.to_string().contains("became free"), "{error}");
    busy.abort();
}

#[tokio::test]
async fn the_whole_has_a_bound_too() {
    let database = Database::fresh().await;
    let lookup = slow(&database.url())
        .query_timeout(Duration::from_secs(50))
        .timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = find(&lookup, SLOW).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout);
    database.eventually(NO_QUERY_SLEEPS).await;
    found(&lookup, FAST).await;
}

#[tokio::test]
async fn a_query_is_given_up_by_the_server_before_we_give_the_connection_up() {
    let database = Database::fresh().await;
    let lookup = slow(&database.url())
        .query_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let error = find(&lookup, SLOW).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout);
    assert!(
        chain(&error).contains("statement timeout"),
        "{}",
        chain(&error)
    );
    // The server has answered, so the connection goes on.
    found(&lookup, FAST).await;
    assert_eq!(database.connections_made(), 1);
}

#[tokio::test]
async fn a_pool_without_bounds_gets_ours() {
    let database = Database::fresh().await;
    let manager = deadpool_postgres::Manager::new(database.config(), tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager)
        .max_size(1)
        .build()
        .unwrap();
    let lookup = PostgresLookup::builder(pool.clone())
        .query("SELECT 'm1' AS owner, 'active' AS status WHERE $1 IS NOT NULL")
        .pool_timeout(Duration::from_millis(50))
        .connect_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    found(&lookup, FAST).await;
    let taken = pool.get().await.unwrap();
    let error = find(&lookup, FAST).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
    drop(taken);
    found(&lookup, FAST).await;
}
