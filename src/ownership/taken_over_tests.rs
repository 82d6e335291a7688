//! A machine that takes over more sessions than its cache holds. Time is driven by hand.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;

use super::*;
use crate::{
    CachePolicy, MemoryDirectory, Session, SessionId,
    clock::{Clock, Tick},
    directory::lookup::DynLookup,
};

const CAPACITY: usize = 1_000;
const STEP: u64 = 100;

/// Requests for every session every 100 ms; which of them were served after `from`, until `to`.
fn served(sessions: u128, from: u64, to: u64) -> (HashSet<u128>, Arc<Sessions>) {
    let (clock, time) = Clock::by_hand();
    time.store(100_000, Ordering::SeqCst);
    let directory = MemoryDirectory::new();
    let id = |n| SessionId::new(uuid::Uuid::from_u128(n));
    for n in 0..sessions {
        let me = "me".parse().unwrap();
        directory.insert(Session::owned_by(id(n), me).with_epoch(2));
    }
    let layer = Sessions::for_test(
        DynLookup::new(directory),
        None,
        Duration::from_secs(2),
        CachePolicy::new().owned(Duration::from_secs(1)),
        CAPACITY,
        clock,
    );
    let mut served = HashSet::new();
    for at in (0..to).step_by(usize::try_from(STEP).unwrap()) {
        for n in 0..sessions {
            let known = layer.cache.get_now(&id(n), false);
            let found =
                known.unwrap_or_else(|| layer.cache.load(&id(n), false).now_or_never().unwrap());
            let session = found.session.clone().unwrap().unwrap();
            if layer.lease(&found, &session).is_valid() && at >= from {
                served.insert(n);
            }
        }
        time.fetch_add(STEP, Ordering::SeqCst);
    }
    (served, layer)
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
    let (_, layer) = served(3_000, 0, 2_000);
    let (node, late) = (&layer.node, Tick(u64::MAX / 2));
    let held = node.held_terms(late);
    assert!(held <= CAPACITY + 3_000, "{held}");
    // Nothing was read for more than a minute after the wait.
    let id = SessionId::new(uuid::Uuid::from_u128(9_999));
    let one = Session::owned_by(id, "me".parse().unwrap()).with_epoch(2);
    crate::cache::OnRead::on_read(node, &one, Tick(200_000), Tick(200_000));
    let held = node.held_terms(late);
    assert!(held <= CAPACITY + 1, "{held}");
}
