//! Each duty has its own connections: what requests write keeps up neither lookups nor beats.

use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use tokio::time::sleep;
use tokio_postgres::NoTls;
use tower_ownership::{Freshness, PostgresLookup};

use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::{BEAT, PostgresDirectory, Process, builder, eventually, migrated};

async fn migrated_in(cluster: &Cluster) -> Database {
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
}

/// Whether the machine's last beat is younger than a second.
const BEATS: &str =
    "SELECT count(*) = 1 FROM ownership_machines WHERE beat_at > now() - interval '1 s'";

#[tokio::test]
async fn an_exhausted_pool_delays_no_beat() {
    let database = migrated().await;
    let manager = Manager::new(database.config(), NoTls);
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let lookup = PostgresLookup::builder(pool.clone()).ownership();
    let process = Process::with("m1", lookup, Freshness::new());
    let present = process.present().await;
    let _all = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    sleep(Duration::from_millis(1_500)).await;
    eventually(&database, BEATS).await;
    assert_eq!(present.health().failures, 0);
}

#[tokio::test]
async fn beats_go_on_while_no_synchronous_standby_answers() {
    let cluster = Cluster::private();
    let database = migrated_in(&cluster).await;
    let process = Process::with("m1", builder(&database), Freshness::new());
    let present = process.present().await;
    let client = database.client().await;
    for set in [
        "ALTER SYSTEM SET synchronous_commit = on",
        "ALTER SYSTEM SET synchronous_standby_names = 'missing'",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(set).await.unwrap();
    }
    sleep(Duration::from_millis(1_500)).await;
    eventually(&database, BEATS).await;
    assert_eq!(present.health().failures, 0);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
    assert_eq!(waiting, 0);
    assert!(present.health().last_beat < 20 * BEAT);
}
