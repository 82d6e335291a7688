//! Lookups, with the owner's presence and without.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tower_ownership::{
    OwnerStatus, PostgresDirectory, PostgresLookup, SessionId, SessionLookup as _,
    postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use super::{BENCH, setting};
use crate::common::{dice::Dice, quartiles::Quartiles, table::Table};
use crate::support::database::Database;
use crate::support::postgres::Cluster;

const ROWS: u32 = 100_000;
const MACHINES: u32 = 1_000;
const WAITING: [usize; 2] = [1, 64];
const TIME: Duration = Duration::from_millis(300);

/// By callgrind, of a server process in single-user mode.
const WHERE_IT_GOES: &str = "Instructions of the server for one session, prepared: 106,000 without; 27,000 \
     more to say whether it is a standby, 24,000 for the epoch, the release and the epoch's owner, 60,000 \
     for the owner's row, and 43,000 for the conditions under which a silent owner is lost and a missing \
     one never seen, which are set up but not run. Unprepared, with their plans: 358,000, 124,000, 118,000, \
     396,000 and 611,000";

pub(crate) async fn measure(cluster: &Cluster) -> Table {
    let rounds = setting("ROUNDS", 15);
    let database = cluster.database().await;
    let ids = fill(&database).await;
    let note = format!(
        "{rounds} pairs of runs of {} ms, in turns which goes first; {ROWS} sessions of {MACHINES} \
         machines; goal: 1.1 times the time. {WHERE_IT_GOES}",
        TIME.as_millis()
    );
    let columns = ["without, us", "with, us", "times"];
    let title = "a lookup with the owner's presence";
    let mut table = Table::new(BENCH, title, &note, &columns);
    let url = database.url();
    for (how, url) in [
        ("prepared", url.clone()),
        ("unprepared", format!("{url}?pgbouncer=true")),
    ] {
        let builder = || PostgresLookup::builder(url.as_str());
        let [without, with] = [builder(), builder().ownership()].map(build);
        for waiting in WAITING {
            let mut pairs = Vec::new();
            for round in 0..rounds {
                let mut pair = [0.0; 2];
                // None is silent, as a machine is whose beat is too old, or ahead.
                database
                    .execute("UPDATE ownership_machines SET beat_at = now()")
                    .await;
                for turn in [round % 2, (round + 1) % 2] {
                    let presence = [OwnerStatus::Unknown, OwnerStatus::Alive][turn];
                    let lookup = [&without, &with][turn];
                    pair[turn] = time(lookup, &ids, waiting, presence).await;
                }
                pairs.push(pair);
            }
            let by = |value: fn(&[f64; 2]) -> f64| Some(Quartiles::of(pairs.iter().map(value)));
            let cells = [
                by(|pair| pair[0]),
                by(|pair| pair[1]),
                by(|[without, with]| with / without),
            ];
            table.row(&format!("{how}, {waiting} waiting"), cells);
        }
    }
    table
}

fn build(builder: PostgresLookupBuilder) -> PostgresLookup {
    builder.build().expect("a lookup")
}

async fn fill(database: &Database) -> Arc<[Uuid]> {
    database.incident_table().await;
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status, container_id, container_url, expires_at)
             SELECT md5(n::text)::uuid, 'active', 'm' || n % {MACHINES}, 'https://m.example.com',
                 now() + interval '1 day'
             FROM generate_series(1, {ROWS}) AS n"
        ))
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
        .execute(&format!(
            "INSERT INTO ownership_machines (machine_id, boot_id, beat_at)
             SELECT 'm' || n, gen_random_uuid(), now()
             FROM generate_series(0, {MACHINES} - 1) AS n"
        ))
        .await;
    database
        .execute("VACUUM ANALYZE preview_sessions, ownership_machines")
        .await;
    let rows = database.client().await;
    let rows = rows.query("SELECT id FROM preview_sessions", &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// How many microseconds each of so many tasks waits for a lookup, shared by all of them.
async fn time(
    lookup: &PostgresLookup,
    ids: &Arc<[Uuid]>,
    waiting: usize,
    presence: OwnerStatus,
) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for seed in 0..waiting {
        let (lookup, ids) = (lookup.clone(), Arc::clone(ids));
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        running.spawn(async move {
            let mut dice = Dice::new(seed as u64);
            while !stop.load(Ordering::Relaxed) {
                let id = SessionId::new(ids[dice.below(ROWS)]);
                let found = lookup.session(id).await.unwrap().unwrap();
                assert_eq!(found.owner_status(), presence);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Until connections are open and statements prepared.
    tokio::time::sleep(TIME / 5).await;
    let (began, before) = (Instant::now(), count.load(Ordering::Relaxed));
    tokio::time::sleep(TIME).await;
    let (took, done) = (began.elapsed(), count.load(Ordering::Relaxed) - before);
    stop.store(true, Ordering::Relaxed);
    running.join_all().await;
    took.as_secs_f64() * 1e6 / done as f64
}
