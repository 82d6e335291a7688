//! What changes is seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tower_ownership::{CachePolicy, SessionId, SessionLookup as _, lookup_fn, ownership::Feed};
use uuid::Uuid;

use super::{Machine, ask, give, layer, listening, long, told, until, with_session};
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;

#[tokio::test]
async fn a_session_that_moves_is_served_by_its_new_machine_at_once() {
    let (database, id) = with_session().await;
    let old = Machine::with("m1", &database, CachePolicy::new(), |watch| watch).await;
    let new = Machine::with("m2", &database, CachePolicy::new(), |watch| watch).await;
    assert_eq!(old.ask(id).await, "served");
    assert_eq!(new.ask(id).await, "to m1");

    give(&database, id, "m2").await;
    let moved = Instant::now();
    old.becomes(id, "to m2").await;
    new.becomes(id, "served").await;
    // What is cached of a session of one's own is used for 4 s and more; of another's, for 26.
    assert!(
        moved.elapsed() < Duration::from_secs(3),
        "{:?}",
        moved.elapsed()
    );
}

#[tokio::test]
async fn an_unknown_session_is_found_once_it_is_inserted() {
    let (database, _) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let session = PreviewSession::owned_by("m1");
    assert_eq!(machine.ask(session.id).await, "session-unknown");
    database.insert(&session).await;
    machine.becomes(session.id, "served").await;
}

#[tokio::test]
async fn whatever_a_verdict_depends_on_is_told() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m2", &database).await;
    for (change, answer) in [
        ("SET container_id = 'm3'", "to m3"),
        ("SET container_id = NULL", "session-starting"),
        ("SET container_id = 'm2'", "served"),
        ("SET status = 'stopped'", "session-over"),
        ("SET status = 'active'", "served"),
        ("SET expires_at = now() - interval '1 s'", "session-over"),
        ("SET expires_at = NULL", "served"),
        ("SET ended_at = now()", "session-over"),
        ("SET ended_at = NULL", "served"),
        ("SET container_url = 'not a url'", "directory-corrupt"),
        ("SET container_url = NULL", "served"),
    ] {
        let sql = format!("UPDATE preview_sessions {change} WHERE id = '{id}'");
        database.execute(&sql).await;
        machine.becomes(id, answer).await;
    }
}

#[tokio::test]
async fn a_session_that_gets_another_id_is_known_by_no_other() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let other = Uuid::new_v4();
    assert_eq!(machine.ask(id).await, "served");
    assert_eq!(machine.ask(other).await, "session-unknown");
    database
        .execute(&format!("UPDATE preview_sessions SET id = '{other}'"))
        .await;
    machine.becomes(id, "session-unknown").await;
    machine.becomes(other, "served").await;
}

#[tokio::test]
async fn rows_that_are_gone_are_unknown() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let other = database.insert(&PreviewSession::owned_by("m1")).await;
    machine.becomes(other, "served").await;
    assert_eq!(machine.ask(id).await, "served");

    database
        .execute(&format!("DELETE FROM preview_sessions WHERE id = '{id}'"))
        .await;
    machine.becomes(id, "session-unknown").await;
    assert_eq!(machine.ask(other).await, "served");
    database.execute("TRUNCATE preview_sessions").await;
    machine.becomes(other, "session-unknown").await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    for sql in [
        "UPDATE preview_sessions SET tier = 'gold', user_id = 'u', created_at = now()",
        // As a mapper does that writes all it knows.
        "UPDATE preview_sessions SET status = status, container_id = container_id,
             container_url = container_url, expires_at = expires_at, ended_at = ended_at",
        "BEGIN; UPDATE preview_sessions SET container_id = 'm2'; ROLLBACK",
        "DELETE FROM preview_sessions WHERE false",
    ] {
        database.execute(sql).await;
        assert_eq!(told(&database, &machine.watch).await, 0, "{sql}");
    }
    assert_eq!(machine.layer.cache().len(), 1);
    assert_eq!(machine.ask(id).await, "served");
}

#[tokio::test]
async fn a_change_is_told_once_a_transaction() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let sql = format!(
        "BEGIN;
         UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}';
         UPDATE preview_sessions SET status = 'stopped' WHERE id = '{id}';
         COMMIT"
    );
    database.execute(&sql).await;
    assert_eq!(told(&database, &machine.watch).await, 1);
}

#[tokio::test]
async fn a_change_during_a_load_is_not_lost() {
    let (database, id) = with_session().await;
    let (has_read, may_land) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let real = lookup(&database);
    let slow = lookup_fn({
        let (real, has_read, may_land) = (real.clone(), has_read.clone(), may_land.clone());
        move |id: SessionId| {
            let (real, has_read, may_land) = (real.clone(), has_read.clone(), may_land.clone());
            async move {
                let session = real.session(id).await;
                has_read.add_permits(1);
                may_land.acquire().await.unwrap().forget();
                session
            }
        }
    });
    let layer = layer("m1", slow, long());
    let watch = real.change_feed().start(layer.cache()).unwrap();
    listening(&watch).await;

    // The lookup has read the old owner, and is not back yet.
    let first = tokio::spawn({
        let layer = layer.clone();
        async move { ask(&layer, id).await }
    });
    has_read.acquire().await.unwrap().forget();
    give(&database, id, "m2").await;
    until(&watch, |health| health.changes == 1).await;
    may_land.add_permits(2);
    assert_eq!(first.await.unwrap(), "served", "it was, when it was asked");
    assert_eq!(ask(&layer, id).await, "to m2");
}

#[tokio::test]
async fn one_watch_serves_several_layers() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    let (one, other) = (
        layer("m1", lookup.clone(), long()),
        layer("m1", lookup.clone(), long()),
    );
    let feed = lookup.change_feed().build().unwrap();
    let watch = Feed::builder(feed)
        .add_cache(one.cache())
        .start(other.cache());
    let watch = watch.unwrap();
    listening(&watch).await;
    for layer in [&one, &other] {
        assert_eq!(ask(layer, id).await, "served");
    }
    give(&database, id, "m2").await;
    for layer in [&one, &other] {
        super::becomes(layer, id, "to m2").await;
    }
}
