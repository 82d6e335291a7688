//! Claims that fail. Time is driven by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;

use super::*;
use crate::{
    CachePolicy, CacheStatus, LookupError, MachineId, MemoryDirectory, Session, SessionDirectory,
    SessionId, SessionStatus,
    cache::{Cache, Found},
    clock::Clock,
    directory::{Claimed, Created, DynDirectory, EndIf, NewSession, lookup::DynLookup},
};

/// A directory that refuses every claim, as a constraint of the application's does.
#[derive(Clone, Default)]
struct Refusing(Arc<AtomicU64>);

impl SessionDirectory for Refusing {
    async fn claim(&self, _: Session, _: MachineId) -> Result<Option<Claimed>, LookupError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(LookupError::unavailable("the claim was refused"))
    }

    async fn create(&self, _: NewSession, _: MachineId) -> Result<Created, LookupError> {
        unreachable!("the layer only claims")
    }

    async fn touch(
        &self,
        _: SessionId,
        _: MachineId,
        _: u64,
        _: Duration,
    ) -> Result<bool, LookupError> {
        unreachable!("the layer only claims")
    }

    async fn end(&self, _: SessionId, _: EndIf) -> Result<Option<u64>, LookupError> {
        unreachable!("the layer only claims")
    }
}

struct Rig {
    layer: Arc<Sessions>,
    cache: Arc<Cache>,
    sessions: MemoryDirectory,
    claims: Refusing,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn new() -> Self {
        let (clock, time) = Clock::by_hand();
        time.store(100_000, Ordering::SeqCst);
        let (sessions, claims) = (MemoryDirectory::new(), Refusing::default());
        let layer = Sessions::for_test(
            DynLookup::new(sessions.clone()),
            Some(DynDirectory::new(claims.clone())),
            Duration::from_secs(2),
            CachePolicy::new(),
            1_000,
            clock,
        );
        Self {
            cache: Arc::clone(&layer.cache),
            layer,
            sessions,
            claims,
            time,
        }
    }

    /// An unassigned session, as this machine read it.
    fn unassigned(&self, n: u128) -> Session {
        let id = SessionId::new(uuid::Uuid::from_u128(n));
        let session = Session::new(id.clone(), SessionStatus::Active);
        self.sessions.insert(session.clone());
        self.look(&id).unwrap().unwrap()
    }

    fn look(&self, id: &SessionId) -> Result<Option<Session>, LookupError> {
        self.cache.load(id, false).now_or_never().unwrap().session
    }

    fn claim(&self, seen: &Session) -> Found {
        self.layer.claim(seen).now_or_never().unwrap()
    }
}

#[test]
fn failing_claims_end_no_lookups_of_other_sessions() {
    let rig = Rig::new();
    let seen = rig.unassigned(1);
    for n in 2..100 {
        assert!(rig.claim(&seen).session.is_err());
        let other = SessionId::new(uuid::Uuid::from_u128(n));
        assert!(rig.look(&other).is_ok(), "lookup {n}");
        rig.time.fetch_add(10, Ordering::SeqCst);
    }
}

#[test]
fn failing_claims_do_not_make_the_directory_unreachable() {
    let rig = Rig::new();
    let seen = rig.unassigned(1);
    assert!(rig.claim(&seen).session.is_err());
    assert_eq!(rig.cache.last_reached().failed, None);
}

#[test]
fn claims_are_made_while_lookups_are_held_down() {
    let rig = Rig::new();
    let seen = rig.unassigned(1);
    for _ in 0..5 {
        rig.cache.hold_down_for_test();
    }
    rig.claim(&seen);
    assert_eq!(rig.claims.0.load(Ordering::SeqCst), 1);
}

#[test]
fn one_retrying_client_makes_few_claims() {
    let rig = Rig::new();
    let (seen, other) = (rig.unassigned(1), rig.unassigned(2));
    for _ in 0..1_000 {
        assert!(rig.claim(&seen).session.is_err());
        rig.time.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(rig.claims.0.load(Ordering::SeqCst), 4);
    rig.claim(&other);
    assert_eq!(rig.claims.0.load(Ordering::SeqCst), 5, "a pause of its own");
}

#[test]
fn a_failed_claim_is_told_as_its_error() {
    let rig = Rig::new();
    let seen = rig.unassigned(1);
    assert!(
        rig.cache.get_now(seen.id(), false).is_some(),
        "it is cached"
    );
    let found = rig.claim(&seen);
    assert_eq!(found.cache_status, CacheStatus::Miss);
    assert_eq!(
        found.session.unwrap_err().to_string(),
        "the claim was refused"
    );
}
