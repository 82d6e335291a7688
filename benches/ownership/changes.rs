//! Changes of owner: how many a second the server takes, what they cost it, and how soon a machine
//! forgets.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::task::{JoinHandle, block_in_place};
use tokio_postgres::NoTls;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{PostgresDirectory, PostgresLookup, ownership::Feed, postgres::PostgresFeed};
use uuid::Uuid;

use super::{BENCH, server::Work, setting};
use crate::common::{
    quartiles::Quartiles,
    setup::{self, ME, hello, plain_request},
    table::Table,
};
use crate::pgbench::Pgbench;
use crate::support::{database::Database, incident::PreviewSession, postgres::Cluster};

const ROWS: u32 = 100_000;
const CLIENTS: [u32; 2] = [8, 32];
const LISTENERS: [usize; 2] = [0, 100];

/// How changes are announced.
struct Level {
    name: &'static str,
    database: Database,
    /// Keeps a machine that listens, and reads the log where there is one.
    _feed: Option<Feed>,
}

pub(crate) async fn measure() {
    // Group commit is what a lock around each commit takes away, so the server waits for its disk.
    let settings = [
        "shared_buffers=256MB",
        "log_statement=none",
        "log_connections=off",
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
    ];
    let cluster = Cluster::prepared(|_| settings.map(ToOwned::to_owned).to_vec());
    let cluster = cluster.expect("PostgreSQL");
    let levels = [
        level(&cluster, "no trigger", &[]).await,
        level(
            &cluster,
            "epochs, and each commit notifies",
            &[PostgresDirectory::MIGRATION, PostgresFeed::MIGRATION],
        )
        .await,
        level(&cluster, "ownership level", &[PostgresDirectory::MIGRATION]).await,
    ];
    if let Some(pgbench) = Pgbench::find(&cluster) {
        rates(&levels, &pgbench).publish();
        costs(&cluster, &levels, &pgbench).await.publish();
        latencies(&cluster, &pgbench).await.publish();
    }
}

async fn level(cluster: &Cluster, name: &'static str, migrations: &[&str]) -> Level {
    let database = cluster.database().await;
    database.incident_table().await;
    for migration in migrations {
        database.execute(migration).await;
    }
    let filled = format!(
        "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             SELECT md5(n::text)::uuid, 'active', 'm' || n % 100, now() + interval '1 day'
             FROM generate_series(1, {ROWS}) AS n"
    );
    database.execute(&filled).await;
    database.execute("VACUUM ANALYZE preview_sessions").await;
    let feed = if migrations.is_empty() {
        None
    } else {
        let lookup = PostgresLookup::builder(database.url()).build().unwrap();
        let layer = setup::layer(lookup.clone(), |builder| builder);
        let feed = lookup.change_feed().start(layer.cache()).unwrap();
        feed.listening().await;
        Some(feed)
    };
    if migrations == [PostgresDirectory::MIGRATION] {
        is_read(&database).await;
    }
    Level {
        name,
        database,
        _feed: feed,
    }
}

/// Waits until a machine reads the log.
async fn is_read(database: &Database) {
    database
        .eventually(
            "SELECT abs((last_value >> 18) - extract(epoch FROM clock_timestamp()) * 1000) < 1000
                 FROM preview_sessions_tower_ownership_lease",
        )
        .await;
}

fn script(pgbench: &Pgbench) -> std::path::PathBuf {
    let script = format!(
        "\\set n random(1, {ROWS})\n\\set m random(1, 1000000)\n\
         UPDATE preview_sessions SET container_id = 'm' || :m WHERE id = md5(:n::text)::uuid;\n"
    );
    pgbench.script("move.sql", &script)
}

fn rates(levels: &[Level], pgbench: &Pgbench) -> Table {
    let rounds = setting("ROUNDS", 9);
    let time = Duration::from_secs(1);
    let script = script(pgbench);
    let note = format!(
        "{rounds} rounds of 1 s, in which all take turns, with pgbench on the same cores; goal: at \
         least 0.55 of the rate without triggers"
    );
    let columns = ["changes, 1/s", "ratio to no trigger"];
    let mut table = Table::new(BENCH, "changes of owner", &note, &columns);
    for clients in CLIENTS {
        let mut found = vec![Vec::new(); levels.len()];
        for _ in 0..rounds {
            for (level, rates) in levels.iter().zip(&mut found) {
                let rate = block_in_place(|| pgbench.rate(&script, &level.database, clients, time));
                rates.push(rate);
            }
        }
        for (level, rates) in levels.iter().zip(&found) {
            let ratios = rates.iter().zip(&found[0]).map(|(rate, bare)| rate / bare);
            table.row(
                &format!("{}, {clients} clients", level.name),
                [
                    Some(Quartiles::of(rates.iter().copied())),
                    Some(Quartiles::of(ratios)),
                ],
            );
        }
    }
    table
}

/// A connection that listens, as those of other machines do.
async fn listener(database: &Database) -> JoinHandle<()> {
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("LISTEN tower_ownership")
        .await
        .unwrap();
    tokio::spawn(async move {
        let _client = client;
        drop(connection.await);
    })
}

async fn costs(cluster: &Cluster, levels: &[Level], pgbench: &Pgbench) -> Table {
    let rounds = setting("ROUNDS", 9).min(5);
    let time = Duration::from_secs(2);
    let script = script(pgbench);
    let note = format!(
        "processor time of the server for each change, medians of {rounds} runs of 2 s with 8 clients"
    );
    let columns = ["us, 1 listener", "us, 101 listeners"];
    let mut table = Table::new(BENCH, "what a change costs the server", &note, &columns);
    for level in &levels[1..] {
        let mut found = [const { Vec::new() }; 2];
        for _ in 0..rounds {
            for (listeners, costs) in LISTENERS.iter().zip(&mut found) {
                let mut listening = Vec::new();
                for _ in 0..*listeners {
                    listening.push(listener(&level.database).await);
                }
                let before = Work::now(cluster, &level.database).await;
                let began = Instant::now();
                let rate = block_in_place(|| pgbench.rate(&script, &level.database, 8, time));
                let took = began.elapsed().min(time);
                let work = Work::now(cluster, &level.database).await.since(before);
                costs.push(work.seconds * 1e6 / (rate * took.as_secs_f64()));
                listening.iter().for_each(JoinHandle::abort);
            }
        }
        table.row(level.name, found.map(|costs| Some(Quartiles::of(costs))));
    }
    table
}

async fn latencies(cluster: &Cluster, pgbench: &Pgbench) -> Table {
    let changes = setting("CHANGES", 500);
    let note = format!(
        "{changes} changes, one after the other, from the commit's acknowledgement; goal: 99 % within \
         50 ms"
    );
    let columns = ["median, ms", "90 %, ms", "99 %, ms", "slowest, ms"];
    let title = "to the session gone from the cache, ownership level";
    let mut table = Table::new(BENCH, title, &note, &columns);
    let script = script(pgbench);
    let level = level(cluster, "ownership level", &[PostgresDirectory::MIGRATION]).await;
    let database = &level.database;
    let id = database.insert(&PreviewSession::owned_by(ME)).await;
    for (name, clients) in [("nothing else changes", 0), ("8 clients change others", 8)] {
        let times = thread::scope(|threads| {
            let load = (clients > 0).then(|| {
                threads.spawn(|| {
                    pgbench.rate(&script, database, clients, Duration::from_secs(15));
                })
            });
            let times = block_in_place(|| {
                tokio::runtime::Handle::current().block_on(times(database, id, changes))
            });
            drop(load.map(thread::ScopedJoinHandle::join));
            times
        });
        let at = |percent: usize| {
            let time = times[(times.len() - 1) * percent / 100];
            Some(Quartiles::exactly((time * 100.0).round() / 100.0))
        };
        table.row(name, [at(50), at(90), at(99), at(100)]);
    }
    table
}

/// Milliseconds from each commit until the session is forgotten, in order. At most ten seconds of it.
async fn times(database: &Database, id: Uuid, changes: usize) -> Vec<f64> {
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    let layer = setup::layer(lookup.clone(), |builder| builder);
    let (service, cache) = (layer.layer(service_fn(hello)), layer.cache());
    let feed = lookup.change_feed().start(cache.clone()).unwrap();
    feed.listening().await;
    let writer = database.client().await;
    let moves = writer
        .prepare("UPDATE preview_sessions SET container_id = $2 WHERE id = $1")
        .await
        .unwrap();
    let began = Instant::now();
    let mut times = Vec::new();
    for change in 0..changes {
        if began.elapsed().as_secs() >= 10 {
            break;
        }
        let asked = service.clone().oneshot(plain_request(&id.into())).await;
        asked.unwrap();
        let owner = format!("machine-{change}");
        writer.execute(&moves, &[&id, &owner]).await.unwrap();
        let committed = Instant::now();
        while !cache.is_empty() {
            assert!(committed.elapsed().as_secs() < 10, "never heard of");
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        times.push(committed.elapsed().as_secs_f64() * 1e3);
    }
    feed.stop().await;
    times.sort_by(f64::total_cmp);
    times
}
