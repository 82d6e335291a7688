//! Giving up everything that a machine owns.

use std::time::{Duration, Instant};

use tower_ownership::PostgresDirectory;

use super::{BENCH, fleet::Machine, setting};
use crate::common::{quartiles::Quartiles, setup::ME, table::Table};
use crate::support::postgres::Cluster;

const OWNED: [u32; 3] = [1, 1_000, 10_000];
const OTHERS: u32 = 100_000;

pub(crate) async fn measure(cluster: &Cluster) -> Table {
    let rounds = setting("ROUNDS", 15);
    let database = cluster.database().await;
    database.incident_table().await;
    let insert = |owner: &str, count| {
        format!(
            "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             SELECT gen_random_uuid(), 'active', '{owner}', now() + interval '1 day'
             FROM generate_series(1, {count})"
        )
    };
    database.execute(&insert("another", OTHERS)).await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let note = format!(
        "{rounds} rounds; a drain, in a table with {OTHERS} sessions of others: the machine's row, \
         one statement with its triggers and notifications, and a look whether anything is left"
    );
    let columns = ["ms", "us a session"];
    let mut table = Table::new(BENCH, "giving up all sessions", &note, &columns);
    for owned in OWNED {
        let mut times = Vec::new();
        for _ in 0..rounds {
            // A node that drained never serves again: each round has a process of its own.
            let machine = Machine::start(&database).await;
            database.execute(&insert(ME, owned)).await;
            database.execute("VACUUM ANALYZE preview_sessions").await;
            let began = Instant::now();
            let drained = machine.presence.drain(Duration::from_secs(30)).await;
            times.push(began.elapsed().as_secs_f64());
            assert_eq!(drained.expect("a drain").released.len(), owned as usize);
            machine.presence.leave().await.expect("an end");
            database
                .execute("DELETE FROM preview_sessions WHERE container_id IS NULL")
                .await;
        }
        let by = |scale: f64| Some(Quartiles::of(times.iter().map(|time| time * scale)));
        table.row(
            &format!("{owned} sessions"),
            [by(1e3), by(1e6 / f64::from(owned))],
        );
    }
    table
}
