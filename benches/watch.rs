//! How soon a change is heard of, and what hearing costs the writers: `cargo bench --bench watch`.
//!
//! # What is measured
//! - From the moment at which a writer has the server's word that its change of a session's owner
//!   is committed, to the moment at which the session is gone from the layer's cache. Nothing else
//!   uses the server meanwhile. A notification may come before that word: then it is 0.
//! - Updates a second by `pgbench` (left out if it is not installed) that do not change an owner,
//!   on a table without the triggers and on one with them, in pairs of runs, in turns which goes
//!   first. Once the statement names only the column that it changes, once every column, as some
//!   mappers do. The server does not wait for its disk, which is the harshest case for a trigger.
//!
//! More or fewer changes, pairs of runs, and their seconds: `CHANGES=2000 ROUNDS=9 SECONDS=1`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

mod common;
#[path = "common/pgbench.rs"]
mod pgbench;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use common::{
    quartiles::Quartiles,
    setup::{self, ME, hello, plain_request},
    table::{self, Table},
};
use pgbench::Pgbench;
use support::{database::Database, incident::PreviewSession, postgres::Cluster};
use tokio::runtime::Builder;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{PostgresLookup, postgres::PostgresFeed};

const BENCH: &str = "watch";
const ROWS: u32 = 100_000;
const CLIENTS: [u32; 3] = [1, 8, 32];

/// By callgrind, of a server process in single-user mode.
const WHERE_IT_GOES: &str = "Instructions of the server for an UPDATE that names every column: 119,000 \
     without triggers, 22,000 more to call one that does nothing, 31,000 to compare six columns in it. In \
     a WHEN of the trigger, which is parsed anew for each statement, a shorter comparison took 86,000";

fn main() {
    table::begin(BENCH);
    let quiet = ["shared_buffers=256MB", "log_statement=none"];
    let cluster = Cluster::prepared(|_| quiet.map(ToOwned::to_owned).to_vec());
    let cluster = cluster.expect("PostgreSQL");
    latency(&cluster).publish();
    if let Some(pgbench) = Pgbench::find(&cluster) {
        writers(&cluster, &pgbench).publish();
    }
}

fn latency(cluster: &Cluster) -> Table {
    let changes = setting("CHANGES", 2_000);
    // Not the thread that looks into the cache: it does nothing else.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut times = runtime.block_on(async {
        let database = database(cluster, true).await;
        let id = database.insert(&PreviewSession::owned_by(ME)).await;
        let lookup = PostgresLookup::builder(database.url()).build();
        let lookup = lookup.expect("a lookup");
        let layer = setup::layer(lookup.clone(), |builder| builder);
        let (service, cache) = (layer.layer(service_fn(hello)), layer.cache());
        let watch = lookup.change_feed().start(cache.clone()).expect("a watch");
        watch.listening().await;
        let writer = database.client().await;
        let move_away = "UPDATE preview_sessions SET container_id = $2 WHERE id = $1";
        let move_away = writer.prepare(move_away).await.expect("a statement");
        let mut times = Vec::new();
        for change in 0..changes {
            let asked = service.clone().oneshot(plain_request(&id.into())).await;
            asked.expect("an answer");
            assert!(!cache.is_empty());
            let owner = format!("machine-{change}");
            let moved = writer.execute(&move_away, &[&id, &owner]).await;
            let committed = Instant::now();
            assert_eq!(moved.expect("a change"), 1);
            while !cache.is_empty() {
                assert!(committed.elapsed().as_secs() < 10, "never heard of");
                thread::yield_now();
            }
            times.push(committed.elapsed().as_secs_f64() * 1e6);
        }
        watch.stop().await;
        times
    });
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        Some(Quartiles::exactly(
            times[(times.len() - 1) * percent / 100].round(),
        ))
    };
    let note = format!(
        "{changes} changes, one after the other, on an idle server; goal: 99 % within 1000 us"
    );
    let columns = ["median, us", "90 %, us", "99 %, us", "slowest, us"];
    let title = "from the commit's acknowledgement";
    let mut table = Table::new(BENCH, title, &note, &columns);
    table.row(
        "to the session gone from the cache",
        [at(50), at(90), at(99), at(100)],
    );
    table
}

/// Updates of one kind by so many clients.
struct Kind {
    name: String,
    clients: u32,
    script: PathBuf,
    pairs: Vec<[f64; 2]>,
}

fn writers(cluster: &Cluster, pgbench: &Pgbench) -> Table {
    let rounds = setting("ROUNDS", 9);
    let time = Duration::from_secs(setting("SECONDS", 1));
    let runtime = Builder::new_current_thread().enable_all().build();
    let [without, with] = runtime.expect("a runtime").block_on(async {
        [
            database(cluster, false).await,
            database(cluster, true).await,
        ]
    });
    let script = |name, columns| {
        let script = format!(
            "\\set n random(1, {ROWS})\n\
             UPDATE preview_sessions SET tier = 't' || :n{columns} WHERE id = md5(:n::text)::uuid;\n"
        );
        pgbench.script(name, &script)
    };
    let all = ", id = id, status = status, container_id = container_id, \
               container_url = container_url, expires_at = expires_at, ended_at = ended_at";
    let mut kinds = Vec::new();
    for (name, script) in [
        ("its own column", script("one.sql", "")),
        ("every column", script("all.sql", all)),
    ] {
        kinds.extend(CLIENTS.map(|clients| Kind {
            name: format!("{clients} clients, naming {name}"),
            clients,
            script: script.clone(),
            pairs: Vec::new(),
        }));
    }
    for round in 0..rounds {
        for kind in &mut kinds {
            let rate = |database| pgbench.rate(&kind.script, database, kind.clients, time);
            let pair = if round % 2 == 0 {
                let without = rate(&without);
                [without, rate(&with)]
            } else {
                let with = rate(&with);
                [rate(&without), with]
            };
            kind.pairs.push(pair);
        }
    }
    let note = format!(
        "{rounds} pairs of runs of {} s; goal: at least 0.95. {WHERE_IT_GOES}",
        time.as_secs()
    );
    let columns = ["without triggers, 1/s", "with triggers, 1/s", "ratio"];
    let title = "updates that change no owner";
    let mut table = Table::new(BENCH, title, &note, &columns);
    for kind in &kinds {
        let by = |value: fn(&[f64; 2]) -> f64| Some(Quartiles::of(kind.pairs.iter().map(value)));
        let ratio = by(|[without, with]| with / without);
        table.row(&kind.name, [by(|pair| pair[0]), by(|pair| pair[1]), ratio]);
    }
    table
}

/// The incident's table with sessions in it.
async fn database(cluster: &Cluster, triggers: bool) -> Database {
    let database = cluster.database().await;
    database.incident_table().await;
    let filled = format!(
        "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             SELECT md5(n::text)::uuid, 'active', 'm' || n % 100, now() + interval '1 day'
             FROM generate_series(1, {ROWS}) AS n"
    );
    database.execute(&filled).await;
    if triggers {
        database.execute(PostgresFeed::MIGRATION).await;
    }
    database.execute("VACUUM ANALYZE preview_sessions").await;
    database
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
