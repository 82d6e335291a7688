//! `PostgresDirectory` and `Heartbeat` against the real thing.

mod assign;
mod audit;
mod births;
mod by_hand;
mod claim;
#[cfg(feature = "testing")]
mod conformance;
#[cfg(feature = "metrics")]
mod counted;
mod drain;
mod drift;
mod duties;
mod end;
mod epochs;
mod fencing;
mod fleet;
mod half_sent;
mod health;
mod hosts;
mod ids;
mod layers;
mod lists;
mod liveness;
mod log;
mod lookups;
mod many;
mod migration;
mod node;
mod partitions;
mod pooler;
mod presence;
mod process;
mod race;
mod read_only;
mod reap;
mod release;
mod replication;
mod reused;
mod rivals;
mod scale;
mod serving;
mod silence;
mod slow_clients;
mod standby;
mod story;
mod touch;
mod verify;
mod volatile;

use std::time::Duration;

use tower_ownership::{
    MachineId, PostgresDirectory, PostgresLookup, postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::postgres::Cluster;
use process::Process;

fn me(machine: &str) -> MachineId {
    machine.parse().unwrap()
}

/// How long an answer holds where a test waits for its end: the shortest there is.
const F: Duration = Duration::from_secs(1);

const BEAT: Duration = Duration::from_millis(50);

fn builder(database: &Database) -> PostgresLookupBuilder {
    PostgresLookup::builder(database.url()).ownership()
}

/// A database with the incident's table, and all that ownership needs.
async fn migrated() -> Database {
    migrated_in(Cluster::shared()).await
}

async fn migrated_in(cluster: &Cluster) -> Database {
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
}

async fn unowned(database: &Database) -> Uuid {
    let mut session = PreviewSession::owned_by("unset");
    session.container_id = None;
    database.insert(&session).await
}

async fn owned_by(database: &Database, machine: &str) -> Uuid {
    database.insert(&PreviewSession::owned_by(machine)).await
}

/// A machine's row, as some process left it so many seconds ago; `more` is SQL that sets more.
async fn machine(database: &Database, machine: &str, ago: f64, more: &str) {
    database
        .execute(&format!(
            "INSERT INTO ownership_machines (machine_id, boot_id, beat_at, steady_since)
                 VALUES ('{machine}', gen_random_uuid(), now() - interval '{ago} s',
                     now() - interval '1 day')
             ON CONFLICT (machine_id) DO UPDATE SET beat_at = EXCLUDED.beat_at;
             UPDATE ownership_machines SET beat_at = beat_at{more} WHERE machine_id = '{machine}'"
        ))
        .await;
}

/// What stands in a session's row: owner, epoch, release proof.
async fn row(database: &Database, id: Uuid) -> (Option<String>, i64, Option<i64>) {
    let sql =
        "SELECT container_id, owner_epoch, owner_released FROM preview_sessions WHERE id = $1";
    let row = database
        .client()
        .await
        .query_one(sql, &[&id])
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

/// The one value that a query returns.
async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(database: &Database, sql: &str) -> T {
    let row = database.client().await.query_one(sql, &[]).await;
    row.unwrap().get(0)
}
