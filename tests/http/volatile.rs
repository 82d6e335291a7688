//! Sessions that live and die with the memory of their process.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    BuildError, FlyReplay, LookupError, MachineId, MemoryDirectory, NodeState, OnLostOwner,
    OnUnassigned, Owned, OwnershipLayer, OwnershipLayerBuilder, PathSegment, Rejection, Session,
    SessionDirectory, SessionId, SessionStatus,
    directory::{self, Claimed, Created, EndIf, MachineInfo, Membership as _, NewSession},
    ownership::{Feed, Heartbeat, HeartbeatBuilder, LossReason},
};

use crate::support::fixture::{SESSION, id, machine};

const LOST_AFTER: Duration = Duration::from_secs(15);

/// A fleet whose directory's clock is moved by hand.
struct Fleet {
    directory: MemoryDirectory,
    time: Arc<Mutex<Duration>>,
}

/// One process of a machine.
struct Process {
    directory: MemoryDirectory,
    layer: OwnershipLayer,
}

impl Fleet {
    fn new() -> Self {
        let time = Arc::<Mutex<Duration>>::default();
        let shown = Arc::clone(&time);
        let directory = MemoryDirectory::new()
            .with_lost_after(LOST_AFTER)
            .with_clock(move || *shown.lock().unwrap());
        Self { directory, time }
    }

    fn process(&self, name: &str) -> Process {
        let directory = self.directory.another_process();
        let layer = builder(&directory, &directory, name).volatile();
        Process {
            layer: layer.build().unwrap(),
            directory,
        }
    }

    /// Time passes in which these machines beat and the others do not.
    async fn pass(&self, time: Duration, heard: &[(&str, &Heartbeat<MemoryDirectory>)]) {
        let step = Duration::from_secs(1);
        for _ in 0..time.as_secs() {
            *self.time.lock().unwrap() += step;
            for (name, heartbeat) in heard {
                let me = directory::Process::new(machine(name), heartbeat.boot_id());
                let info = MachineInfo::default();
                self.directory.beat(&me, &info, step).await.unwrap();
            }
        }
    }
}

fn builder(
    lookup: &MemoryDirectory,
    directory: &(impl SessionDirectory + Clone),
    name: &str,
) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(name))
        .replay(FlyReplay::new())
        .directory(directory.clone())
}

impl Process {
    async fn start(&self) -> Heartbeat<MemoryDirectory> {
        let heartbeat = HeartbeatBuilder::new(self.directory.clone());
        heartbeat.start(self.layer.node()).await.unwrap()
    }

    async fn create(&self, id: SessionId) -> Result<Created, LookupError> {
        let me = self.layer.node().machine().clone();
        self.directory.create(NewSession::new(id), me).await
    }

    async fn answer(&self, id: &SessionId) -> String {
        answer(&self.layer, id).await
    }

    fn read(&self, id: &SessionId) -> Session {
        self.directory.get(id).unwrap()
    }
}

/// `served`, `replayed`, or the code of the refusal with its `Retry-After`.
async fn answer(layer: &OwnershipLayer, id: &SessionId) -> String {
    let application = service_fn(|request: Request<String>| async move {
        assert!(request.extensions().get::<Owned>().is_some());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get(format!("/session/{id}/"))
        .body(String::new())
        .unwrap();
    let Ok(response) = layer.layer(application).oneshot(request).await;
    if response.headers().contains_key("fly-replay") {
        return "replayed".to_owned();
    }
    match response.extensions().get::<Rejection>() {
        Some(rejection) => {
            let retries = response.headers().contains_key("retry-after");
            assert_eq!(retries, rejection.retry_after().is_some());
            format!(
                "{} {}",
                response.status().as_u16(),
                rejection.code().as_str()
            )
        }
        None => "served".to_owned(),
    }
}

fn other_id() -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(7))
}

#[tokio::test]
async fn a_drain_ends_sessions_and_releases_none() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.process("one"), fleet.process("other"));
    let (heartbeat, _other) = (one.start().await, other.start().await);
    one.create(id()).await.unwrap();
    other.create(other_id()).await.unwrap();
    assert_eq!(one.answer(&id()).await, "served");
    let drained = heartbeat.drain(Duration::from_secs(5)).await.unwrap();
    assert!(drained.is_empty && drained.released.is_empty());
    assert_eq!(drained.ended, [(id(), 1)]);
    let after = one.read(&id());
    assert_eq!(after.status(), SessionStatus::Over);
    assert_eq!(
        (after.owner(), after.epoch()),
        (Some(&machine("one")), Some(1))
    );
    for process in [&one, &other] {
        assert_eq!(process.answer(&id()).await, "410 session-over");
    }
    assert_eq!(other.answer(&other_id()).await, "served");
}

#[tokio::test]
async fn a_draining_machine_lets_no_client_wait() {
    let fleet = Fleet::new();
    let one = fleet.process("one");
    let _heartbeat = one.start().await;
    one.create(id()).await.unwrap();
    // It has not written the end yet.
    one.layer.node().advance(NodeState::Draining);
    assert_eq!(one.answer(&id()).await, "410 session-absent");
    let page = Request::get("/").body(String::new()).unwrap();
    let health = one.layer.health().build();
    let Ok(response) = health.oneshot(page).await;
    let body = http_body_util::BodyExt::collect(response.into_body());
    let body = body.await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("it ends its sessions"), "{body}");
}

#[tokio::test]
async fn a_session_of_a_lost_owner_is_ended_at_once() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.process("one"), fleet.process("other"));
    let (_lost, heard) = (one.start().await, other.start().await);
    one.create(id()).await.unwrap();
    assert_eq!(other.answer(&id()).await, "replayed");
    fleet.pass(3 * LOST_AFTER, &[("other", &heard)]).await;
    other.layer.cache().forget_all();
    assert_eq!(other.answer(&id()).await, "410 session-absent");
    let after = other.read(&id());
    assert_eq!(
        (after.status(), after.epoch()),
        (SessionStatus::Over, Some(1))
    );
    assert_eq!(other.answer(&id()).await, "410 session-over");
    // A client that starts over is served at once.
    other.create(other_id()).await.unwrap();
    assert_eq!(other.answer(&other_id()).await, "served");
}

#[tokio::test]
async fn an_owner_that_was_cut_off_stops_when_its_session_is_ended() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.process("one"), fleet.process("other"));
    let (_cut_off, heard) = (one.start().await, other.start().await);
    let _feed = Feed::builder(one.directory.clone())
        .start(one.layer.cache())
        .unwrap();
    one.create(id()).await.unwrap();
    let (told, lost) = tokio::sync::oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let application = service_fn(move |request: Request<String>| {
        let owned = request.extensions().get::<Owned>().unwrap().clone();
        let told = told.lock().unwrap().take().unwrap();
        async move {
            tokio::spawn(async move { told.send(owned.lost().await) });
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let request = Request::get(format!("/session/{SESSION}/"));
    let request = request.body(String::new()).unwrap();
    let Ok(response) = one.layer.layer(application).oneshot(request).await;
    assert_eq!(response.status(), 200);
    fleet.pass(3 * LOST_AFTER, &[("other", &heard)]).await;
    assert_eq!(other.answer(&id()).await, "410 session-absent");
    let lost = tokio::time::timeout(Duration::from_secs(3), lost).await;
    assert_eq!(lost.unwrap().unwrap(), LossReason::Over);
    assert_eq!(one.answer(&id()).await, "410 session-over");
}

#[tokio::test]
async fn an_owner_that_came_back_keeps_its_session() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.process("one"), fleet.process("other"));
    let (back, heard) = (one.start().await, other.start().await);
    one.create(id()).await.unwrap();
    fleet.pass(3 * LOST_AFTER, &[("other", &heard)]).await;
    // It is remembered as lost, by a request that may not end it.
    let request = Request::get(format!("/session/{SESSION}/")).header("ownership-probe", "x");
    let application = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = request.body(String::new()).unwrap();
    let Ok(response) = other.layer.layer(application).oneshot(request).await;
    assert_eq!(response.status(), 410);
    assert_eq!(other.read(&id()).status(), SessionStatus::Active);
    fleet
        .pass(Duration::from_secs(1), &[("one", &back), ("other", &heard)])
        .await;
    assert_eq!(other.answer(&id()).await, "replayed");
    assert_eq!(one.answer(&id()).await, "served");
}

/// A directory whose ends are counted, and take a moment or fail.
#[derive(Clone)]
struct Ending {
    inner: MemoryDirectory,
    ends: Arc<AtomicUsize>,
    fails: bool,
}

impl SessionDirectory for Ending {
    async fn claim(&self, _: Session, _: MachineId) -> Result<Option<Claimed>, LookupError> {
        unreachable!("volatile sessions are not claimed")
    }

    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        self.inner.create(new, machine).await
    }

    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        self.inner.touch(session, machine, epoch, lifetime).await
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        self.ends.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if self.fails {
            return Err(LookupError::unavailable("no end can be written"));
        }
        self.inner.end(session, condition).await
    }
}

/// A session whose owner is lost, and a machine that ends it in a directory of its own.
async fn ending(fails: bool) -> (Ending, OwnershipLayer, Heartbeat<MemoryDirectory>) {
    let fleet = Fleet::new();
    let one = fleet.process("one");
    let lost = one.start().await;
    one.create(id()).await.unwrap();
    let inner = fleet.directory.another_process();
    let directory = Ending {
        inner: inner.clone(),
        ends: Arc::default(),
        fails,
    };
    let layer = builder(&inner, &directory, "other").volatile().build();
    let layer = layer.unwrap();
    let heartbeat = HeartbeatBuilder::new(inner);
    let heartbeat = heartbeat.start(layer.node()).await.unwrap();
    lost.leave().await.unwrap();
    (directory, layer, heartbeat)
}

#[tokio::test]
async fn many_requests_end_a_session_once() {
    let (directory, layer, _heartbeat) = ending(false).await;
    let id = id();
    let answers = (0..50).map(|_| answer(&layer, &id));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer, "410 session-absent");
    }
    assert_eq!(directory.ends.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_end_that_fails_is_lookup_unavailable_and_pauses() {
    let (directory, layer, _heartbeat) = ending(true).await;
    for _ in 0..20 {
        assert_eq!(answer(&layer, &id()).await, "503 lookup-unavailable");
    }
    assert_eq!(directory.ends.load(Ordering::SeqCst), 1);
    assert_eq!(
        directory.inner.get(&id()).unwrap().status(),
        SessionStatus::Active
    );
}

#[tokio::test]
async fn a_restart_ends_what_the_process_before_held() {
    let fleet = Fleet::new();
    let (old, other) = (fleet.process("one"), fleet.process("other"));
    let (crashed, _other) = (old.start().await, other.start().await);
    old.create(id()).await.unwrap();
    assert_eq!(old.answer(&id()).await, "served");
    drop(crashed);
    let young = fleet.process("one");
    // Not before this process knows whether it may serve.
    assert_eq!(young.answer(&id()).await, "503 session-starting");
    young.create(other_id()).await.unwrap_err();
    let _young = young.start().await;
    for process in [&young, &other] {
        assert_eq!(process.answer(&id()).await, "410 session-over");
    }
    // No wait for the process before, which reads nothing that was created since.
    young.create(other_id()).await.unwrap();
    assert_eq!(young.answer(&other_id()).await, "served");
    old.layer.cache().forget_all();
    assert_eq!(old.answer(&other_id()).await, "503 duplicate-identity");
}

#[tokio::test]
async fn a_restart_after_leaving_ends_what_was_left() {
    let fleet = Fleet::new();
    let old = fleet.process("one");
    let left = old.start().await;
    old.create(id()).await.unwrap();
    left.leave().await.unwrap();
    let young = fleet.process("one");
    let _young = young.start().await;
    assert_eq!(young.answer(&id()).await, "410 session-over");
}

#[tokio::test]
async fn what_is_written_for_a_machine_that_never_ran_is_served() {
    let fleet = Fleet::new();
    fleet.directory.add(&id(), Some(machine("one")));
    let one = fleet.process("one");
    let _heartbeat = one.start().await;
    assert_eq!(one.answer(&id()).await, "served");
}

#[tokio::test]
async fn a_heartbeat_that_is_started_again_keeps_what_its_process_holds() {
    let fleet = Fleet::new();
    let one = fleet.process("one");
    drop(one.start().await);
    one.create(id()).await.unwrap();
    let _again = one.start().await;
    assert_eq!(one.read(&id()).status(), SessionStatus::Active);
    // Another process may have registered in between.
    assert_eq!(one.answer(&id()).await, "503 session-moving");
}

#[test]
fn what_contradicts_volatile_sessions_is_refused() {
    let directory = MemoryDirectory::new();
    let volatile = || builder(&directory, &directory, "one").volatile();
    let claims = volatile().on_unassigned(OnUnassigned::Claim).build();
    assert_eq!(claims.unwrap_err(), BuildError::VolatileClaims);
    let takes_over = volatile().on_lost_owner(OnLostOwner::TakeOver).build();
    assert_eq!(takes_over.unwrap_err(), BuildError::VolatileClaims);
    let nowhere = OwnershipLayer::builder(directory.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine("one"))
        .replay(FlyReplay::new())
        .volatile()
        .build();
    assert_eq!(nowhere.unwrap_err(), BuildError::NoDirectory);
    let first = volatile().build().unwrap();
    let second = builder(&directory, &directory, "one").build();
    let differs = BuildError::VolatileDiffers {
        machine: machine("one"),
    };
    assert_eq!(second.unwrap_err(), differs);
    drop(first);
}

#[tokio::test]
async fn a_released_session_that_no_machine_claims_says_so() {
    let directory = MemoryDirectory::new();
    let layer = builder(&directory, &directory, "one").build().unwrap();
    let heartbeat = HeartbeatBuilder::new(directory.clone());
    let heartbeat = heartbeat.start(layer.node()).await.unwrap();
    directory.add(&id(), Some(machine("one")));
    directory.add(&other_id(), None);
    heartbeat.drain(Duration::from_secs(1)).await.unwrap();
    let other = builder(&directory.another_process(), &directory, "other");
    let other = other.build().unwrap();
    for layer in [&layer, &other] {
        assert_eq!(answer(layer, &id()).await, "503 session-unassigned");
        // It never had an owner: an orchestrator assigns it.
        assert_eq!(answer(layer, &other_id()).await, "503 session-starting");
    }
    let claims = builder(&directory.another_process(), &directory, "third");
    let claims = claims.on_unassigned(OnUnassigned::Claim).build().unwrap();
    assert_eq!(answer(&claims, &id()).await, "served");
}
