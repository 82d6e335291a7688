//! What a socket cannot bring about: platforms, and the state of a machine's own process.

use std::{sync::LazyLock, time::Duration};

use super::*;
use crate::{
    ReplayFailure, SessionId,
    decision::{Known, Local, Lookup, Volatile, decide},
};

const ME: &str = "56837ddda10348";
const OWNER: &str = "e2863555a91708";

fn machine(name: &str) -> MachineId {
    name.parse().unwrap()
}

fn owned_by(owner: &str) -> Session {
    Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine(owner))
}

fn find_with<'a>(
    session: &'a Session,
    origin: &'a RequestOrigin,
    state: NodeState,
    change: impl FnOnce(&mut Case<'_>),
) -> Found {
    static NAMED: LazyLock<MachineId> = LazyLock::new(|| machine(ME));
    let lookup = Lookup::Known(Known {
        session: session.clone(),
        age: Duration::ZERO,
        allowed: true,
        lease: Lease::Valid { left: 1_000 },
    });
    let local = Local {
        machine: &NAMED,
        state,
        max_hops: 2,
        claims: false,
        takes_over: false,
        ever_claims: false,
        volatile: Volatile::No,
    };
    let mut case = Case {
        machine: &NAMED,
        state,
        platform: None,
        origin,
        came_through: None,
        session: Some(session),
        decision: &decide(lookup, &local, origin),
        allowed: true,
        not_carried: None,
    };
    change(&mut case);
    case.find()
}

fn find(session: &Session, change: impl FnOnce(&mut Case<'_>)) -> Found {
    find_with(session, &RequestOrigin::Direct, NodeState::Serving, change)
}

#[test]
fn a_machine_whose_platform_calls_it_the_owner_has_the_wrong_identity() {
    let found = identity::Found::for_test("Fly.io", "FLY_MACHINE_ID", machine(OWNER));
    let session = owned_by(OWNER);
    let mut notes = Vec::new();
    let (finding, evidence) = find(&session, |case| {
        // Leaked: the case borrows for as long as its session.
        case.platform = Some(Box::leak(Box::new(found)));
        notes = case.notes(Finding::WrongIdentity);
    });
    assert_eq!(finding, Finding::WrongIdentity);
    assert!(evidence.contains("by FLY_MACHINE_ID"), "{evidence}");
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn an_owner_of_another_form_is_suspect_once_something_speaks_against_it() {
    let named = owned_by("web-0");
    assert_eq!(find(&named, |_| ()).0, Finding::Fine, "it may be right");
    let never_seen = named.clone().with_owner_status(OwnerStatus::NeverSeen);
    assert_eq!(find(&never_seen, |_| ()).0, Finding::WrongIdentity);
    let failed = RequestOrigin::Failed(ReplayFailure::default());
    let unreachable = find_with(&named, &failed, NodeState::Serving, |_| ());
    assert_eq!(unreachable.0, Finding::WrongIdentity);
    let lost = named.with_owner_status(OwnerStatus::Lost);
    assert_eq!(
        find(&lost, |_| ()).0,
        Finding::OwnerLost,
        "it did send heartbeats under that name"
    );
}

#[test]
fn the_state_of_a_process_is_the_finding_of_its_own_sessions() {
    for (state, finding) in [
        (NodeState::Joining, Finding::MachineJoining),
        (NodeState::Serving, Finding::Fine),
        (NodeState::Draining, Finding::OwnerDraining),
        (NodeState::Fenced, Finding::DuplicateIdentity),
        (NodeState::Removed, Finding::OwnerLost),
    ] {
        let fresh = &RequestOrigin::Direct;
        let mine = find_with(&owned_by(ME), fresh, state, |_| ());
        assert_eq!(mine.0, finding);
        let others = find_with(&owned_by(OWNER), fresh, state, |_| ());
        assert_eq!(others.0, Finding::Fine, "others' sessions are handed over");
    }
}

#[test]
fn what_is_wrong_comes_before_what_the_guard_says() {
    let (finding, _) = find(&owned_by(OWNER), |case| case.allowed = false);
    assert_eq!(finding, Finding::SessionForbidden);
    let lost = owned_by(OWNER).with_owner_status(OwnerStatus::Lost);
    let (finding, evidence) = find(&lost, |case| case.allowed = false);
    assert_eq!(finding, Finding::OwnerLost);
    assert!(evidence.ends_with("the guard refuses this request besides"));
}
