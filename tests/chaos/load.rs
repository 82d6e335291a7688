//! The load: clients who ask for ever new sessions and come back to old ones.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::{Builder, Uuid};

use crate::client::{Client, Layer};
use crate::fleet::Fleet;
use crate::history::Kind;
use crate::listener;

const CLIENTS: u64 = 6;

/// Those who stay with one session for a while, and so see how long it is away.
const FAITHFUL: u64 = 3;

/// Streams that are listened to at once, by each client.
const STREAMS: usize = 3;

/// How often a session is created: a run ends with a few hundred, which all have to heal.
const CREATES: Duration = Duration::from_millis(400);

/// Looks at the rows this often.
const SAMPLES: Duration = Duration::from_millis(500);

/// Everything that goes on beside the faults.
pub struct Load {
    over: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(fleet: &Arc<Fleet>) -> Self {
        let over = CancellationToken::new();
        // Apart from the plan's, which has the seed itself.
        let mut dice = Rng::with_seed(fleet.settings.seed.wrapping_add(1));
        let mut tasks = vec![
            tokio::spawn(create(Arc::clone(fleet), dice.fork(), over.clone())),
            tokio::spawn(sample(Arc::clone(fleet), over.clone())),
        ];
        for _ in 0..CLIENTS {
            let client = Client::new(fleet);
            tasks.push(tokio::spawn(ask(client, dice.fork(), over.clone())));
        }
        for _ in 0..FAITHFUL {
            let client = Client::new(fleet);
            tasks.push(tokio::spawn(stay(client, dice.fork(), over.clone())));
        }
        Self { over, tasks }
    }

    /// Asks for nothing more, and waits until everything is answered.
    pub async fn end(self) {
        self.over.cancel();
        for task in self.tasks {
            task.await.expect("a client");
        }
    }
}

async fn create(fleet: Arc<Fleet>, mut dice: Rng, over: CancellationToken) {
    while !over.is_cancelled() {
        let session = new_id(&mut dice);
        // Most are claimed by the machine that is asked first; some are given to a machine at their birth.
        let machines = fleet.edge.machines();
        let machine = dice.choice(&machines).filter(|_| dice.u8(0..10) < 3);
        if fleet
            .orchestrator
            .create(session, machine.map(String::as_str))
            .await
        {
            fleet.recorder.lock().sessions.push(session);
        }
        sleep(CREATES).await;
    }
}

fn new_id(dice: &mut Rng) -> Uuid {
    Builder::from_random_bytes(dice.u128(..).to_be_bytes()).into_uuid()
}

async fn sample(fleet: Arc<Fleet>, over: CancellationToken) {
    while !over.is_cancelled() {
        if let Some(samples) = fleet.orchestrator.sample().await {
            fleet.recorder.lock().samples.extend(samples);
        }
        sleep(SAMPLES).await;
    }
}

async fn ask(client: Client, mut dice: Rng, over: CancellationToken) {
    let mut streams: Vec<JoinHandle<()>> = Vec::new();
    while !over.is_cancelled() {
        sleep(Duration::from_millis(dice.u64(20..100))).await;
        let sessions = client.fleet().recorder.lock().sessions.clone();
        // Most of the load is on a few, which so are asked for while they move.
        let busy = sessions.len().saturating_sub(12);
        let from = if dice.u8(0..10) < 7 { busy } else { 0 };
        let Some(session) = dice.choice(&sessions[from..]).copied() else {
            continue;
        };
        streams.retain(|stream| !stream.is_finished());
        let layer = one_of_five_by_header(&mut dice);
        match dice.u8(0..100) {
            0..55 => {
                client.ask(session, Kind::Read, layer).await;
            }
            55..92 => {
                client.ask(session, Kind::Write, layer).await;
            }
            what if streams.len() < STREAMS => {
                let listens = Duration::from_millis(dice.u64(500..9_000));
                let client = client.clone();
                streams.push(if what < 96 {
                    tokio::spawn(listener::events(client, session, listens))
                } else {
                    tokio::spawn(listener::socket(client, session, listens))
                });
            }
            _ => {}
        }
    }
    for stream in streams {
        stream.await.expect("a listener");
    }
}

fn one_of_five_by_header(dice: &mut Rng) -> Layer {
    if dice.u8(0..5) == 0 {
        Layer::ByHeader
    } else {
        Layer::ByPath
    }
}

async fn stay(client: Client, mut dice: Rng, over: CancellationToken) {
    const FOR: u32 = 150;
    while !over.is_cancelled() {
        sleep(Duration::from_millis(100)).await;
        let sessions = client.fleet().recorder.lock().sessions.clone();
        let Some(session) = dice.choice(&sessions).copied() else {
            continue;
        };
        for turn in 0..FOR {
            if over.is_cancelled() {
                return;
            }
            let kind = if turn % 4 == 0 {
                Kind::Write
            } else {
                Kind::Read
            };
            let layer = one_of_five_by_header(&mut dice);
            client.ask(session, kind, layer).await;
            sleep(Duration::from_millis(100)).await;
        }
    }
}
