//! Each duty has its own connections: what requests write keeps up neither lookups nor beats.

use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;
use tower_ownership::{CachePolicy, OnUnassigned, PostgresLookup};
use uuid::Uuid;

use super::{BEAT, Process, builder, machine, migrated, migrated_in, owned_by, unowned};
use crate::support::{database::Database, postgres::Cluster};

/// Whether the machine's last beat is younger than a second.
const BEATS: &str =
    "SELECT count(*) = 1 FROM ownership_machines WHERE beat_at > now() - interval '1 s'";

#[tokio::test]
async fn an_exhausted_pool_delays_no_beat() {
    let database = migrated().await;
    let manager = Manager::new(database.config(), NoTls);
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let lookup = PostgresLookup::builder(pool.clone()).ownership();
    let process = Process::with("m1", lookup, CachePolicy::new());
    let present = process.present().await;
    let _all = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    sleep(Duration::from_millis(1_500)).await;
    database.eventually(BEATS).await;
    assert_eq!(present.health().failures, 0);
}

#[tokio::test]
async fn beats_go_on_while_no_synchronous_standby_answers() {
    let cluster = Cluster::private();
    let database = migrated_in(&cluster).await;
    let process = Process::with("m1", builder(&database), CachePolicy::new());
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
    database.eventually(BEATS).await;
    assert_eq!(present.health().failures, 0);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
    assert_eq!(waiting, 0);
    assert!(present.health().last_beat < 20 * BEAT);
}

#[tokio::test]
async fn slow_claims_cost_neither_lookups_nor_beats() {
    let database = migrated().await;
    // On a loaded server.
    database
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
                 AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let freshness = CachePolicy::new().owned(Duration::from_millis(200));
    let process = Process::around("m1", builder(&database).build().unwrap(), |layer| {
        layer
            .cache_policy(freshness)
            .on_unassigned(OnUnassigned::Claim)
    });
    let present = process.present().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(unowned(&database).await);
    }
    let mut healthy = Vec::new();
    for _ in 0..20 {
        healthy.push(owned_by(&database, "m1").await);
    }
    let end = Instant::now() + Duration::from_secs(6);
    let claiming = join_all(clients.into_iter().map(async |id| {
        while Instant::now() < end {
            process.answer(id).await;
            sleep(Duration::from_millis(20)).await;
        }
    }));
    let mut failures = 0;
    let beating = async {
        while Instant::now() < end {
            failures = failures.max(present.health().failures);
            sleep(BEAT / 2).await;
        }
    };
    let refused = std::cell::Cell::new((0, 0));
    let serving = join_all(healthy.into_iter().map(async |id| {
        while Instant::now() < end {
            let answer = process.answer(id).await;
            let (all, bad) = refused.get();
            refused.set((all + 1, bad + u32::from(answer != "epoch 1")));
            sleep(Duration::from_millis(20)).await;
        }
    }));
    tokio::join!(claiming, beating, serving);
    let (all, bad) = refused.get();
    assert!(all > 500, "{all} requests");
    assert_eq!(bad, 0, "of {all} requests for healthy sessions");
    assert_eq!(failures, 0, "beats failed in a row");
}

#[tokio::test]
async fn a_claim_does_not_wait_long_for_a_row_that_others_hold() {
    let database = migrated().await;
    machine(&database, "m1", 0.0, "").await;
    let id = unowned(&database).await;
    let process = Process::of("m1", &database);
    does_not_wait_long(&database, &process, id).await;
    let _present = process.present().await;
    let id = unowned(&database).await;
    does_not_wait_long(&database, &process, id).await;
}

async fn does_not_wait_long(database: &Database, process: &Process, id: Uuid) {
    let seen = process.read(id).await;
    let holder = database.client().await;
    holder
        .batch_execute("BEGIN; SELECT FROM preview_sessions FOR UPDATE")
        .await
        .unwrap();
    let began = Instant::now();
    let error = process.try_claim(seen.clone()).await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
    assert!(
        error
            .to_string()
            .contains("another transaction holds its row"),
        "{error}"
    );
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(process.try_claim(seen).await.unwrap().epoch(), Some(1));
}

#[tokio::test]
async fn a_claim_that_waited_for_the_winner_says_who_won_whatever_the_default_isolation() {
    let database = migrated().await;
    let client = database.client().await;
    let name = client.query_one("SELECT current_database()", &[]).await;
    let name: String = name.unwrap().get(0);
    let strict =
        format!("ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'");
    database.execute(&strict).await;
    for machine_id in ["m1", "m2"] {
        machine(&database, machine_id, 0.0, "").await;
    }
    let id = unowned(&database).await;
    let process = Process::of("m1", &database);
    let seen = process.read(id).await;
    let winner = database.client().await;
    let wins = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'"
    );
    winner.batch_execute(&wins).await.unwrap();
    let waits = async {
        sleep(Duration::from_millis(20)).await;
        // Behind the claim, and in the way of a second attempt.
        let writes = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             UPDATE preview_sessions SET status = status WHERE id = '{id}'; \
             SELECT pg_sleep(0.1); COMMIT"
        );
        client.batch_execute(&writes).await.unwrap();
    };
    let commits = async {
        sleep(Duration::from_millis(50)).await;
        winner.batch_execute("COMMIT").await.unwrap();
    };
    let (claimed, (), ()) = tokio::join!(process.try_claim(seen), waits, commits);
    let owner = claimed.unwrap().owner().map(ToString::to_string);
    assert_eq!(owner.as_deref(), Some("m2"));
}
