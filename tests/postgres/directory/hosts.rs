//! Several hosts in the URL, one of which accepts connections and never answers.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_ownership::{
    CachePolicy, LookupErrorKind, PostgresLookup, SessionId, SessionLookup as _,
};
use uuid::Uuid;

use super::{Process, migrated, owned_by};
use crate::support::database::Database;
use crate::support::relay::Relay;

/// What the layer grants a lookup by default.
const LAYER: Duration = Duration::from_secs(2);

/// Less than the 700 ms that one host may take to connect.
const QUICK: Duration = Duration::from_millis(500);

/// Lookups that may fail before the host that answers is found.
const MOST_FAILED: usize = 2;

/// Young only if the machine beats.
const BEATS: &str =
    "SELECT count(*) = 1 FROM ownership_machines WHERE beat_at > now() - interval '0.5 s'";

/// A machine whose URL names these two hosts.
fn process(database: &Database, ports: [u16; 2]) -> Process {
    let [first, second] = ports;
    let hosts = format!("127.0.0.1:{first},127.0.0.1:{second}/");
    let url = database.url();
    let own = format!("127.0.0.1:{}/", database.port());
    assert!(url.contains(&own), "{url}");
    let lookup = PostgresLookup::builder(url.replace(&own, &hosts)).ownership();
    Process::with("m1", lookup, CachePolicy::new())
}

/// Looks until a lookup succeeds, and then on new connections.
async fn finds(database: &Database, process: &Process, id: Uuid) {
    let find = async || {
        let began = Instant::now();
        let found = process.lookup.session(SessionId::new(id)).await;
        (found, began.elapsed())
    };
    let mut failed = 0;
    loop {
        let (found, took) = find().await;
        assert!(took < LAYER, "{took:?}: {found:?}");
        match found {
            Ok(found) => {
                assert!(found.is_some());
                break;
            }
            Err(error) => assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}"),
        }
        failed += 1;
        assert!(failed <= MOST_FAILED, "{failed} lookups failed");
    }
    for _ in 0..3 {
        let (found, took) = find().await;
        assert!(found.unwrap().is_some() && took < QUICK, "{took:?}");
        database.kill_backends().await;
    }
}

#[tokio::test]
async fn lookups_pass_over_a_frozen_host() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let frozen = Relay::to(database.port()).await;
    frozen.black_hole().await;
    for ports in [
        [frozen.port(), database.port()],
        [database.port(), frozen.port()],
    ] {
        finds(&database, &process(&database, ports), id).await;
    }
}

#[tokio::test]
async fn the_heartbeat_passes_over_a_frozen_host() {
    let database = migrated().await;
    let frozen = Relay::to(database.port()).await;
    frozen.black_hole().await;
    for ports in [
        [frozen.port(), database.port()],
        [database.port(), frozen.port()],
    ] {
        let began = Instant::now();
        let present = process(&database, ports).present().await;
        assert!(began.elapsed() < 2 * LAYER, "{:?}", began.elapsed());
        database.kill_backends().await;
        sleep(2 * QUICK).await;
        database.eventually(BEATS).await;
        assert_eq!(present.health().failures, 0);
        drop(present);
    }
}

#[tokio::test]
async fn a_host_that_freezes_is_left_for_the_next() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let first = Relay::to(database.port()).await;
    let process = process(&database, [first.port(), database.port()]);
    let present = process.present().await;
    process.read(id).await;
    assert!(first.accepted() > 0);
    first.black_hole().await;
    finds(&database, &process, id).await;
    database.eventually(BEATS).await;
    assert_eq!(present.health().failures, 0);
}
