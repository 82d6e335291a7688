//! The right to serve, and claims. Time and polling are driven by hand, as in the cache's tests.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;

use super::*;
use crate::{
    CachePolicy, CacheStatus, LookupError, MachineId, MemoryDirectory, OwnerStatus, Session,
    SessionDirectory, SessionId, SessionStatus,
    cache::{Cache, Found, Pending},
    clock::Clock,
    directory::{Created, DynDirectory, EndIf, NewSession, lookup::DynLookup},
};

/// The fleet's lease TTL, and what a clock may be wrong by.
const F: u64 = 5_000;
const SLACK: u64 = 4 + F / 1_000 + F / 5;

/// A directory that is written by hand, and claims that count.
#[derive(Clone)]
struct Rig {
    layer: Arc<Sessions>,
    cache: Arc<Cache>,
    sessions: MemoryDirectory,
    time: Arc<AtomicU64>,
    claims: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Counting(MemoryDirectory, Arc<AtomicU64>);

impl SessionDirectory for Counting {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<crate::directory::Claimed>, LookupError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        SessionDirectory::claim(&self.0, seen, machine).await
    }

    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        self.0.create(new, machine).await
    }

    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        self.0.touch(session, machine, epoch, lifetime).await
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        self.0.end(session, condition).await
    }
}

impl Rig {
    fn new() -> Self {
        let (clock, time) = Clock::by_hand();
        time.store(100_000, Ordering::SeqCst);
        let (sessions, claims) = (MemoryDirectory::new(), Arc::new(AtomicU64::new(0)));
        let directory = Counting(sessions.clone(), Arc::clone(&claims));
        let layer = Sessions::for_test(
            DynLookup::new(sessions.clone()),
            Some(DynDirectory::new(directory)),
            Duration::from_secs(2),
            CachePolicy::new(),
            1_000,
            clock,
        );
        Self {
            cache: Arc::clone(&layer.cache),
            layer,
            sessions,
            time,
            claims,
        }
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn write(&self, owner: &str, epoch: u64, released: Option<u64>) {
        let session = Session::owned_by(id(), machine(owner)).with_epoch(epoch);
        self.sessions.insert(match released {
            Some(released) => session.with_released(released),
            None => session,
        });
    }

    /// Another process is this machine from now on.
    fn supersede(&self) {
        let session = Session::owned_by(id(), machine("me")).with_epoch(1);
        self.sessions
            .insert(session.with_owner_status(OwnerStatus::Superseded));
        self.layer.forget(&id());
    }

    /// What is known, read now if need be.
    fn found(&self) -> Found {
        let known = self.cache.get_now(&id(), false);
        known.unwrap_or_else(|| self.cache.load(&id(), false).now_or_never().unwrap())
    }

    fn lease(&self) -> Lease {
        let found = self.found();
        let session = found.session.clone().unwrap().unwrap();
        self.layer.lease(&found, &session)
    }

    fn node(&self) -> &Node {
        &self.layer.node
    }

    fn owned(&self) -> Owned {
        let found = self.found();
        assert!(self.lease().is_valid());
        Grant {
            session: found.session.unwrap().unwrap(),
            read_at: found.asked_at,
            cache_status: found.cache_status,
        }
        .owned(&self.layer)
    }
}

fn machine(name: &str) -> MachineId {
    name.parse().unwrap()
}

fn id() -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(7))
}

#[test]
fn the_first_owner_and_the_next_after_a_proven_release_serve_at_once() {
    for (epoch, released) in [(1, None), (3, Some(2))] {
        let rig = Rig::new();
        rig.write("me", epoch, released);
        assert!(rig.lease().is_valid(), "{epoch}");
    }
}

/// A row that moves to another partition arrives there without its proof.
#[test]
fn a_session_goes_on_when_its_row_loses_the_proof() {
    let rig = Rig::new();
    rig.write("me", 3, Some(2));
    assert!(rig.lease().is_valid());
    rig.pass(F);
    rig.write("me", 3, None);
    rig.layer.forget(&id());
    assert_eq!(rig.lease(), Lease::Pending { left: SLACK });
    rig.pass(SLACK);
    rig.layer.forget(&id());
    assert!(rig.lease().is_valid());
}

#[test]
fn who_took_the_id_of_a_process_that_may_run_serves_nothing_until_that_one_cannot() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    rig.node().joined_after_takeover();
    assert_eq!(rig.lease(), Lease::Pending { left: F + SLACK });
    assert!(!rig.node().is_alone());
    rig.pass(F + SLACK);
    assert_eq!(rig.lease(), Lease::Pending { left: 1 });
    rig.pass(1);
    assert!(rig.lease().is_valid());
    assert!(rig.node().is_alone());
}

#[test]
fn who_reads_that_its_machine_has_another_process_stops_at_once() {
    let rig = Rig::new();
    rig.node().joined();
    rig.write("me", 1, None);
    let owned = rig.owned();
    let mut lost = pin!(owned.lost());
    assert!(lost.as_mut().now_or_never().is_none());
    rig.supersede();
    assert!(rig.found().session.is_ok());
    assert_eq!(rig.node().state(), NodeState::Fenced);
    assert_eq!(lost.now_or_never(), Some(LossReason::Fenced));
}

#[test]
fn an_open_stream_asks_no_more_often_where_nothing_is_remembered() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let lookup = crate::lookup_fn(move |id| {
        // It answers at once, so a loop that asks again would never return.
        assert!(
            count.fetch_add(1, Ordering::SeqCst) < 100,
            "without a pause"
        );
        let session = Session::owned_by(id, machine("me")).with_epoch(1);
        std::future::ready(Ok::<_, LookupError>(Some(session)))
    });
    let layer = Sessions::for_test(
        DynLookup::new(lookup),
        None,
        Duration::from_secs(2),
        CachePolicy::always_ask(),
        100,
        Clock::by_hand().0,
    );
    let found = layer.cache.load(&id(), false).now_or_never().unwrap();
    let owned = Grant {
        session: found.session.unwrap().unwrap(),
        read_at: found.asked_at,
        cache_status: found.cache_status,
    }
    .owned(&layer);
    let mut lost = pin!(owned.lost());
    for _ in 0..3 {
        assert!(lost.as_mut().now_or_never().is_none());
    }
    assert!(asked.load(Ordering::SeqCst) <= 2);
}

#[test]
fn a_read_from_before_it_joined_tells_a_process_nothing_of_its_successor() {
    let rig = Rig::new();
    rig.supersede();
    let before = rig.found();
    assert_eq!(rig.node().state(), NodeState::Serving);
    rig.pass(1);
    rig.node().joined();
    rig.node().superseded(before.asked_at);
    assert_eq!(rig.node().state(), NodeState::Serving);
    rig.pass(1);
    rig.node().superseded(rig.node().now());
    assert_eq!(rig.node().state(), NodeState::Fenced);
}

#[test]
fn another_machine_that_has_another_process_is_none_of_ours() {
    let rig = Rig::new();
    let session = Session::owned_by(id(), machine("other")).with_epoch(1);
    rig.sessions
        .insert(session.with_owner_status(OwnerStatus::Superseded));
    assert!(rig.found().session.is_ok());
    assert_eq!(rig.node().state(), NodeState::Serving);
}

#[test]
fn a_new_owner_waits_from_when_it_first_knew_whatever_is_forgotten_meanwhile() {
    let rig = Rig::new();
    rig.write("me", 2, None);
    assert_eq!(rig.lease(), Lease::Pending { left: F + SLACK });
    for _ in 0..10 {
        rig.pass(500);
        rig.layer.forget_all();
        assert!(!rig.lease().is_valid());
    }
    rig.pass(SLACK);
    assert!(rig.lease().is_valid());
}

#[test]
fn another_epoch_is_another_wait() {
    let rig = Rig::new();
    rig.write("me", 2, None);
    rig.found();
    rig.pass(F + SLACK);
    assert!(rig.lease().is_valid());
    rig.write("me", 4, None);
    rig.layer.forget(&id());
    assert!(!rig.lease().is_valid());
}

#[test]
fn without_epochs_nothing_is_promised_and_nothing_waits() {
    let rig = Rig::new();
    rig.sessions.insert(Session::owned_by(id(), machine("me")));
    assert!(rig.lease().is_valid());
}

#[test]
fn what_was_given_up_is_not_served_at_that_epoch_again_whatever_is_read() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    let before = rig.found();
    // There was no previous owner, which the row says, and not this machine.
    let release = rig.node().begin_release(&id(), 1).unwrap();
    assert!(!release.has_waited());
    let session = before.session.clone().unwrap().unwrap();
    assert!(
        !rig.layer.lease(&before, &session).is_valid(),
        "what was found before is judged after"
    );
    rig.layer.forget(&id());
    assert!(!rig.lease().is_valid(), "the write may not have landed yet");
    release.confirm();
    rig.layer.forget(&id());
    assert!(!rig.lease().is_valid());
    rig.write("me", 3, Some(2));
    rig.layer.forget(&id());
    assert!(rig.lease().is_valid(), "a later epoch is a new right");
}

#[test]
fn a_session_that_was_given_up_twice_stays_so_at_the_later_epoch() {
    let rig = Rig::new();
    rig.write("me", 3, Some(2));
    for epoch in [3, 1] {
        drop(rig.node().begin_release(&id(), epoch).unwrap());
    }
    assert!(!rig.lease().is_valid());
}

#[test]
fn what_was_read_before_this_process_joined_proves_nothing() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    let before = rig.found();
    let session = before.session.clone().unwrap().unwrap();
    assert!(rig.lease().is_valid());
    rig.pass(10);
    rig.node().joined();
    assert_eq!(rig.layer.lease(&before, &session), Lease::Expired);
    rig.layer.forget(&id());
    assert!(rig.lease().is_valid());
}

#[test]
fn only_who_has_waited_says_that_it_has() {
    let rig = Rig::new();
    rig.write("me", 2, None);
    rig.found();
    rig.pass(F);
    assert!(rig.node().waited_out().is_empty());
    rig.pass(SLACK);
    assert_eq!(rig.node().waited_out(), [(id(), 2)].into());
    let release = rig.node().begin_release(&id(), 2).unwrap();
    assert!(release.has_waited());
}

#[test]
fn all_who_want_to_own_a_session_at_once_claim_it_once() {
    let rig = Rig::new();
    rig.sessions
        .insert(Session::new(id(), SessionStatus::Active));
    let seen = rig.found().session.unwrap().unwrap();
    let claims: Vec<Pending> = (0..1_000).map(|_| rig.layer.claim(&seen)).collect();
    for claim in claims {
        let found = claim.now_or_never().unwrap();
        let session = found.session.unwrap().unwrap();
        assert_eq!(session.owner(), Some(&machine("me")));
        assert_eq!(session.epoch(), Some(1));
    }
    assert_eq!(rig.claims.load(Ordering::SeqCst), 1);
    assert!(rig.lease().is_valid());
}

#[test]
fn who_comes_after_the_claim_finds_it_done() {
    let rig = Rig::new();
    rig.sessions
        .insert(Session::new(id(), SessionStatus::Active));
    let seen = rig.found().session.unwrap().unwrap();
    rig.layer.claim(&seen).now_or_never().unwrap();
    let late = rig.layer.claim(&seen).now_or_never().unwrap();
    assert_eq!(late.cache_status, CacheStatus::Hit);
    assert_eq!(rig.claims.load(Ordering::SeqCst), 1);
}

#[test]
fn a_loser_is_told_who_won() {
    let rig = Rig::new();
    rig.sessions
        .insert(Session::new(id(), SessionStatus::Active));
    let seen = rig.found().session.unwrap().unwrap();
    rig.write("other", 1, None);
    let found = rig.layer.claim(&seen).now_or_never().unwrap();
    let session = found.session.unwrap().unwrap();
    assert_eq!(session.owner(), Some(&machine("other")));
}

#[test]
fn who_takes_over_waits_although_the_owner_is_lost() {
    let rig = Rig::new();
    let lost = Session::owned_by(id(), machine("other")).with_owner_status(OwnerStatus::Lost);
    rig.sessions.insert(lost.with_epoch(1));
    let seen = rig.found().session.unwrap().unwrap();
    rig.layer.claim(&seen).now_or_never().unwrap();
    assert_eq!(rig.lease(), Lease::Pending { left: F + SLACK });
}

/// A lookup whose answers come when they are let through.
#[derive(Clone)]
struct Gated(
    MemoryDirectory,
    Arc<Mutex<Vec<tokio::sync::oneshot::Receiver<()>>>>,
);

impl crate::SessionLookup for Gated {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        let read = self.0.get(&id);
        let gate = self.1.lock().unwrap().pop();
        if let Some(gate) = gate {
            gate.await.unwrap();
        }
        Ok(read)
    }
}

#[test]
fn a_lookup_from_before_the_claim_does_not_undo_it() {
    let (open, gate) = tokio::sync::oneshot::channel();
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::new(id(), SessionStatus::Active));
    let lookup = Gated(sessions.clone(), Arc::new(Mutex::new(vec![gate])));
    let (clock, _) = Clock::by_hand();
    let layer = Sessions::for_test(
        DynLookup::new(lookup),
        Some(DynDirectory::new(sessions.clone())),
        Duration::from_secs(2),
        CachePolicy::new(),
        1_000,
        clock,
    );
    let mut slow = layer.cache.load(&id(), false);
    assert!((&mut slow).now_or_never().is_none());
    let seen = sessions.get(&id()).unwrap();
    layer.claim(&seen).now_or_never().unwrap();
    open.send(()).unwrap();
    slow.now_or_never().unwrap();
    let known = layer
        .cache
        .get_now(&id(), false)
        .unwrap()
        .session
        .unwrap()
        .unwrap();
    assert_eq!(known.owner(), Some(&machine("me")));
}

#[test]
fn a_loss_is_told_when_it_is_known() {
    type Change = (&'static str, fn(&Rig), LossReason);
    let changes: [Change; 4] = [
        (
            "moved",
            |rig| rig.write("other", 2, None),
            LossReason::Moved,
        ),
        (
            "came back at another epoch",
            |rig| rig.write("me", 3, None),
            LossReason::Moved,
        ),
        (
            "ended",
            |rig| {
                rig.sessions.insert(Session::new(id(), SessionStatus::Over));
            },
            LossReason::Over,
        ),
        (
            "deleted",
            |rig| {
                rig.sessions.remove(&id());
            },
            LossReason::Over,
        ),
    ];
    for (what, change, loss) in changes {
        let rig = Rig::new();
        rig.write("me", 1, None);
        let mut lost = rig.owned().lost();
        assert!((&mut lost).now_or_never().is_none(), "{what}");
        change(&rig);
        assert!((&mut lost).now_or_never().is_none(), "{what}: unknown here");
        rig.layer.forget(&id());
        assert_eq!((&mut lost).now_or_never(), Some(loss), "{what}");
    }
}

#[test]
fn a_drain_ends_open_streams_at_once() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    let mut lost = rig.owned().lost();
    assert!((&mut lost).now_or_never().is_none());
    rig.node().advance(NodeState::Draining);
    assert_eq!((&mut lost).now_or_never(), Some(LossReason::Draining));
}

#[test]
fn what_others_learn_of_a_loss_is_told_too() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    let mut lost = rig.owned().lost();
    assert!((&mut lost).now_or_never().is_none());
    rig.write("other", 2, None);
    rig.pass(1);
    // A request that was replayed reads the session anew.
    rig.pass(250);
    rig.cache.load(&id(), true).now_or_never().unwrap();
    assert_eq!((&mut lost).now_or_never(), Some(LossReason::Moved));
}

#[test]
fn a_change_that_takes_nothing_away_is_no_loss() {
    let rig = Rig::new();
    rig.write("me", 1, None);
    let mut lost = rig.owned().lost();
    for _ in 0..10 {
        assert!((&mut lost).now_or_never().is_none());
        rig.layer.forget(&id());
    }
    assert!((&mut lost).now_or_never().is_none());
}

#[tokio::test]
async fn an_open_stream_keeps_its_session_fresh_and_ends_when_nothing_proves_it_any_more() {
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::owned_by(id(), machine("me")).with_epoch(1));
    let down = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (asked, is_down) = (sessions.clone(), Arc::clone(&down));
    let lookup = crate::lookup_fn(move |id| {
        let answer = if is_down.load(Ordering::SeqCst) {
            Err(LookupError::unavailable("down"))
        } else {
            Ok(asked.get(&id))
        };
        std::future::ready(answer)
    });
    let freshness = CachePolicy::new().owned(Duration::from_secs(1));
    let layer = Sessions::for_test(
        DynLookup::new(lookup),
        None,
        Duration::from_secs(1),
        freshness,
        1_000,
        Clock::start(),
    );
    let found = layer.cache.load(&id(), false).await;
    let session = found.session.unwrap().unwrap();
    let owned = Grant {
        session,
        read_at: found.asked_at,
        cache_status: CacheStatus::Miss,
    }
    .owned(&layer);
    let mut lost = owned.lost();
    let longer_than_f = Duration::from_millis(2_500);
    assert!(
        tokio::time::timeout(longer_than_f, &mut lost)
            .await
            .is_err(),
        "it reads again in time"
    );
    down.store(true, Ordering::SeqCst);
    let began = std::time::Instant::now();
    assert_eq!(lost.await, LossReason::Unproved);
    assert!(began.elapsed() <= Duration::from_millis(1_500));
}

#[test]
fn a_look_apart_tells_the_same_wait_and_begins_none() {
    let rig = Rig::new();
    rig.write("me", 2, None);
    let look = || {
        let asked = rig.cache.ask_apart(id(), Duration::from_secs(1));
        let found = asked.now_or_never().unwrap();
        let session = found.session.clone().unwrap().unwrap();
        rig.node()
            .preview_lease(&session, found.asked_at, found.cache_status)
    };
    assert_eq!(look(), Lease::Pending { left: F + SLACK });
    rig.pass(1_000);
    assert_eq!(
        look(),
        Lease::Pending { left: F + SLACK },
        "a preview starts no wait"
    );
    assert!(rig.cache.remembered(&id()).is_none());
    assert_eq!(rig.lease(), Lease::Pending { left: F + SLACK });
    rig.pass(1_000);
    assert_eq!(
        look(),
        Lease::Pending {
            left: F + SLACK - 1_000
        }
    );
    assert_eq!(
        rig.cache.remembered(&id()).unwrap().found.age,
        Duration::from_secs(1)
    );
}
