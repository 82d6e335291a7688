//! Time and polling are driven by hand.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::{FutureExt, future::poll_fn};
use tokio::sync::oneshot;

use super::*;
use crate::{
    CacheHandle, LookupError, OwnerStatus, SessionLookup, SessionStatus, ownership::Sessions,
};

type Reply = Result<Option<Session>, LookupError>;

/// A lookup whose answers are given by hand, and that keeps its refreshes.
#[derive(Clone, Default)]
struct ByHand(Arc<Asked>);

#[derive(Default)]
struct Asked {
    open: Mutex<VecDeque<(SessionId, oneshot::Sender<Reply>)>>,
    count: AtomicU64,
    refreshes: Mutex<Vec<Refresh>>,
}

impl SessionLookup for ByHand {
    async fn session(&self, id: SessionId) -> Reply {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        let (answer, answered) = oneshot::channel();
        self.0.open.lock().unwrap().push_back((id, answer));
        answered.await.unwrap()
    }

    fn spawn(&self, refresh: Refresh) {
        self.0.refreshes.lock().unwrap().push(refresh);
    }
}

impl ByHand {
    fn asked(&self) -> u64 {
        self.0.count.load(Ordering::SeqCst)
    }

    /// Answers the oldest open question; says whether anybody still waits.
    fn answer(&self, reply: Reply) -> bool {
        let (_, open) = self
            .0
            .open
            .lock()
            .unwrap()
            .pop_front()
            .expect("a question is open");
        open.send(reply).is_ok()
    }

    fn run_refreshes(&self) -> usize {
        let mut refreshes = std::mem::take(&mut *self.0.refreshes.lock().unwrap());
        let count = refreshes.len();
        refreshes.retain_mut(|refresh| poll(refresh).is_pending());
        self.0.refreshes.lock().unwrap().append(&mut refreshes);
        count
    }
}

struct Rig {
    sessions: Arc<Sessions>,
    cache: Arc<Cache>,
    lookup: ByHand,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn new(freshness: CachePolicy) -> Self {
        Self::with_capacity(freshness, 1_000)
    }

    fn with_capacity(freshness: CachePolicy, capacity: usize) -> Self {
        Self::with_timeout(freshness, capacity, Duration::from_secs(60))
    }

    fn with_timeout(freshness: CachePolicy, capacity: usize, timeout: Duration) -> Self {
        let (clock, time) = Clock::by_hand();
        let lookup = ByHand::default();
        let erased = DynLookup::new(lookup.clone());
        let sessions = Sessions::for_test(erased, None, timeout, freshness, capacity, clock);
        Self {
            cache: Arc::clone(&sessions.cache),
            sessions,
            lookup,
            time,
        }
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn fresh(&self, id: &SessionId) -> Option<Found> {
        self.cache.get_now(id, false)
    }

    /// Looks a session up and answers at once.
    fn learn(&self, id: &SessionId, reply: Reply) -> Found {
        self.learn_for(false, id, reply)
    }

    fn learn_for(&self, replayed: bool, id: &SessionId, reply: Reply) -> Found {
        let mut load = self.cache.load(id, replayed);
        assert!(poll(&mut load).is_pending());
        self.lookup.answer(reply);
        ready(&mut load)
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    future.poll_unpin(&mut Context::from_waker(Waker::noop()))
}

fn ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("still waiting"),
    }
}

fn machine(name: &str) -> MachineId {
    name.parse().unwrap()
}

fn id(n: u128) -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(n))
}

#[allow(clippy::unnecessary_wraps, reason = "what a lookup replies")]
fn owned_by(n: u128, owner: &str) -> Reply {
    Ok(Some(Session::owned_by(id(n), machine(owner))))
}

fn down() -> Reply {
    Err(LookupError::unavailable("down"))
}

fn owner_of(found: &Found) -> Option<&str> {
    found
        .session
        .as_ref()
        .unwrap()
        .as_ref()?
        .owner()
        .map(MachineId::as_str)
}

#[test]
fn a_session_is_remembered_for_its_freshness_and_no_longer() {
    for (owner, earliest, latest) in [("me", 4_375, 5_000), ("other", 26_250, 30_000)] {
        let rig = Rig::new(CachePolicy::new());
        rig.learn(&id(1), owned_by(1, owner));
        rig.pass(earliest - 1);
        assert_eq!(owner_of(&rig.fresh(&id(1)).unwrap()), Some(owner));
        rig.pass(latest - earliest + 1);
        assert!(rig.fresh(&id(1)).is_none());
    }
}

#[test]
fn an_unknown_or_unassigned_session_is_kept_for_a_second() {
    let unassigned = Ok(Some(Session::new(id(1), SessionStatus::Active)));
    let starting = Ok(Some(
        Session::new(id(1), SessionStatus::Starting).with_owner(machine("me")),
    ));
    for reply in [Ok(None), unassigned, starting] {
        let rig = Rig::new(CachePolicy::new());
        rig.learn(&id(1), reply);
        rig.pass(874);
        assert!(rig.fresh(&id(1)).is_some());
        rig.pass(126);
        assert!(rig.fresh(&id(1)).is_none());
    }
}

#[test]
fn at_the_end_of_its_life_a_session_is_read_again_since_that_may_have_been_put_off() {
    let rig = Rig::new(CachePolicy::new());
    let ends_in = |milliseconds| {
        let session = Session::owned_by(id(1), machine("other"));
        Ok(Some(
            session.with_remaining(Duration::from_millis(milliseconds)),
        ))
    };
    rig.learn(&id(1), ends_in(8_000));
    rig.pass(6_999);
    assert!(rig.fresh(&id(1)).is_some());
    rig.pass(1_001);
    assert!(rig.fresh(&id(1)).is_none(), "it is 8 s old, not 30");
    assert!(rig.learn(&id(1), down()).session.is_err(), "it may be over");
    let found = rig.learn(&id(1), ends_in(60_000));
    assert_eq!(owner_of(&found), Some("other"));
    rig.pass(20_000);
    assert!(rig.fresh(&id(1)).is_some());
    // What is over as it is read is kept like whatever else is over.
    rig.pass(40_000);
    rig.learn(&id(1), ends_in(0));
    rig.pass(4_000);
    assert!(rig.fresh(&id(1)).is_some());
}

#[test]
fn ages_are_counted_from_before_the_question_was_sent() {
    let rig = Rig::new(CachePolicy::new());
    let mut load = rig.cache.load(&id(1), false);
    assert!(poll(&mut load).is_pending());
    rig.pass(3_000);
    rig.lookup.answer(owned_by(1, "me"));
    assert_eq!(ready(&mut load).age, Duration::from_secs(3));
    rig.pass(2_000);
    assert!(rig.fresh(&id(1)).is_none());
}

#[test]
fn a_thousand_cold_requests_ask_once() {
    let rig = Rig::new(CachePolicy::new());
    let mut loads: Vec<_> = (0..1000).map(|_| rig.cache.load(&id(1), false)).collect();
    assert!(loads.iter_mut().all(|load| poll(load).is_pending()));
    rig.lookup.answer(owned_by(1, "other"));
    assert!(
        loads
            .iter_mut()
            .all(|load| owner_of(&ready(load)) == Some("other"))
    );
    assert_eq!(rig.lookup.asked(), 1);
    assert_eq!(rig.cache.lookups.len(), 0);
}

#[test]
fn a_request_that_comes_as_the_answer_lands_sends_no_lookup() {
    let rig = Rig::new(CachePolicy::new());
    assert!(rig.fresh(&id(1)).is_none());
    rig.learn(&id(1), owned_by(1, "other"));
    let mut late = rig.cache.load(&id(1), false);
    assert_eq!(ready(&mut late).cache_status, CacheStatus::Hit);
    assert_eq!(rig.lookup.asked(), 1);
}

#[test]
fn a_failure_reaches_all_that_wait_and_no_later_request() {
    let rig = Rig::new(CachePolicy::new());
    let mut loads: Vec<_> = (0..100).map(|_| rig.cache.load(&id(1), false)).collect();
    assert!(loads.iter_mut().all(|load| poll(load).is_pending()));
    rig.lookup.answer(down());
    assert!(loads.iter_mut().all(|load| ready(load).session.is_err()));
    assert_eq!(rig.lookup.asked(), 1);
    assert_eq!(owner_of(&rig.learn(&id(1), owned_by(1, "me"))), Some("me"));
    assert_eq!(rig.lookup.asked(), 2);
}

#[test]
fn a_lookup_that_panics_has_failed_for_all_who_wait() {
    let rig = Rig::new(CachePolicy::new());
    let mut loads: Vec<_> = (0..10).map(|_| rig.cache.load(&id(1), false)).collect();
    assert!(loads.iter_mut().all(|load| poll(load).is_pending()));
    // The lookup unwraps what it is answered with.
    rig.lookup.0.open.lock().unwrap().clear();
    for load in &mut loads {
        let error = ready(load).session.unwrap_err();
        assert_eq!(error.kind(), crate::LookupErrorKind::Unavailable);
    }
    assert_eq!(owner_of(&rig.learn(&id(1), owned_by(1, "me"))), Some("me"));
}

#[test]
fn a_leader_that_leaves_hands_over_to_those_who_wait() {
    let rig = Rig::new(CachePolicy::new());
    let mut leader = rig.cache.load(&id(1), false);
    assert!(poll(&mut leader).is_pending());
    let mut follower = rig.cache.load(&id(1), false);
    assert!(poll(&mut follower).is_pending());
    drop(leader);
    assert!(rig.lookup.answer(owned_by(1, "me")));
    assert_eq!(owner_of(&ready(&mut follower)), Some("me"));
    assert_eq!(rig.lookup.asked(), 1);
}

#[test]
fn the_last_who_leaves_takes_the_lookup_along() {
    let rig = Rig::new(CachePolicy::new());
    let mut loads = [rig.cache.load(&id(1), false), rig.cache.load(&id(1), false)];
    assert!(loads.iter_mut().all(|load| poll(load).is_pending()));
    drop(loads);
    assert!(
        !rig.lookup.answer(owned_by(1, "me")),
        "no request waits any more"
    );
    assert_eq!(rig.cache.lookups.len(), 0);
    drop(rig.cache.load(&id(2), false));
    assert_eq!(
        rig.cache.lookups.len(),
        0,
        "not even one that was never polled stays behind"
    );
}

#[tokio::test]
async fn those_who_wait_have_time_limits_of_their_own() {
    let lookup = ByHand::default();
    let (erased, timeout) = (DynLookup::new(lookup.clone()), Duration::from_millis(400));
    let cache = Arc::clone(
        &Sessions::for_test(erased, None, timeout, CachePolicy::new(), 8, Clock::start()).cache,
    );
    let mut early = cache.load(&id(1), false);
    assert!(poll(&mut early).is_pending());
    tokio::time::sleep(timeout / 2).await;
    let mut late = cache.load(&id(1), false);
    assert!(poll(&mut late).is_pending());
    let error = (&mut early).await.session.unwrap_err();
    assert_eq!(error.kind(), crate::LookupErrorKind::Timeout);
    drop(early);
    assert!(lookup.answer(owned_by(1, "me")));
    assert_eq!(owner_of(&late.await), Some("me"));
    assert_eq!(lookup.asked(), 1);
}

#[test]
fn a_lookup_that_hangs_is_joined_for_no_longer_than_its_answer_is_of_use() {
    // For the time limit, and for half of the lease of 5 s.
    for (timeout, joined_for) in [(1, 1_000), (60, 2_500)] {
        let timeout = Duration::from_secs(timeout);
        let rig = Rig::with_timeout(CachePolicy::new(), 1_000, timeout);
        let mut waits = Vec::new();
        // A request waits all the time, so that the lookup is never dropped.
        for (after, asked) in [(0, 1), (joined_for, 1), (1, 2), (joined_for, 2)] {
            rig.pass(after);
            let mut load = rig.cache.load(&id(1), false);
            assert!(poll(&mut load).is_pending());
            assert_eq!(rig.lookup.asked(), asked);
            waits.push(load);
        }
        rig.lookup.answer(owned_by(1, "old"));
        rig.lookup.answer(owned_by(1, "new"));
        assert_eq!(owner_of(&ready(&mut waits[1])), Some("old"));
        assert_eq!(owner_of(&ready(&mut waits[3])), Some("new"));
    }
}

#[test]
fn what_was_forgotten_while_it_was_looked_up_is_not_kept() {
    for all in [false, true] {
        for reply in [owned_by(1, "old"), Ok(None)] {
            let rig = Rig::new(CachePolicy::new());
            let mut before = rig.cache.load(&id(1), false);
            assert!(poll(&mut before).is_pending());
            if all {
                rig.cache.invalidate_all();
            } else {
                rig.cache.invalidate(&id(1));
            }
            let mut after = rig.cache.load(&id(1), false);
            assert!(poll(&mut after).is_pending());
            rig.lookup.answer(reply);
            rig.lookup.answer(owned_by(1, "new"));
            assert_ne!(
                owner_of(&ready(&mut before)),
                Some("new"),
                "it asked before the change"
            );
            assert_eq!(owner_of(&ready(&mut after)), Some("new"));
            assert_eq!(owner_of(&rig.fresh(&id(1)).unwrap()), Some("new"));
        }
    }
}

#[test]
fn forgetting_forgets_what_is_known_and_that_it_is_unknown() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "me"));
    rig.learn(&id(2), Ok(None));
    let handle = CacheHandle::new(&rig.sessions);
    handle.forget(&id(1));
    handle.forget(&id(2));
    assert!(rig.fresh(&id(1)).is_none() && rig.fresh(&id(2)).is_none());
    rig.learn(&id(1), owned_by(1, "me"));
    rig.learn(&id(2), Ok(None));
    handle.forget_all();
    assert!(rig.fresh(&id(1)).is_none() && rig.fresh(&id(2)).is_none() && handle.is_empty());
}

#[test]
fn a_session_that_comes_to_be_is_no_longer_unknown_and_the_other_way_round() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), Ok(None));
    rig.pass(1_000);
    rig.learn(&id(1), owned_by(1, "me"));
    assert_eq!(owner_of(&rig.fresh(&id(1)).unwrap()), Some("me"));
    rig.pass(5_000);
    rig.learn(&id(1), Ok(None));
    assert!(rig.fresh(&id(1)).unwrap().session.unwrap().is_none());
}

#[test]
fn a_replayed_request_trusts_only_what_was_read_a_moment_ago() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "other"));
    rig.pass(249);
    assert!(rig.cache.get_now(&id(1), true).is_some());
    rig.pass(1);
    assert!(rig.cache.get_now(&id(1), true).is_none());
    assert!(rig.fresh(&id(1)).is_some());
}

#[test]
fn forged_replays_ask_at_most_once_per_recheck() {
    let rig = Rig::new(CachePolicy::new());
    for moment in 0..1_000 {
        if rig.cache.get_now(&id(1), true).is_none() {
            rig.learn_for(true, &id(1), owned_by(1, "other"));
        }
        assert!(rig.lookup.asked() <= 1 + moment / 250);
        rig.pass(1);
    }
    assert_eq!(rig.lookup.asked(), 4);
}

#[test]
fn a_replayed_request_joins_no_lookup_that_began_long_before() {
    let rig = Rig::new(CachePolicy::new());
    let mut slow = rig.cache.load(&id(1), false);
    assert!(poll(&mut slow).is_pending());
    rig.pass(251);
    let mut replayed = rig.cache.load(&id(1), true);
    assert!(poll(&mut replayed).is_pending());
    assert_eq!(rig.lookup.asked(), 2);
    let mut another = rig.cache.load(&id(1), true);
    assert!(poll(&mut another).is_pending());
    assert_eq!(rig.lookup.asked(), 2);
    rig.lookup.answer(owned_by(1, "old"));
    rig.lookup.answer(owned_by(1, "new"));
    assert_eq!(owner_of(&ready(&mut slow)), Some("old"));
    assert_eq!(owner_of(&ready(&mut replayed)), Some("new"));
    assert_eq!(
        owner_of(&rig.fresh(&id(1)).unwrap()),
        Some("new"),
        "the older answer is not kept"
    );
}

#[test]
fn a_session_in_use_is_read_again_before_it_is_too_old_once() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "me"));
    rig.pass(3_000);
    rig.fresh(&id(1)).unwrap();
    assert_eq!(rig.lookup.run_refreshes(), 0, "too early");
    rig.pass(1_300);
    for _ in 0..100 {
        rig.fresh(&id(1)).unwrap();
    }
    assert_eq!(rig.lookup.run_refreshes(), 1);
    assert_eq!(rig.lookup.asked(), 2);
    rig.lookup.answer(owned_by(1, "me"));
    rig.lookup.run_refreshes();
    rig.pass(4_000);
    assert!(rig.fresh(&id(1)).is_some(), "it never was too old");
}

#[test]
fn a_refresh_that_its_runtime_drops_is_tried_again() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "me"));
    rig.pass(4_300);
    rig.fresh(&id(1)).unwrap();
    rig.lookup.0.refreshes.lock().unwrap().clear();
    rig.fresh(&id(1)).unwrap();
    assert_eq!(rig.lookup.run_refreshes(), 1);
}

/// A lookup without a runtime to refresh on.
struct Drops(Arc<AtomicU64>);
impl SessionLookup for Drops {
    async fn session(&self, id: SessionId) -> Reply {
        Ok(Some(Session::owned_by(id, machine("me"))))
    }

    fn spawn(&self, _refresh: Refresh) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_lookup_that_runs_no_refreshes_is_not_asked_to_at_every_request() {
    let (clock, time) = Clock::by_hand();
    let asked = Arc::new(AtomicU64::new(0));
    let lookup = DynLookup::new(Drops(Arc::clone(&asked)));
    let (timeout, freshness) = (Duration::from_secs(60), CachePolicy::new());
    let cache = Arc::clone(&Sessions::for_test(lookup, None, timeout, freshness, 100, clock).cache);
    ready(&mut cache.load(&id(1), false));
    for _ in 0..1_000 {
        time.store(4_300, Ordering::SeqCst);
        assert!(cache.get_now(&id(1), false).is_some());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn sessions_in_memory_are_read_again_on_the_spot() {
    let (clock, time) = Clock::by_hand();
    let sessions = crate::MemoryDirectory::new();
    sessions.insert(Session::owned_by(id(1), machine("me")));
    let lookup = DynLookup::new(sessions);
    let (timeout, freshness) = (Duration::from_secs(60), CachePolicy::new());
    let cache = Arc::clone(&Sessions::for_test(lookup, None, timeout, freshness, 100, clock).cache);
    ready(&mut cache.load(&id(1), false));
    for moment in 0..20_000 {
        time.store(moment, Ordering::SeqCst);
        assert!(
            cache.get_now(&id(1), false).is_some(),
            "it is never too old"
        );
    }
}

#[test]
fn while_the_lookup_fails_an_old_hint_about_elsewhere_is_used_and_says_so() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "other"));
    rig.learn(&id(2), owned_by(2, "me"));
    rig.pass(60_000);
    let stale = rig.learn(&id(1), down());
    assert_eq!(
        (owner_of(&stale), stale.cache_status),
        (Some("other"), CacheStatus::Stale)
    );
    assert_eq!(stale.age, Duration::from_secs(60));
    assert!(
        rig.learn(&id(2), down()).session.is_err(),
        "an owned one may not be stale"
    );
    rig.pass(30_000);
    assert!(
        rig.learn(&id(1), down()).session.is_err(),
        "too old even for that"
    );
}

#[test]
fn that_an_owner_was_away_is_no_hint_while_the_lookup_fails() {
    for presence in [OwnerStatus::Lost, OwnerStatus::NeverSeen] {
        let rig = Rig::new(CachePolicy::new());
        let session = owned_by(1, "other").unwrap().unwrap();
        rig.learn(&id(1), Ok(Some(session.with_owner_status(presence))));
        rig.pass(2_000);
        let found = rig.learn(&id(1), down());
        assert!(found.session.is_err(), "{presence:?}");
    }
}

#[test]
fn a_silent_owner_is_asked_about_again_soon() {
    let rig = Rig::new(CachePolicy::new());
    let session = owned_by(1, "other").unwrap().unwrap();
    let silent = || Ok(Some(session.clone().with_owner_status(OwnerStatus::Silent)));
    rig.learn(&id(1), silent());
    rig.pass(1_000);
    assert_eq!(rig.learn(&id(1), silent()).cache_status, CacheStatus::Miss);
    rig.pass(2_000);
    let found = rig.learn(&id(1), down());
    assert_eq!(
        found.cache_status,
        CacheStatus::Stale,
        "an outage of the directory makes owners silent, and they still serve"
    );
}

#[test]
fn an_old_hint_is_not_used_for_a_replayed_request_nor_for_a_corrupt_row() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(1), owned_by(1, "other"));
    rig.pass(31_000);
    let mut replayed = rig.cache.load(&id(1), true);
    assert!(poll(&mut replayed).is_pending());
    rig.lookup.answer(down());
    assert!(ready(&mut replayed).session.is_err());
    assert!(
        rig.learn(&id(1), Err(LookupError::corrupt("bad")))
            .session
            .is_err()
    );
}

#[test]
fn an_owned_session_may_be_stale_only_where_the_builder_says_so() {
    let rig = Rig::new(CachePolicy::new().stale_owned_if_error(Duration::from_secs(10)));
    rig.learn(&id(1), owned_by(1, "me"));
    rig.pass(10_000);
    assert_eq!(rig.learn(&id(1), down()).cache_status, CacheStatus::Stale);
}

#[test]
fn a_directory_that_only_fails_is_left_alone_for_a_moment() {
    let rig = Rig::new(CachePolicy::new());
    for n in 0..3 {
        assert!(rig.learn(&id(n), down()).session.is_err());
    }
    for n in 0..1_000 {
        assert!(ready(&mut rig.cache.load(&id(n), false)).session.is_err());
    }
    assert_eq!(rig.lookup.asked(), 3);
    rig.pass(100);
    rig.learn(&id(1), owned_by(1, "me"));
    rig.learn(&id(2), owned_by(2, "me"));
    assert_eq!(rig.lookup.asked(), 5);
}

#[test]
fn a_refresh_that_is_not_run_takes_no_lookups_turn() {
    let rig = Rig::new(CachePolicy::new());
    rig.learn(&id(9), owned_by(9, "other"));
    rig.pass(25_000);
    for n in 0..3 {
        rig.learn(&id(n), down());
    }
    rig.pass(100);
    rig.fresh(&id(9)).unwrap();
    rig.lookup.0.refreshes.lock().unwrap().clear();
    assert_eq!(owner_of(&rig.learn(&id(1), owned_by(1, "me"))), Some("me"));
}

#[test]
fn made_up_ids_push_out_each_other_and_nothing_else() {
    // Less than half of the room: the table's shards do not fill evenly.
    let rig = Rig::with_capacity(CachePolicy::new(), 800);
    for n in 0..300 {
        rig.learn(&id(n), owned_by(n, "me"));
    }
    for n in 10_000..20_000 {
        rig.learn(&id(n), Ok(None));
    }
    assert_eq!(
        (0..300).filter(|n| rig.fresh(&id(*n)).is_some()).count(),
        300
    );
    assert!(
        rig.cache.unknown.len() <= 100,
        "{}",
        rig.cache.unknown.len()
    );
}

#[test]
fn the_cache_has_a_cap() {
    let rig = Rig::with_capacity(CachePolicy::new(), 800);
    for n in 0..10_000 {
        rig.learn(&id(n), owned_by(n, &format!("m{n}")));
    }
    assert!(rig.cache.known.len() <= 800, "{}", rig.cache.known.len());
    assert_eq!(rig.cache.lookups.len(), 0);
}

#[test]
fn nothing_is_remembered_where_every_request_has_to_ask() {
    let rig = Rig::new(CachePolicy::always_ask());
    for _ in 0..3 {
        rig.learn(&id(1), owned_by(1, "me"));
        rig.learn(&id(2), Ok(None));
    }
    assert_eq!(rig.lookup.asked(), 6);
    assert_eq!(rig.cache.known.len() + rig.cache.unknown.len(), 0);
}

#[test]
fn what_may_not_be_remembered_still_replaces_what_was() {
    let unassigned = Ok(Some(Session::new(id(1), SessionStatus::Active)));
    let freshness = CachePolicy::new().owned(Duration::ZERO);
    for (freshness, before, after) in [
        (freshness, "other", owned_by(1, "me")),
        (CachePolicy::new().unknown(Duration::ZERO), "me", unassigned),
    ] {
        let rig = Rig::new(freshness);
        rig.learn(&id(1), owned_by(1, before));
        rig.pass(300);
        rig.learn_for(true, &id(1), after);
        assert!(rig.fresh(&id(1)).is_none());
    }
}

#[tokio::test]
async fn many_threads_ask_once() {
    let rig = Rig::new(CachePolicy::new());
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let cache = Arc::clone(&rig.cache);
            tokio::task::spawn_blocking(move || {
                let mut load = pin!(cache.load(&id(1), false));
                futures_block_on(poll_fn(move |cx| load.as_mut().poll(cx)))
            })
        })
        .collect();
    while rig.lookup.0.open.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    rig.lookup.answer(owned_by(1, "me"));
    for task in tasks {
        assert_eq!(owner_of(&task.await.unwrap()), Some("me"));
    }
    assert_eq!(rig.lookup.asked(), 1);
}

fn futures_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

#[test]
fn an_entry_is_small() {
    assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    assert!(size_of::<Session>() <= 96, "{}", size_of::<Session>());
}
