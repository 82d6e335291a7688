//! Whether the directory answers. Time and polling are driven by hand.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;
use crate::{
    CachePolicy, LookupError, Session, SessionId, SessionLookup, clock::Clock,
    directory::lookup::DynLookup, ownership::Sessions,
};

type Reply = Result<Option<Session>, LookupError>;

/// A directory whose answers are given by hand.
#[derive(Clone, Default)]
struct ByHand(Arc<Mutex<VecDeque<oneshot::Sender<Reply>>>>);

impl SessionLookup for ByHand {
    async fn session(&self, _: SessionId) -> Reply {
        let (answer, answered) = oneshot::channel();
        self.0.lock().unwrap().push_back(answer);
        answered.await.unwrap()
    }
}

struct Rig {
    health: Arc<Health>,
    lookup: ByHand,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn new() -> Self {
        let (clock, time) = Clock::by_hand();
        let lookup = ByHand::default();
        let timeout = Duration::from_secs(60);
        let sessions = Sessions::for_test(
            DynLookup::new(lookup.clone()),
            None,
            timeout,
            CachePolicy::new(),
            1_000,
            clock,
        );
        Self {
            health: Arc::new(Health {
                sessions,
                max_age: Duration::from_secs(10),
                timeout,
                canary: SessionId::new(uuid::Uuid::nil()),
                directory_is_required: true,
                shows_machine: false,
                checks: Vec::new(),
            }),
            lookup,
            time,
        }
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn check(&self) -> Pin<Box<dyn Future<Output = Component> + Send>> {
        let report = Arc::clone(&self.health).report();
        report.map(|report| report.components[2].clone()).boxed()
    }

    /// What is known without a lookup.
    fn known(&self) -> Component {
        self.check().now_or_never().expect("no lookup is made")
    }

    fn questions(&self) -> usize {
        self.lookup.0.lock().unwrap().len()
    }

    fn answer(&self, reply: Reply) {
        let open = self.lookup.0.lock().unwrap().pop_front();
        open.expect("a question is open").send(reply).unwrap();
    }

    /// A check that makes a lookup, which is answered so.
    fn asks(&self, reply: Reply) -> Component {
        let mut check = self.check();
        assert!((&mut check).now_or_never().is_none(), "it is known");
        self.answer(reply);
        check.now_or_never().unwrap()
    }

    /// A request for a session of its own, of which nothing is known.
    fn request(&self, reply: Reply) {
        let id = SessionId::new(uuid::Uuid::new_v4());
        let mut load = self.health.sessions.cache.load(&id, false);
        assert!((&mut load).now_or_never().is_none());
        self.answer(reply);
        load.now_or_never().unwrap();
    }
}

fn down() -> Reply {
    Err(LookupError::unavailable("no connection could be opened"))
}

#[test]
fn answers_to_requests_are_enough_while_they_come() {
    let rig = Rig::new();
    rig.request(Ok(None));
    rig.pass(9_999);
    let known = rig.known();
    assert!(known.ok);
    assert_eq!(known.age_ms, Some(9_999));
    rig.pass(1);
    assert!(rig.asks(Ok(None)).ok, "no request came for ten seconds");
    assert!(rig.known().ok);
}

#[test]
fn one_lookup_that_failed_is_verified_by_another() {
    let rig = Rig::new();
    rig.request(Ok(None));
    rig.pass(10);
    rig.request(down());
    assert!(rig.asks(Ok(None)).ok);
    rig.pass(10);
    rig.request(down());
    rig.request(Ok(None));
    assert!(rig.known().ok, "it answered meanwhile");
}

#[test]
fn after_several_failures_one_probe_per_pause_makes_a_lookup() {
    let rig = Rig::new();
    for _ in 0..3 {
        let failed = rig.asks(down());
        assert!(!failed.ok);
        assert_eq!(failed.reason, "no connection could be opened");
    }
    rig.pass(99);
    let known = rig.known();
    assert!(!known.ok, "it fails, and is spared");
    assert_eq!(known.reason, "no connection could be opened");
    rig.pass(1);
    assert!(rig.asks(Ok(None)).ok);
    assert!(rig.known().ok);
}

#[test]
fn an_answer_to_a_request_ends_a_failure_at_once() {
    let rig = Rig::new();
    assert!(!rig.asks(down()).ok);
    rig.pass(1);
    rig.request(Ok(None));
    assert!(rig.known().ok);
}

#[test]
fn all_probes_at_once_make_one_lookup() {
    let rig = Rig::new();
    let mut checks: Vec<_> = (0..100).map(|_| rig.check()).collect();
    for check in &mut checks {
        assert!(check.now_or_never().is_none());
    }
    assert_eq!(rig.questions(), 1);
    rig.answer(Ok(None));
    for check in checks {
        assert!(check.now_or_never().unwrap().ok);
    }
}

#[test]
fn a_probe_that_gives_up_leaves_no_lookup_behind() {
    let rig = Rig::new();
    let mut check = rig.check();
    assert!((&mut check).now_or_never().is_none());
    drop(check);
    let mut next = rig.check();
    assert!((&mut next).now_or_never().is_none());
    assert_eq!(rig.questions(), 2, "the first one was dropped");
    let _ = rig.lookup.0.lock().unwrap().pop_front();
    rig.answer(Ok(None));
    assert!(next.now_or_never().unwrap().ok);
}

#[test]
fn a_corrupt_row_is_an_answer() {
    let rig = Rig::new();
    assert!(rig.asks(Err(LookupError::corrupt("one bad row"))).ok);
}
