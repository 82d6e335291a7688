//! Claims, beside the bare update.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::future::join3;
use tokio::task::JoinSet;
use tokio_postgres::{Client, types::Type};
use tower_ownership::{PostgresDirectory, Session, SessionDirectory as _, SessionStatus};
use uuid::Uuid;

use super::{BENCH, fleet::Machine, setting};
use crate::common::{quartiles::Quartiles, setup::ME, table::Table};
use crate::support::database::{Database, connect};
use crate::support::postgres::Cluster;

const CLIENTS: [usize; 2] = [1, 8];
const UPDATE: &str = "UPDATE preview_sessions SET container_id = $2 \
     WHERE id = $1 AND container_id IS NULL AND status = 'active'";

/// So many sessions each client claims in a run.
const EACH: usize = 400;

/// By callgrind, of a server process in single-user mode with the settings of a prepared statement that has
/// its plan.
const WHERE_IT_GOES: &str = "Of 469,000 instructions of the server for a claim, 279,000 are the UPDATE \
     with its triggers, 73,000 return the session, 28,000 bound the wait for locks, 24,000 lock the \
     machine's row, so that a drain sees each claim, 23,000 make the id a value of the owner's type, \
     and 42,000 read the machine's row and check the session";

/// By what a session is taken.
#[derive(Clone, Copy)]
enum How {
    Update,
    UpdateInTransaction,
    Claim,
}

struct Contender {
    name: &'static str,
    how: How,
    migrated: bool,
}

const CONTENDERS: [Contender; 4] = [
    Contender {
        name: "UPDATE, no triggers",
        how: How::Update,
        migrated: false,
    },
    Contender {
        name: "UPDATE, with the triggers",
        how: How::Update,
        migrated: true,
    },
    Contender {
        name: "UPDATE, with the triggers, sent as a claim through a pooler is",
        how: How::UpdateInTransaction,
        migrated: true,
    },
    Contender {
        name: "claim",
        how: How::Claim,
        migrated: true,
    },
];

pub(crate) async fn measure(cluster: &Cluster) -> Table {
    let rounds = setting("ROUNDS", 15);
    let [plain, migrated] = [cluster.database().await, cluster.database().await];
    plain.incident_table().await;
    migrated.incident_table().await;
    migrated.execute(PostgresDirectory::MIGRATION).await;
    let machine = Machine::start(&migrated).await;
    let note = format!(
        "{rounds} rounds of {EACH} sessions a client; ratios, of rates, are taken within a round; \
         the machine keeps its presence, which a claim checks; goal: 0.95 of the UPDATE with triggers. \
         {WHERE_IT_GOES}"
    );
    let columns = [
        "a second",
        "us each",
        "ratio to UPDATE",
        "ratio to UPDATE with triggers",
    ];
    let title = "sessions that are taken";
    let mut table = Table::new(BENCH, title, &note, &columns);
    for clients in CLIENTS {
        let mut rates = [const { Vec::new() }; CONTENDERS.len()];
        for _ in 0..rounds {
            for (contender, rates) in CONTENDERS.iter().zip(&mut rates) {
                let database = if contender.migrated {
                    &migrated
                } else {
                    &plain
                };
                rates.push(rate(database, contender.how, &machine, clients).await);
            }
        }
        for (at, contender) in CONTENDERS.iter().enumerate() {
            let to = |yardstick: usize| {
                let pairs = rates[at].iter().zip(&rates[yardstick]);
                Some(Quartiles::of(
                    pairs.map(|(rate, yardstick)| rate / yardstick),
                ))
            };
            let name = format!("{}, {clients} at once", contender.name);
            table.row(
                &name,
                [
                    Some(Quartiles::of(rates[at].iter().copied())),
                    Some(Quartiles::of(
                        rates[at].iter().map(|rate| clients as f64 * 1e6 / rate),
                    )),
                    to(0),
                    contender.migrated.then(|| to(1)).flatten(),
                ],
            );
        }
    }
    drop(machine.presence);
    table
}

/// How many sessions a second so many clients take.
async fn rate(database: &Database, how: How, machine: &Machine, clients: usize) -> f64 {
    let ids = sessions(database, EACH * clients).await;
    let next = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(tokio::sync::Barrier::new(clients + 1));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (ids, next, ready) = (Arc::clone(&ids), Arc::clone(&next), Arc::clone(&ready));
        let id = move || ids.get(next.fetch_add(1, Ordering::Relaxed)).copied();
        match how {
            How::Claim => {
                let (directory, me) = (machine.directory.clone(), machine.node.machine().clone());
                running.spawn(async move {
                    ready.wait().await;
                    while let Some(id) = id() {
                        let seen = Session::new(id.into(), SessionStatus::Active);
                        let claimed = directory.claim(seen, me.clone()).await;
                        assert_eq!(claimed.unwrap().unwrap().session.owner(), Some(&me));
                    }
                });
            }
            How::Update | How::UpdateInTransaction => {
                let url = database.url();
                running.spawn(async move {
                    let client = connect(&url).await.unwrap();
                    let update = client
                        .prepare_typed(UPDATE, &[Type::UUID, Type::TEXT])
                        .await;
                    let update = update.unwrap();
                    ready.wait().await;
                    while let Some(id) = id() {
                        let taken = match how {
                            How::Update => client.execute(&update, &[&id, &ME]).await.unwrap(),
                            _ => update_in_transaction(&client, id).await,
                        };
                        assert_eq!(taken, 1);
                    }
                });
            }
        }
    }
    // Connections are open, and statements prepared.
    ready.wait().await;
    let began = Instant::now();
    running.join_all().await;
    ids.len() as f64 / began.elapsed().as_secs_f64()
}

/// All three statements are sent at once, and nothing is prepared.
async fn update_in_transaction(client: &Client, id: Uuid) -> u64 {
    let start =
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = 720";
    let (start, taken, end) = join3(
        client.batch_execute(start),
        client.execute_typed(UPDATE, &[(&id, Type::UUID), (&ME, Type::TEXT)]),
        client.batch_execute("COMMIT"),
    )
    .await;
    start.and(end).unwrap();
    taken.unwrap()
}

/// So many sessions without an owner.
async fn sessions(database: &Database, count: usize) -> Arc<[Uuid]> {
    let insert = format!(
        "INSERT INTO preview_sessions (id, status, expires_at)
         SELECT gen_random_uuid(), 'active', now() + interval '1 day'
         FROM generate_series(1, {count}) RETURNING id"
    );
    let rows = database.client().await.query(&insert, &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}
