//! A thousand requests at once for a session that is not in the cache.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{PostgresLookup, SessionId, SessionLookup as _, lookup_fn};
use uuid::Uuid;

use crate::{
    BENCH,
    common::{
        quartiles::Quartiles,
        setup::{self, ME, hello, plain_request},
        table::Table,
    },
    support::{database::Database, postgres::Cluster},
};

const REQUESTS: usize = 1_000;
const REPEATS: usize = 40;

pub(crate) fn table() -> Table {
    let note = format!(
        "{REQUESTS} requests at once, {REPEATS} times, each time for another session in a real \
         PostgreSQL; from the first request to the last answer; goal: 1 query, 5 ms"
    );
    let columns = ["queries", "ms", "ms of one request alone"];
    let mut table = Table::new(BENCH, "a stampede to a cold session", &note, &columns);
    let quiet = vec!["log_statement=none".to_owned()];
    let cluster = Cluster::prepared(|_| quiet).expect("PostgreSQL");
    let current = Builder::new_current_thread().enable_all().build();
    let two = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    for (name, runtime) in [("one thread", current), ("two threads", two)] {
        let cells = measure(&runtime.expect("a runtime"), &cluster);
        table.row(name, cells.map(Some));
    }
    table
}

fn measure(runtime: &Runtime, cluster: &Cluster) -> [Quartiles; 3] {
    runtime.block_on(async {
        let database = cluster.database().await;
        let ids = sessions(&database).await;
        let lookup = PostgresLookup::builder(database.url()).build();
        let lookup = Arc::new(lookup.expect("a lookup"));
        let asked = Arc::new(AtomicU32::new(0));
        let counted = {
            let asked = Arc::clone(&asked);
            lookup_fn(move |id| {
                asked.fetch_add(1, Ordering::Relaxed);
                let lookup = Arc::clone(&lookup);
                async move { lookup.session(id).await }
            })
        };
        let service = setup::layer(counted, |builder| builder).layer(service_fn(hello));
        let crowd = async |id: SessionId, count: usize| {
            let service = service.clone();
            // The crowd is not the test's own task, which would be woken in another way.
            let crowd = tokio::spawn(async move {
                let begin = Instant::now();
                let mut requests = JoinSet::new();
                for _ in 0..count {
                    let answer = service.clone().oneshot(plain_request(&id));
                    requests.spawn(answer);
                }
                for answer in requests.join_all().await {
                    let Ok::<_, Infallible>(answer) = answer;
                    assert!(answer.status().is_success());
                }
                begin.elapsed()
            });
            milliseconds(crowd.await.expect("no panic"))
        };
        let (mut queries, mut times, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        // The first makes the connection.
        crowd(ids[0].clone(), 1).await;
        for pair in ids[1..].chunks_exact(2) {
            alone.push(crowd(pair[0].clone(), 1).await);
            asked.store(0, Ordering::Relaxed);
            times.push(crowd(pair[1].clone(), REQUESTS).await);
            queries.push(f64::from(asked.load(Ordering::Relaxed)));
        }
        [queries, times, alone].map(Quartiles::of)
    })
}

async fn sessions(database: &Database) -> Vec<SessionId> {
    database.incident_table().await;
    let filled = format!(
        "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             SELECT gen_random_uuid(), 'active', '{ME}', now() + interval '1 day'
             FROM generate_series(1, {})",
        2 * REPEATS + 1
    );
    database.execute(&filled).await;
    let client = database.client().await;
    let rows = client.query("SELECT id FROM preview_sessions", &[]).await;
    let rows = rows.expect("ids");
    rows.iter()
        .map(|row| row.get::<_, Uuid>(0).into())
        .collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
