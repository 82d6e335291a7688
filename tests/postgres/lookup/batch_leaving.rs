//! Whoever leaves takes nobody with it, and leaves nothing behind.

use std::time::Duration;

use tokio::runtime;
use tokio::task::JoinHandle;
use tower_ownership::{PostgresLookup, Session};
use uuid::Uuid;

use super::{find, found, locked, patient, state, with_session};
use crate::support::database::Database;

/// Lookups of one session, of which the first is at the server and the others queue.
async fn crowd(lookup: &PostgresLookup, id: Uuid, count: usize) -> Vec<JoinHandle<Session>> {
    let mut tasks = Vec::new();
    for waiting in 0..count {
        let of_task = lookup.clone();
        tasks.push(tokio::spawn(async move { found(&of_task, id).await }));
        state(lookup, 1, waiting).await;
    }
    tasks
}

/// Lookups wait for the lock, at the server.
async fn arrived(database: &Database, count: usize) {
    let question = format!(
        "SELECT count(*) = {count} FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    );
    database.eventually(&question).await;
}

#[tokio::test]
async fn the_first_may_leave() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    let lock = locked(&database).await;
    let mut tasks = crowd(&lookup, id, 10).await;
    arrived(&database, 1).await;
    tasks.remove(0).abort();
    // Those behind it are on their way, before anybody is answered.
    state(&lookup, 1, 0).await;
    lock.batch_execute("COMMIT").await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    state(&lookup, 0, 0).await;
}

#[tokio::test]
async fn one_in_the_queue_may_leave() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    let lock = locked(&database).await;
    let mut tasks = crowd(&lookup, id, 10).await;
    tasks.remove(5).abort();
    state(&lookup, 1, 8).await;
    lock.batch_execute("COMMIT").await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn one_whose_query_is_on_its_way_may_leave() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    let lock = locked(&database).await;
    let mut tasks = crowd(&lookup, id, 10).await;
    tasks.remove(0).abort();
    state(&lookup, 1, 0).await;
    for _ in 0..4 {
        tasks.remove(0).abort();
    }
    lock.batch_execute("COMMIT").await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn all_may_leave() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    found(&lookup, id).await;
    for round in 0..5 {
        let lock = locked(&database).await;
        let tasks = crowd(&lookup, id, 10).await;
        if round % 2 == 0 {
            // The others' query is on its way when they leave.
            tasks[0].abort();
            state(&lookup, 1, 0).await;
        }
        for task in &tasks {
            task.abort();
        }
        // Nobody waits for an answer that nobody wants: the lock is still held.
        state(&lookup, 0, 0).await;
        lock.batch_execute("COMMIT").await.unwrap();
        found(&lookup, id).await;
    }
    // At most two in each round, those of the test, and the first.
    assert!(database.connections_made() < 30);
}

#[tokio::test]
async fn a_lookup_dropped_at_any_poll_keeps_nobody() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    for polls in 0..60 {
        let mut first = Box::pin(find(&lookup, id));
        let mut second = Box::pin(find(&lookup, Uuid::new_v4()));
        let third = {
            let lookup = lookup.clone();
            tokio::spawn(async move { found(&lookup, id).await })
        };
        for _ in 0..polls {
            let first = futures_util::poll!(first.as_mut()).is_ready();
            if first || futures_util::poll!(second.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(first);
        drop(second);
        third.await.unwrap();
        state(&lookup, 0, 0).await;
    }
}

#[tokio::test]
async fn each_keeps_its_own_bound() {
    let (database, id) = with_session().await;
    let lookup = patient(&database);
    let lookup = lookup.timeout(Duration::from_millis(200)).build().unwrap();
    let lock = locked(&database).await;
    let error = {
        let lookup = lookup.clone();
        tokio::spawn(async move { find(&lookup, id).await.unwrap_err() })
    };
    state(&lookup, 1, 0).await;
    let late = find(&lookup, id).await.unwrap_err();
    assert_eq!(late.kind(), tower_ownership::LookupErrorKind::Timeout);
    error.await.unwrap();
    state(&lookup, 0, 0).await;
    lock.batch_execute("COMMIT").await.unwrap();
    found(&lookup, id).await;
}

#[test]
fn a_runtime_may_end() {
    let make = || {
        runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
    };
    let (here, there) = (make().unwrap(), make().unwrap());
    let (database, id) = here.block_on(with_session());
    let lookup = patient(&database).build().unwrap();
    let lock = here.block_on(locked(&database));
    // The one at the server and the next in the queue run on a runtime that ends.
    drop(there.block_on(crowd(&lookup, id, 2)));
    let left = {
        let lookup = lookup.clone();
        here.spawn(async move { found(&lookup, id).await })
    };
    here.block_on(state(&lookup, 1, 2));
    there.shutdown_background();
    here.block_on(async {
        lock.batch_execute("COMMIT").await.unwrap();
        left.await.unwrap();
        state(&lookup, 0, 0).await;
    });
}

/// Clients that go away after they have sent their request.
#[tokio::test]
async fn lookups_that_are_dropped_cost_no_connections() {
    let (database, id) = with_session().await;
    for query in [false, true] {
        let lookup = PostgresLookup::builder(database.url());
        let lookup = if query {
            lookup.query(
                "SELECT 'm1' AS owner, 'active' AS status FROM preview_sessions WHERE id = $1",
            )
        } else {
            lookup
        };
        let lookup = lookup.build().unwrap();
        found(&lookup, id).await;
        let before = database.connections_made();
        for polls in 0..200 {
            let mut dropped = Box::pin(find(&lookup, id));
            for _ in 0..=polls % 5 {
                if futures_util::poll!(dropped.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(dropped);
            // The next ones find a connection that is ready: one that is dropped while it is being
            // opened is not counted.
            if polls % 10 == 0 {
                found(&lookup, id).await;
            }
        }
        found(&lookup, id).await;
        let more = database.connections_made() - before;
        assert!(more <= 3, "{more} new connections");
    }
}
