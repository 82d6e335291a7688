//! How a watch begins and ends.

use std::time::{Duration, Instant};

use tower_ownership::{
    PostgresLookup,
    ownership::{Feed, FeedBuildError, FeedState},
    postgres::{PostgresConfigError, PostgresFeed},
};

use super::{Machine, is_down, layer, listening, long, until, with_session};
use crate::support::free_port;
use crate::support::incident::lookup;

const WATCHES: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tower-ownership feed'";

async fn watches(client: &tokio_postgres::Client) -> i64 {
    client.query_one(WATCHES, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn dropping_it_closes_its_connection() {
    let (database, _) = with_session().await;
    let client = database.client().await;
    let machine = Machine::start("m1", &database).await;
    // The second connection, by which it proved itself, may still be on its way out.
    let deadline = Instant::now() + super::PATIENCE;
    while watches(&client).await != 1 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    drop(machine.watch);
    while watches(&client).await != 0 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_it_waits_for_that() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    machine.watch.stop().await;
    assert_eq!(
        machine.layer.cache().len(),
        1,
        "the layer goes on without it"
    );

    // Also while it waits for its next attempt, or for a connection.
    let port = free_port();
    let nowhere = format!("postgres://postgres:hunter2@127.0.0.1:{port}/app");
    let watch = PostgresFeed::builder(nowhere).start(machine.layer.cache());
    let watch = watch.unwrap();
    let FeedState::Down { error, .. } = until(&watch, is_down).await.state else {
        panic!("it is down");
    };
    let causes = format!("{error:?}");
    let place = format!(": connecting to 127.0.0.1:{port}/app as postgres: ");
    assert!(
        causes.contains(&place) && !causes.contains("hunter2"),
        "{causes}"
    );
    let began = Instant::now();
    watch.stop().await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_runtime_that_is_gone_is_told_of() {
    let on_a_runtime = || tokio::runtime::Runtime::new().unwrap();
    let tests = on_a_runtime();
    let (database, _) = tests.block_on(with_session());
    let servers = on_a_runtime();
    let machine = servers.block_on(Machine::start("m1", &database));
    servers.shutdown_timeout(Duration::from_secs(10));
    let state = machine.watch.health().state;
    assert!(matches!(state, FeedState::Stopped), "{state:?}");
    // And can be waited for without harm.
    tests.block_on(machine.watch.stop());
}

#[tokio::test]
async fn a_hook_that_panics_ends_the_watch_and_nothing_else() {
    let (database, _) = with_session().await;
    let layer = layer("m1", lookup(&database), long());
    let feed = PostgresFeed::builder(database.url()).build().unwrap();
    let watch = Feed::builder(feed)
        .on_change(|_| panic!("on purpose"))
        .start(layer.cache())
        .unwrap();
    until(&watch, |health| matches!(health.state, FeedState::Stopped)).await;
}

#[test]
fn it_needs_a_runtime() {
    let url = "postgres://postgres@127.0.0.1/app";
    let lookup = PostgresLookup::builder(url).build().unwrap();
    let layer = layer("m1", lookup.clone(), long());
    let error = lookup.change_feed().start(layer.cache()).unwrap_err();
    assert!(matches!(error, PostgresConfigError::NoRuntime), "{error}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let url = "postgres://postgres@127.0.0.1/app";
    let cache = layer("m1", PostgresLookup::builder(url).build().unwrap(), long()).cache();
    let watch = || PostgresFeed::builder(url);
    for (watch, word) in [
        (watch().answer_timeout(Duration::ZERO), "answer_timeout"),
        (
            watch().check_triggers_every(Duration::ZERO),
            "check_triggers_every",
        ),
        (watch().connect_timeout(Duration::ZERO), "connect_timeout"),
        (watch().channel(""), "channel"),
        (watch().channel("x".repeat(64)), "channel"),
        (PostgresFeed::builder("postgres:///app"), "host"),
        (watch().direct("nonsense"), "connection string"),
    ] {
        let error = watch.start(cache.clone()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let feed = || Feed::builder(watch().build().unwrap());
    for (feed, word) in [
        (feed().heartbeat(Duration::ZERO), "heartbeat"),
        (
            feed().heartbeat_deadline(Duration::ZERO),
            "heartbeat_deadline",
        ),
    ] {
        let error = feed.start(cache.clone()).unwrap_err();
        assert!(matches!(error, FeedBuildError::Zero { what } if what == word));
    }
    // Durations that no clock can hold are cut, not added.
    let feed = watch()
        .answer_timeout(Duration::MAX)
        .check_triggers_every(Duration::MAX);
    let patient = Feed::builder(feed.build().unwrap())
        .heartbeat(Duration::MAX)
        .heartbeat_deadline(Duration::MAX);
    patient.start(cache).unwrap().stop().await;
}

#[tokio::test]
async fn a_pool_needs_a_url_beside_it() {
    let (database, id) = with_session().await;
    let manager = deadpool_postgres::Manager::new(database.config(), tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().unwrap();
    let lookup = PostgresLookup::builder(pool).build().unwrap();
    let layer = layer("m1", lookup.clone(), long());
    let error = lookup.change_feed().start(layer.cache()).unwrap_err();
    assert!(error.to_string().contains("pool"), "{error}");

    let watch = lookup
        .change_feed()
        .direct(database.url())
        .start(layer.cache());
    let watch = watch.unwrap();
    listening(&watch).await;
    assert_eq!(super::ask(&layer, id).await, "served");
    super::give(&database, id, "m2").await;
    super::becomes(&layer, id, "to m2").await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn it_connects_by_tls_as_the_lookup_does() {
    use crate::support::left_out::left_out;
    use crate::support::tls::TlsCluster;

    let Some(tls) = TlsCluster::start() else {
        return left_out("a watch over TLS", "this PostgreSQL was built without it");
    };
    let database = tls.cluster.database().await;
    let url = database.url().replace("127.0.0.1", "localhost");
    let pem = std::fs::read(&tls.authority).unwrap();
    let lookup = PostgresLookup::builder(format!("{url}?sslmode=verify-full"));
    let trusting = lookup.clone().root_certificate_pem(&pem).build().unwrap();
    let cache = layer("m1", trusting.clone(), long()).cache();
    let watch = trusting.change_feed().start(cache.clone()).unwrap();
    listening(&watch).await;
    let encrypted: i64 = database
        .client()
        .await
        .query_one(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE ssl AND application_name = 'tower-ownership feed'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(encrypted > 0);

    let watch = lookup.build().unwrap().change_feed().start(cache).unwrap();
    let health = until(&watch, is_down).await;
    let FeedState::Down { error, .. } = &health.state else {
        panic!("{:?}", health.state);
    };
    assert!(error.to_string().contains("certificate"), "{error:?}");
}

#[tokio::test]
async fn a_server_without_room_for_a_second_connection_is_listened_to() {
    let (database, id) = with_session().await;
    let name = format!("lonely_{}", database.name());
    database
        .execute(&format!("CREATE ROLE {name} LOGIN CONNECTION LIMIT 1"))
        .await;
    let layer = layer("m1", lookup(&database), long());
    let mut config = database.config();
    config.user(&name);
    let watch = PostgresFeed::builder(config).start(layer.cache()).unwrap();
    listening(&watch).await;
    assert_eq!(super::ask(&layer, id).await, "served");
    super::give(&database, id, "m2").await;
    super::becomes(&layer, id, "to m2").await;
}
