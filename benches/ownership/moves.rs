//! How long no machine serves a session, when its owner ends.

use std::time::{Duration, Instant};

use serde_json::Value;
use tower_ownership::{PostgresDirectory, testing::FlyEdge};
use uuid::Uuid;

use super::{BENCH, setting};
use crate::common::{quartiles::Quartiles, table::Table};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::postgres::Cluster;

const MACHINES: [&str; 2] = ["148ed599c14189", "e2863555a91708"];
const LONG: Duration = Duration::from_secs(60);

/// How a fleet is set up, in milliseconds.
struct Fleet {
    freshness: u32,
    beat: u32,
    lost_after: u32,
}

const DEFAULTS: Fleet = Fleet {
    freshness: 5_000,
    beat: 3_000,
    lost_after: 15_000,
};

const SHORT: Fleet = Fleet {
    freshness: 1_000,
    beat: 500,
    lost_after: 2_000,
};

/// How the owner ends.
#[derive(Clone, Copy)]
enum End {
    Kill,
    Stop,
}

pub(crate) async fn measure(cluster: &Cluster) -> Table {
    let note = "one session, one client that asks again at once; from the signal to the first \
         answer of the other machine; goals: silence, a heartbeat of another machine, the wait for the lease TTL, and 1 s after \
         SIGKILL; 200 ms after SIGTERM";
    let columns = ["rounds", "ms", "slowest, ms", "goal, ms"];
    let title = "from a machine's end to the first good answer";
    let mut table = Table::new(BENCH, title, note, &columns);
    for (name, end, fleet, rounds) in [
        (
            "from SIGKILL to the first good answer: lost after 15 s, F 5 s",
            End::Kill,
            DEFAULTS,
            setting("KILLS_BY_DEFAULT", 3),
        ),
        (
            "from SIGKILL to the first good answer: lost after 2 s, F 1 s",
            End::Kill,
            SHORT,
            setting("KILLS", 10),
        ),
        (
            "from a drain to the first good answer: SIGTERM",
            End::Stop,
            DEFAULTS,
            setting("DRAINS", 20),
        ),
    ] {
        let times = times(cluster, end, &fleet, rounds).await;
        let goal = match end {
            // What clocks may be wrong by: see the manual's guarantees.
            End::Kill => {
                let slack = 4 + fleet.freshness / 1_000 + (fleet.freshness / 5).min(1_000);
                fleet.lost_after + fleet.beat + fleet.freshness + slack + 1_000
            }
            End::Stop => 200,
        };
        let slowest = times.iter().copied().fold(0.0, f64::max);
        let cells = [
            Quartiles::exactly(rounds as f64),
            Quartiles::of(times),
            Quartiles::exactly(slowest.round()),
            Quartiles::exactly(goal.into()),
        ];
        table.row(name, cells.map(Some));
    }
    table
}

async fn times(cluster: &Cluster, end: End, fleet: &Fleet, rounds: usize) -> Vec<f64> {
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let insert = "INSERT INTO preview_sessions (id, status) VALUES (gen_random_uuid(), 'active')
         RETURNING id";
    let row = database.client().await.query_one(insert, &[]).await;
    let session: Uuid = row.expect("a session").get(0);
    // What it logs takes no part in this.
    let edge = FlyEdge::builder().log_capacity(16).start().await;
    let edge = edge.expect("an edge");
    let client = Client::new(edge.url(&format!("/session/{session}/x")));
    let mut machines = Vec::new();
    for machine in MACHINES {
        let container = fleet.container(machine, &database);
        client.is_ready(&container).await;
        edge.add(machine, container.addr);
        machines.push(container);
    }
    let (mut owner, _) = client.served().await;
    let mut times = Vec::new();
    for round in 0..rounds {
        let at = MACHINES.iter().position(|machine| *machine == owner);
        let at = at.expect("one of the two");
        let began = Instant::now();
        match end {
            End::Kill => machines[at].kill(),
            End::Stop => machines[at].ask_to_stop(),
        }
        let (next, served) = loop {
            // A machine that is asked to stop serves until the signal arrives.
            let (machine, served) = client.served().await;
            if machine != owner {
                break (machine, served);
            }
        };
        times.push((served - began).as_secs_f64() * 1e3);
        eprintln!("round {} of {rounds} done", round + 1);
        // The one that ended is started again, under its id.
        edge.remove(MACHINES[at]);
        let ended = std::mem::replace(&mut machines[at], fleet.container(MACHINES[at], &database));
        tokio::task::spawn_blocking(move || ended.exit_status())
            .await
            .expect("an end");
        client.is_ready(&machines[at]).await;
        edge.add(MACHINES[at], machines[at].addr);
        owner = next;
    }
    edge.shutdown().await;
    times
}

impl Fleet {
    fn container(&self, machine: &str, database: &Database) -> Container {
        Container::start(&[
            ("MACHINE_ID", machine),
            ("DATABASE_URL", &database.url()),
            ("OWNERSHIP_LIFE", "on"),
            ("OWNERSHIP_FRESHNESS_MS", &self.freshness.to_string()),
            ("OWNERSHIP_BEAT_MS", &self.beat.to_string()),
            ("OWNERSHIP_LOST_AFTER_MS", &self.lost_after.to_string()),
        ])
    }
}

struct Client {
    client: reqwest::Client,
    url: String,
}

impl Client {
    fn new(url: String) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(LONG).build();
        Self {
            client: client.expect("a client"),
            url,
        }
    }

    /// Asks until a machine serves the session; which one, and when.
    async fn served(&self) -> (String, Instant) {
        let deadline = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < deadline, "no machine serves it");
            let answer = self.client.get(&self.url).send().await;
            if let Ok(answer) = answer
                && answer.status() == 200
                && let Ok(told) = answer.json::<Value>().await
            {
                let machine = told["machine"].as_str().expect("a machine");
                return (machine.to_owned(), Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn is_ready(&self, container: &Container) {
        let deadline = Instant::now() + LONG;
        loop {
            let answer = self.client.get(container.url("/healthz")).send().await;
            let health: Value = answer.expect("health").json().await.expect("JSON");
            if health["ready"] == true {
                return;
            }
            assert!(Instant::now() < deadline, "not ready: {health}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
