//! A machine with many sessions dies, and its clients ask the others for all of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tower_ownership::PostgresDirectory;
use uuid::Uuid;

use super::{
    BENCH,
    crowd::{Edge, Healthy, Refusals, Server, TakeOvers, take_over, visit},
    server::Work,
    setting,
};
use crate::common::{quartiles::Quartiles, table::Table};
use crate::support::database::Database;
use crate::support::postgres::Cluster;

/// With none, the row shows what requests for healthy sessions cost alone.
const OWNED: [usize; 5] = [0, 2_000, 10_000, 50_000, 200_000];
const SURVIVORS: usize = 3;
/// So many sessions each of the others owns.
const HEALTHY: usize = 2_000;

/// What is set by default.
const SILENCE: Duration = Duration::from_secs(15);
const F: Duration = Duration::from_secs(5);

/// So many clients ask for the dead machine's sessions, again so long after a refusal.
const CLIENTS: usize = 256;
const AGAIN: Duration = Duration::from_secs(1);

/// So many clients ask for healthy sessions, each so long after its last answer.
const HEALTHY_CLIENTS: usize = 16;
const PAUSE: Duration = Duration::from_millis(5);

/// What one death brought about.
struct Death {
    /// From when the machine was lost, and a wait had passed, to when the last was served.
    last: Option<f64>,
    never: usize,
    work: Work,
    /// For how long the server was watched.
    watched: Duration,
    healthy_clients: Healthy,
    /// Sessions of healthy machines that have another owner now.
    taken: i64,
    failed_beats: u32,
}

pub(crate) async fn measure(cluster: &Cluster) -> Table {
    let rounds = setting("DEATHS", 3);
    let most = setting("DEATHS_OF_AT_MOST", 200_000);
    let note = format!(
        "{rounds} rounds with the default silence of {} s and F of {} s; {CLIENTS} clients at once \
         ask {SURVIVORS} other machines for the dead one's sessions from when it is lost, again \
         {} s after a refusal, while {HEALTHY_CLIENTS} ask for the others' {} sessions; the last one is \
         served so long after silence + F; transactions and processor time are the server's, for \
         both",
        SILENCE.as_secs(),
        F.as_secs(),
        AGAIN.as_secs(),
        SURVIVORS * HEALTHY,
    );
    let columns = [
        "last served, s",
        "never served",
        "transactions",
        "server CPU, s",
        "in so many s",
        "healthy asked",
        "healthy refused",
        "slowest healthy, ms",
        "healthy taken",
        "beats failed",
    ];
    let title = "a machine dies with many sessions";
    let mut table = Table::new(BENCH, title, &note, &columns);
    for owned in OWNED.into_iter().filter(|owned| *owned <= most) {
        let mut deaths = Vec::new();
        for _ in 0..rounds {
            deaths.push(one(cluster, owned).await);
        }
        let by = |value: fn(&Death) -> f64| Some(Quartiles::of(deaths.iter().map(value)));
        let are_served = owned > 0 && deaths.iter().all(|death| death.last.is_some());
        let last = by(|death| death.last.unwrap_or_default());
        table.row(
            &format!("of {owned} sessions"),
            [
                last.filter(|_| are_served),
                by(|death| death.never as f64),
                by(|death| death.work.transactions),
                by(|death| death.work.seconds),
                by(|death| death.watched.as_secs_f64()),
                by(|death| death.healthy_clients.asked as f64),
                by(|death| count(&death.healthy_clients.refusals) as f64),
                by(|death| death.healthy_clients.slowest.as_millis() as f64),
                by(|death| death.taken as f64),
                by(|death| death.failed_beats.into()),
            ],
        );
    }
    table
}

async fn one(cluster: &Cluster, owned: usize) -> Death {
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let dead = Server::start(&database, 0).await;
    let mut survivors = Vec::new();
    for number in 1..=SURVIVORS {
        survivors.push(Server::start(&database, number).await);
    }
    let survivors: Arc<[_]> = survivors.into();
    let left = sessions(&database, &dead.id, owned).await;
    let mut healthy = Vec::new();
    for server in survivors.iter() {
        healthy.extend(sessions(&database, &server.id, HEALTHY).await);
    }
    database
        .execute("VACUUM ANALYZE preview_sessions, ownership_machines")
        .await;

    let edge = Edge::of(survivors.iter());
    let stop = Arc::new(AtomicBool::new(false));
    let healthy_clients = tokio::spawn({
        let (edge, stop) = (edge.clone(), Arc::clone(&stop));
        async move { visit(&edge, &healthy.into(), HEALTHY_CLIENTS, PAUSE, &stop).await }
    });
    let name = dead.id.clone();
    let lost = Instant::now() + SILENCE.saturating_sub(dead.presence.health().last_beat);
    // Ends the beats without a last write, as a killed process does.
    drop(dead);
    tokio::time::sleep_until(lost.into()).await;

    let before = Work::now(cluster, &database).await;
    let beats = watch_beats(&survivors, &stop);
    // Some thousand claims a second are what such a server can do.
    let patience = Duration::from_secs(20) + Duration::from_millis(owned as u64);
    let take_overs = take_over(&edge, &left, CLIENTS, AGAIN, lost + F + patience).await;
    if owned == 0 {
        tokio::time::sleep(SILENCE).await;
    }
    stop.store(true, Ordering::Relaxed);
    let healthy_clients = healthy_clients.await.expect("requests");
    let failed_beats = beats.await.expect("beats");
    let watched = lost.elapsed();
    let taken = taken(&database, &name).await;
    // With their connections, whose backends then report what they did.
    drop((edge, survivors));
    while database.connections().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = Work::now(cluster, &database).await;
    let death = Death {
        last: last_served(&take_overs, owned, lost),
        never: owned - take_overs.served.len(),
        work: after.since(before),
        watched,
        healthy_clients,
        taken,
        failed_beats,
    };
    tell(owned, &death, &take_overs.refusals);
    death
}

/// How many beats of all servers fail, until `stop`.
fn watch_beats(servers: &Arc<[Server]>, stop: &Arc<AtomicBool>) -> JoinHandle<u32> {
    const OFTEN: Duration = Duration::from_millis(50);
    let (servers, stop) = (Arc::clone(servers), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut failed, mut in_a_row) = (0, [0; SURVIVORS]);
        while !stop.load(Ordering::Relaxed) {
            for (server, before) in servers.iter().zip(&mut in_a_row) {
                let now = server.presence.health().failures;
                failed += now.saturating_sub(*before);
                *before = now;
            }
            tokio::time::sleep(OFTEN).await;
        }
        failed
    })
}

/// How long after the machine was lost, and F had passed, the last session was served.
fn last_served(take_overs: &TakeOvers, owned: usize, lost: Instant) -> Option<f64> {
    let all = &take_overs.served;
    let latest = all.iter().max().filter(|_| all.len() == owned)?;
    Some((*latest - lost).as_secs_f64() - F.as_secs_f64())
}

/// How many of the sessions that were born with an owner that is well had another one since.
async fn taken(database: &Database, dead: &str) -> i64 {
    let row = database.client().await;
    let row = row
        .query_one(
            "SELECT count(*) FROM preview_sessions \
             WHERE tier <> $1 AND container_id IS DISTINCT FROM tier",
            &[&dead],
        )
        .await;
    row.expect("a count").get(0)
}

fn count(refusals: &Refusals) -> usize {
    refusals.values().sum()
}

fn tell(owned: usize, death: &Death, refusals: &Refusals) {
    eprintln!(
        "of {owned}: last {:?} s, {} never; {:.0} transactions, {:.1} s of the processor in {:.1} \
         s; refused {refusals:?}; healthy asked {}, refused {:?}, slowest {:?}; {} taken; \
         {} beats failed",
        death.last,
        death.never,
        death.work.transactions,
        death.work.seconds,
        death.watched.as_secs_f64(),
        death.healthy_clients.asked,
        death.healthy_clients.refusals,
        death.healthy_clients.slowest,
        death.taken,
        death.failed_beats,
    );
}

/// So many sessions of a machine.
async fn sessions(database: &Database, owner: &str, count: usize) -> Vec<Uuid> {
    let insert = format!(
        "INSERT INTO preview_sessions (id, status, container_id, tier, expires_at)
         SELECT gen_random_uuid(), 'active', '{owner}', '{owner}', now() + interval '1 day'
         FROM generate_series(1, {count}) RETURNING id"
    );
    let rows = database.client().await.query(&insert, &[]).await;
    rows.expect("sessions")
        .iter()
        .map(|row| row.get(0))
        .collect()
}
