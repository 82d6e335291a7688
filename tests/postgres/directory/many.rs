//! A fleet of a thousand machines.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::race::patient;
use super::{Process, builder, migrated, one, owned_by};
use crate::support::until_async;

const MACHINES: usize = 1_000;
const LONG: Duration = Duration::from_secs(20);
const BEAT: &str = "UPDATE \"ownership_machines\" SET beat_at = now()";

async fn count(database: &super::Database, table: &str, what: &str) -> i64 {
    let sql = format!(
        "SELECT COALESCE(sum({what}), 0)::bigint FROM pg_stat_user_tables WHERE relname = '{table}'"
    );
    one(database, &sql).await
}

#[tokio::test]
async fn a_beat_is_one_small_update_in_place_and_touches_no_session() {
    const ANY: &str = "seq_scan + COALESCE(idx_scan, 0) + n_tup_upd";
    let database = migrated().await;
    for number in 0..10 {
        owned_by(&database, &format!("machine-{number}")).await;
    }
    let sessions = count(&database, "preview_sessions", ANY).await;
    // One process keeps them all present here, so that they share its connections.
    let lookup = patient(builder(&database)).build().unwrap();
    let machines = (0..MACHINES).map(|number| {
        Process::around(&format!("machine-{number}"), lookup.clone(), |layer| {
            layer.cache_capacity(1)
        })
    });
    let starts = stream::iter(machines).map(|process| async move {
        // A machine that is busy with other tests is not what is looked at here.
        let presence = process.directory.heartbeat().timeout(LONG);
        presence.start(&process.node).await.unwrap()
    });
    let present: Vec<_> = starts.buffer_unordered(4).collect().await;
    let registered: i64 = one(&database, "SELECT count(*) FROM ownership_machines").await;
    assert_eq!(usize::try_from(registered).unwrap(), MACHINES);
    let twice = "SELECT bool_and(beat_at > started_at + interval '4 s') FROM ownership_machines";
    database.eventually(twice).await;
    drop((present, lookup));
    until_async("nobody is connected", async || {
        let others = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        one::<i64>(&database, others).await == 0
    })
    .await;
    // Nothing else writes there: as many updates as beats, and no row is ever moved to another
    // page, nor entered into the index again.
    let beats = i64::try_from(database.statements_with(BEAT)).unwrap();
    let updates = count(&database, "ownership_machines", "n_tup_upd").await;
    let in_place = count(&database, "ownership_machines", "n_tup_hot_upd").await;
    println!("{beats} beats, {updates} updates, {in_place} of them in place");
    assert!(beats - updates <= 8, "{beats} {updates}");
    assert!(in_place * 100 >= updates * 99, "{in_place} of {updates}");
    assert_eq!(count(&database, "preview_sessions", ANY).await, sessions);
}
