//! A machine that takes over more sessions than its cache holds. Time is driven by hand.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;

use super::*;
use crate::MemoryLookup;

const CAPACITY: usize = 1_000;
const STEP: u64 = 100;

/// Requests for every session every 100 ms; which of them were served after `from`, until `to`.
fn served(sessions: u128, from: u64, to: u64) -> (HashSet<u128>, Arc<Cache>) {
    let (clock, time) = Clock::by_hand();
    time.store(100_000, Ordering::SeqCst);
    let directory = MemoryLookup::new();
    let id = |n| SessionId::new(uuid::Uuid::from_u128(n));
    for n in 0..sessions {
        let me = "me".parse().unwrap();
        directory.insert(Session::owned_by(id(n), me).with_epoch(2));
    }
    let cache = Arc::new(Cache::new(
        "me".parse().unwrap(),
        DynLookup::new(directory),
        None,
        Duration::from_secs(2),
        Freshness::new().owned(Duration::from_secs(1)),
        CAPACITY,
        clock,
    ));
    let mut served = HashSet::new();
    for at in (0..to).step_by(usize::try_from(STEP).unwrap()) {
        for n in 0..sessions {
            let known = cache.get(id(n), false);
            let found = known.unwrap_or_else(|| cache.load(id(n), false).now_or_never().unwrap());
            let session = found.session.clone().unwrap().unwrap();
            if cache.right(&found, &session).may_serve() && at >= from {
                served.insert(n);
            }
        }
        time.fetch_add(STEP, Ordering::SeqCst);
    }
    (served, cache)
}

#[test]
fn every_taken_over_session_is_served() {
    for sessions in [200, 600, 800, 1_500, 3_000] {
        let (served, _) = served(sessions, 3_000, 6_000);
        assert_eq!(served.len(), usize::try_from(sessions).unwrap());
    }
}

#[test]
fn pending_terms_do_not_outlive_their_time() {
    let (_, cache) = served(3_000, 0, 2_000);
    let held = cache.tenures.waited_out(Tick(u64::MAX / 2)).len();
    assert!(held <= CAPACITY + 3_000, "{held}");
    // Nothing was read for more than a minute after the wait.
    let mut one = Session::owned_by(
        SessionId::new(uuid::Uuid::from_u128(9_999)),
        "me".parse().unwrap(),
    )
    .with_epoch(2);
    cache.tenures.note(&mut one, Tick(200_000), Tick(200_000));
    let held = cache.tenures.waited_out(Tick(u64::MAX / 2)).len();
    assert!(held <= CAPACITY + 1, "{held}");
}
