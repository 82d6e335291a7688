//! One run, from the first machine to the history.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep};
use tower_ownership::testing::{EdgeErrorKind, HopKind};
use uuid::Uuid;

use crate::client::{Client, Layer, Seen, health};
use crate::clock::At;
use crate::fault::{Action, Name};
use crate::fleet::Fleet;
use crate::history::{Healing, History, Kind, Outcome};
use crate::load::Load;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::stalls::Ticker;

/// Sessions that are asked for at once when it is seen whether all is well again.
const AT_ONCE: usize = 24;

/// What a run leaves.
pub struct Run {
    pub history: History,
    pub logs: Vec<(Name, String)>,
    pub notes: Vec<(At, String)>,
}

impl Run {
    pub async fn of(settings: Settings, plan: &Plan) -> Self {
        let ticker = Ticker::start();
        let fleet = Arc::new(Fleet::new(settings, plan.shape).await);
        for name in &plan.first {
            fleet.perform(Action::Start(name.clone())).await;
        }
        let load = Load::start(&fleet);
        fleet.suffer(&plan.steps).await;
        // Those who make the load go on asking: a fleet has to heal under it.
        let healing = heal(&fleet).await;
        load.end().await;
        fleet.until_all_is_answered().await;
        for machine in fleet.all() {
            machine.lock().await.end(&fleet).await;
        }
        Self::end(&fleet, &ticker, healing).await
    }

    async fn end(fleet: &Fleet, ticker: &Ticker, healing: Healing) -> Self {
        let wall = ticker.wall();
        let (rows, writes) = fleet.ground.notes(wall).await;
        let record = std::mem::take(&mut *fleet.recorder.lock());
        let ways = Ways::of(fleet);
        let requests = record.requests.into_iter().map(|(mut request, seen)| {
            if !request.is_direct {
                request.way = ways.to(&seen);
                let error = seen.id.as_ref().and_then(|id| ways.errors.get(id));
                request.edge_error = error.cloned();
            }
            seen.ends(&mut request.way);
            request
        });
        let streams = record.streams.into_iter().map(|(mut stream, seen)| {
            let landed = ways.to(&seen).pop().unwrap_or_default();
            if let Some(answered) = seen.answered.filter(|name| *name != landed) {
                stream.machine = answered;
                stream.carrier = Some(landed);
            } else {
                stream.machine = landed;
            }
            stream
        });
        let history = History {
            settings: fleet.settings.clone(),
            requests: requests.collect(),
            streams: streams.collect(),
            rows,
            writes,
            samples: record.samples,
            processes: record.processes,
            troubles: record.troubles,
            healing,
            stalls: ticker.stalls(),
            doubt: wall.doubt(),
        };
        Self {
            history,
            logs: record.logs,
            notes: record.notes,
        }
    }
}

/// The ways of all requests, by the ids that the edge gave them.
struct Ways {
    machines: HashMap<String, Vec<Name>>,
    errors: HashMap<String, String>,
}

impl Ways {
    fn of(fleet: &Fleet) -> Self {
        let mut machines: HashMap<String, Vec<Name>> = HashMap::new();
        for hop in fleet.edge.hops() {
            let replayed = hop.replay.is_some() || hop.kind == HopKind::Replayed;
            assert!(!(replayed && fleet.settings.forwards()), "{hop:?}");
            machines
                .entry(hop.request_id)
                .or_default()
                .push(hop.machine);
        }
        let mut errors = HashMap::new();
        for event in fleet.edge.events() {
            let known: EdgeErrorKind = event.kind;
            errors.insert(event.request_id, format!("{known:?}: {}", event.detail));
        }
        Self { machines, errors }
    }

    /// The machines to which the edge gave a request.
    fn to(&self, seen: &Seen) -> Vec<Name> {
        let way = seen.id.as_ref().and_then(|id| self.machines.get(id));
        way.cloned().unwrap_or_default()
    }
}

/// Looks how long it takes until every session is served and every machine is ready.
async fn heal(fleet: &Arc<Fleet>) -> Healing {
    let from = At::now();
    // Somewhat longer than allowed, so that it can be told how late it was.
    let deadline = Instant::now() + 2 * fleet.settings.heals_within();
    let sessions = fleet.recorder.lock().sessions.clone();
    let client = Client::new(fleet);
    let served = futures_util::stream::iter(sessions)
        .map(|session| until_served(&client, session, deadline))
        .buffer_unordered(AT_ONCE)
        .collect::<BTreeMap<_, _>>();
    let mut addrs = Vec::new();
    for machine in fleet.all() {
        let machine = machine.lock().await;
        addrs.extend(machine.addr().map(|addr| (machine.name.clone(), addr)));
    }
    let ready = async {
        let mut machines = BTreeMap::new();
        for (name, addr) in addrs {
            let mut since = None;
            while since.is_none() && Instant::now() < deadline {
                let ready = health(addr)
                    .await
                    .is_some_and(|health| health["ready"] == true);
                since = ready.then(At::now);
                sleep(Duration::from_millis(20)).await;
            }
            machines.insert(name, since);
        }
        machines
    };
    let (sessions, machines) = tokio::join!(served, ready);
    Healing {
        from,
        sessions,
        machines,
    }
}

async fn until_served(client: &Client, session: Uuid, deadline: Instant) -> (Uuid, Option<At>) {
    while Instant::now() < deadline {
        let outcome = client.ask(session, Kind::Heal, Layer::ByPath).await;
        if matches!(outcome, Outcome::Passed(_)) {
            return (session, Some(At::now()));
        }
        sleep(Duration::from_millis(100)).await;
    }
    (session, None)
}
