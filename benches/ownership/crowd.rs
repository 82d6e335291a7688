//! Clients of a fleet, without a network between: a request lands on any machine, and goes where
//! that one sends it.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::task::JoinSet;
use tower::{Layer as _, ServiceExt as _, util::ServiceFn};
use tower_ownership::{
    FlyReplay, MachineId, OnLostOwner, Ownership, OwnershipLayer, PathSegment, PostgresDirectory,
    PostgresLookup, Rejection, ownership::Heartbeat,
};
use uuid::Uuid;

use crate::common::{dice::Dice, setup::plain_request};
use crate::support::database::Database;

type Hello = fn(Request<Full<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>>;

/// A machine as a user builds it, with what is set by default.
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) presence: Heartbeat<PostgresDirectory>,
    service: Ownership<ServiceFn<Hello>>,
}

impl Server {
    pub(crate) async fn start(database: &Database, number: usize) -> Self {
        let id = format!("{number:014x}");
        let lookup = PostgresLookup::builder(database.url()).ownership();
        let lookup = lookup.build().expect("a lookup");
        let directory = lookup.directory().expect("a directory");
        let layer = OwnershipLayer::builder(lookup)
            .session(PathSegment::after("/session").expect("a prefix"))
            .machine(id.parse::<MachineId>().expect("a machine id"))
            .replay(FlyReplay::new())
            .directory(directory.clone())
            .on_lost_owner(OnLostOwner::TakeOver)
            .build()
            .expect("a layer");
        let presence = directory.heartbeat().start(layer.node()).await;
        let hello: Hello = |_| ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))));
        Self {
            id,
            presence: presence.expect("a presence"),
            service: layer.layer(tower::service_fn(hello)),
        }
    }
}

/// What came of a request.
enum Answer {
    Served,
    /// By this code, or for want of the machine that it was sent to.
    Refused(&'static str),
}

/// The machines that a request may land on.
#[derive(Clone)]
pub(crate) struct Edge(Arc<[(String, Ownership<ServiceFn<Hello>>)]>);

impl Edge {
    pub(crate) fn of<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Self {
        let servers = servers.into_iter();
        Self(
            servers
                .map(|one| (one.id.clone(), one.service.clone()))
                .collect(),
        )
    }

    async fn ask(&self, session: Uuid, dice: &mut Dice) -> Answer {
        let machines = u32::try_from(self.0.len()).expect("few machines");
        let mut at = dice.below(machines);
        for _ in 0..3 {
            let service = self.0[at].1.clone();
            let response = service.oneshot(plain_request(&session.into())).await;
            let response = response.unwrap_or_else(|never| match never {});
            if response.status() == 200 {
                return Answer::Served;
            }
            if let Some(rejection) = response.extensions().get::<Rejection>() {
                return Answer::Refused(rejection.code().as_str());
            }
            let to = response.headers().get("fly-replay").expect("a replay");
            let to = to.to_str().expect("a header of ours");
            let owner = to
                .strip_prefix("instance=")
                .and_then(|to| to.split_once(';'));
            let (owner, _) = owner.expect("an instance");
            let Some(next) = self.0.iter().position(|(id, _)| id == owner) else {
                return Answer::Refused("(its owner is dead)");
            };
            at = next;
        }
        Answer::Refused("(sent about)")
    }
}

/// Refusals, by their codes.
pub(crate) type Refusals = BTreeMap<&'static str, usize>;

/// What became of requests for the dead machine's sessions.
pub(crate) struct TakeOvers {
    /// When each session that was served first was.
    pub(crate) served: Vec<Instant>,
    pub(crate) refusals: Refusals,
}

/// Asks for all of `sessions`, at most `clients` at once, until each was served once or it is
/// `deadline`. What is refused is asked for again when `pause` has passed.
pub(crate) async fn take_over(
    edge: &Edge,
    sessions: &[Uuid],
    clients: usize,
    pause: Duration,
    deadline: Instant,
) -> TakeOvers {
    let now = Instant::now();
    let queue: VecDeque<_> = sessions.iter().map(|session| (now, *session)).collect();
    let queue = Arc::new(Mutex::new(queue));
    let left = Arc::new(AtomicUsize::new(sessions.len()));
    let mut running = JoinSet::new();
    for client in 0..clients {
        let (edge, queue, left) = (edge.clone(), Arc::clone(&queue), Arc::clone(&left));
        running.spawn(async move {
            let mut dice = Dice::new(client as u64);
            let mut served = Vec::new();
            let mut refusals = Refusals::new();
            while left.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
                let next = queue.lock().unwrap().pop_front();
                let Some((due, session)) = next else {
                    // The rest is with other clients, and may come back.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                tokio::time::sleep_until(due.min(deadline).into()).await;
                match edge.ask(session, &mut dice).await {
                    Answer::Served => {
                        served.push(Instant::now());
                        left.fetch_sub(1, Ordering::Relaxed);
                    }
                    Answer::Refused(code) => {
                        *refusals.entry(code).or_default() += 1;
                        let again = Instant::now() + pause;
                        queue.lock().unwrap().push_back((again, session));
                    }
                }
            }
            (served, refusals)
        });
    }
    let mut take_overs = TakeOvers {
        served: Vec::new(),
        refusals: Refusals::new(),
    };
    for (served, refusals) in running.join_all().await {
        take_overs.served.extend(served);
        add(&mut take_overs.refusals, &refusals);
    }
    take_overs
}

/// What became of requests for sessions of healthy machines.
#[derive(Default)]
pub(crate) struct Healthy {
    pub(crate) asked: usize,
    pub(crate) refusals: Refusals,
    pub(crate) slowest: Duration,
}

/// Asks for any of `sessions`, again and again, with `pause` after each answer, until `stop`.
pub(crate) async fn visit(
    edge: &Edge,
    sessions: &Arc<[Uuid]>,
    clients: usize,
    pause: Duration,
    stop: &Arc<AtomicBool>,
) -> Healthy {
    let mut running = JoinSet::new();
    for client in 0..clients {
        let (edge, sessions) = (edge.clone(), Arc::clone(sessions));
        let stop = Arc::clone(stop);
        running.spawn(async move {
            let mut dice = Dice::new(1_000 + client as u64);
            let mut seen = Healthy::default();
            let count = u32::try_from(sessions.len()).expect("sessions that can be counted");
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = edge.ask(sessions[dice.below(count)], &mut dice).await;
                seen.slowest = seen.slowest.max(began.elapsed());
                seen.asked += 1;
                if let Answer::Refused(code) = answer {
                    *seen.refusals.entry(code).or_default() += 1;
                }
                tokio::time::sleep(pause).await;
            }
            seen
        });
    }
    let mut all = Healthy::default();
    for seen in running.join_all().await {
        all.asked += seen.asked;
        all.slowest = all.slowest.max(seen.slowest);
        add(&mut all.refusals, &seen.refusals);
    }
    all
}

fn add(all: &mut Refusals, some: &Refusals) {
    for (code, count) in some {
        *all.entry(code).or_default() += count;
    }
}
