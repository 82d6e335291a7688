//! What a recorder is told of PostgreSQL.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::set_default_local_recorder;

use super::{Machine, is_down, long, told, until, with_session};
use crate::support::counted::{count, recorder, value};
use crate::support::log::logged;
use crate::support::relay::Relay;

#[tokio::test]
async fn a_watch_tells_whether_it_listens_and_what_it_heard() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    // The runtime has one thread, so everything that is done here is counted.
    let _guard = set_default_local_recorder(&recorder);
    let (database, _) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let machine = Machine::with("m1", &database, long(), |watch| watch.direct(direct)).await;
    let is = |name: &str| count(&prometheus, name);
    assert_eq!(is("feed_listening"), 1);
    assert_eq!(is("feed_connections_lost_total"), 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - value(&prometheus, "feed_last_heard_timestamp_seconds");
    assert!((0.0..60.0).contains(&age), "{age}");

    let changes = told(&database, &machine.watch).await;
    assert_eq!(is(r#"feed_changes_total{kind="read"}"#), changes);
    assert_eq!(is(r#"feed_changes_total{kind="unreadable"}"#), 1);

    relay.cut().await;
    until(&machine.watch, is_down).await;
    assert_eq!(is("feed_listening"), 0);
    assert!(is("feed_connections_lost_total") >= 1);
    relay.restore().await;
    until(&machine.watch, |health| health.state.is_listening()).await;
    assert_eq!(is("feed_listening"), 1);
}

#[test]
fn a_missing_notify_trigger_is_logged_and_counted() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    let log = logged("tower_ownership::feed=warn", async |_| {
        let _guard = set_default_local_recorder(&recorder);
        let (database, _) = with_session().await;
        let often = Duration::from_millis(100);
        let machine = Machine::following(
            "m1",
            &database,
            long(),
            |feed| feed.check_triggers_every(often),
            |feed| feed.heartbeat(often),
        )
        .await;
        assert_eq!(count(&prometheus, "feed_complete"), 1);
        database
            .execute("DROP TRIGGER tower_ownership_change ON preview_sessions")
            .await;
        until(&machine.watch, |_| count(&prometheus, "feed_complete") == 0).await;
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("WARN tower_ownership::feed: the directory does not tell of every change"),
        "{text}"
    );
    assert!(text.contains("apply the migration"), "{text}");
}

#[tokio::test]
async fn queries_are_counted_with_how_many_lookups_they_were() {
    let recorder = recorder();
    let prometheus = recorder.handle();
    let _guard = set_default_local_recorder(&recorder);
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    assert_eq!(count(&prometheus, "lookup_batch_size_count"), 1);

    let many = (0..200).map(|_| machine.ask(uuid::Uuid::new_v4()));
    futures_util::future::join_all(many).await;
    let is = |name: &str| count(&prometheus, name);
    let queries = is("lookup_batch_size_count");
    assert_eq!(is("lookup_batch_size_sum"), 201);
    assert!((2..100).contains(&queries), "{queries} for 201 lookups");
    assert_eq!(is("lookup_batch_duration_seconds_count"), queries);
    let unknown = is(r#"lookup_duration_seconds_count{outcome="unknown"}"#);
    assert_eq!(unknown, 200);
}
