//! Time and polling are driven by hand.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;
use crate::{
    Freshness, LookupError, Session, SessionLookup, clock::Clock, lookup::DynLookup,
    ownership::Sessions,
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
    directory: Arc<Directory>,
    lookup: ByHand,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn new() -> Self {
        Self::with_patience(Duration::from_secs(60))
    }

    fn with_patience(patience: Duration) -> Self {
        let (clock, time) = Clock::by_hand();
        let lookup = ByHand::default();
        let sessions = Sessions::for_test(
            DynLookup::new(lookup.clone()),
            None,
            patience,
            Freshness::new(),
            1_000,
            clock,
        );
        let canary = SessionId::new(uuid::Uuid::nil());
        let lately = Duration::from_secs(10);
        Self {
            directory: Arc::new(Directory::new(
                Arc::clone(&sessions.cache),
                lately,
                patience,
                canary,
            )),
            lookup,
            time,
        }
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn check(&self) -> Pin<Box<dyn Future<Output = Check> + Send>> {
        Arc::clone(&self.directory).check().boxed()
    }

    /// What is known without asking.
    fn known(&self) -> Check {
        self.check().now_or_never().expect("nobody is asked")
    }

    fn questions(&self) -> usize {
        self.lookup.0.lock().unwrap().len()
    }

    fn answer(&self, reply: Reply) {
        let open = self.lookup.0.lock().unwrap().pop_front();
        open.expect("a question is open").send(reply).unwrap();
    }

    /// A check that has to ask, and is answered this.
    fn asks(&self, reply: Reply) -> Check {
        let mut check = self.check();
        assert!((&mut check).now_or_never().is_none(), "it knows");
        self.answer(reply);
        check.now_or_never().unwrap()
    }

    /// What a request learns.
    fn request(&self, reply: Reply) {
        // Of a session of its own, so that nothing is known of it.
        let id = SessionId::new(uuid::Uuid::new_v4());
        let mut load = self.directory.cache.load(id, false);
        assert!((&mut load).now_or_never().is_none());
        self.answer(reply);
        load.now_or_never().unwrap();
    }
}

fn down() -> Reply {
    Err(LookupError::unavailable("no connection could be opened"))
}

#[test]
fn what_requests_learn_is_enough_while_they_come() {
    let rig = Rig::new();
    rig.request(Ok(None));
    rig.pass(9_999);
    let known = rig.known();
    assert!(known.is_ok());
    assert_eq!(known.age(), Some(Duration::from_millis(9_999)));
    rig.pass(1);
    assert!(rig.asks(Ok(None)).is_ok(), "nobody came for ten seconds");
    assert!(rig.known().is_ok());
}

#[test]
fn one_lookup_that_failed_is_made_sure_of() {
    let rig = Rig::new();
    rig.request(Ok(None));
    rig.pass(10);
    rig.request(down());
    assert!(rig.asks(Ok(None)).is_ok());
    rig.pass(10);
    rig.request(down());
    rig.request(Ok(None));
    assert!(rig.known().is_ok(), "it answered meanwhile");
}

#[test]
fn a_failure_is_remembered_for_a_second_and_the_directory_spared() {
    let rig = Rig::new();
    let failed = rig.asks(down());
    assert!(!failed.is_ok());
    assert_eq!(failed.reason(), "no connection could be opened");
    rig.pass(999);
    let known = rig.known();
    assert!(!known.is_ok());
    assert_eq!(known.age(), Some(Duration::from_millis(999)));
    rig.pass(1);
    assert!(rig.asks(Ok(None)).is_ok());
}

#[test]
fn an_answer_to_a_request_ends_a_failure_at_once() {
    let rig = Rig::new();
    assert!(!rig.asks(down()).is_ok());
    rig.pass(1);
    rig.request(Ok(None));
    assert!(rig.known().is_ok());
}

#[test]
fn all_probes_at_once_ask_once() {
    let rig = Rig::new();
    let mut checks: Vec<_> = (0..100).map(|_| rig.check()).collect();
    for check in &mut checks {
        assert!(check.now_or_never().is_none());
    }
    assert_eq!(rig.questions(), 1);
    rig.answer(Ok(None));
    for check in checks {
        assert!(check.now_or_never().unwrap().is_ok());
    }
}

#[test]
fn probes_that_give_up_leave_nothing_behind() {
    let rig = Rig::new();
    let mut check = rig.check();
    assert!((&mut check).now_or_never().is_none());
    drop(check);
    let mut next = rig.check();
    assert!((&mut next).now_or_never().is_none());
    assert_eq!(rig.questions(), 2, "the first one is nobody's any more");
    let _ = rig.lookup.0.lock().unwrap().pop_front();
    rig.answer(Ok(None));
    assert!(next.now_or_never().unwrap().is_ok());
}

#[test]
fn a_corrupt_row_is_an_answer() {
    let rig = Rig::new();
    assert!(rig.asks(Err(LookupError::corrupt("one bad row"))).is_ok());
}

#[tokio::test]
async fn a_directory_that_hangs_is_not_well_for_requests_and_probes_alike() {
    let rig = Rig::with_patience(Duration::from_millis(1));
    let slow = rig.check().await;
    assert!(!slow.is_ok());
    assert!(slow.reason().contains("did not answer"), "{slow:?}");

    let rig = Rig::with_patience(Duration::from_millis(1));
    rig.pass(1);
    rig.request(Ok(None));
    rig.pass(1);
    let id = SessionId::new(uuid::Uuid::from_u128(8));
    rig.directory.cache.load(id, false).await;
    let last = rig.directory.cache.last_reached();
    assert!(last.failed < last.answered, "{last:?}");
}
