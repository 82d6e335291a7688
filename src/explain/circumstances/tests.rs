//! What a socket cannot bring about: platforms, and what a machine's own process may do.

use std::sync::LazyLock;

use super::*;
use crate::{ReplayFailure, SessionId};

const ME: &str = "56837ddda10348";
const OWNER: &str = "e2863555a91708";

fn machine(name: &str) -> MachineId {
    name.parse().unwrap()
}

fn owned_by(owner: &str) -> Session {
    Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine(owner))
}

fn find<'a>(session: &'a Session, with: impl FnOnce(&mut Circumstances<'a>)) -> Found {
    static NAMED: LazyLock<MachineId> = LazyLock::new(|| machine(ME));
    let mut circumstances = Circumstances {
        machine: &NAMED,
        state: NodeState::Serving,
        platform: None,
        arrival: &Arrival::Fresh,
        came_through: None,
        directory: Ok(Some(session)),
        age: Duration::ZERO,
        lease: None,
        verdict: Verdict::Replay,
        allowed: true,
        not_carried: None,
    };
    with(&mut circumstances);
    circumstances.find()
}

#[test]
fn a_machine_whose_platform_calls_it_the_owner_has_the_wrong_identity() {
    let found = identity::Found::for_test("Fly.io", "FLY_MACHINE_ID", machine(OWNER));
    let session = owned_by(OWNER);
    let (finding, summary) = find(&session, |c| c.platform = Some(&found));
    assert_eq!(finding, Finding::WrongIdentity);
    assert_eq!(
        summary,
        "The session's owner is e2863555a91708, which is this very machine by FLY_MACHINE_ID, \
         while its layer was built as 56837ddda10348."
    );
}

#[test]
fn an_owner_of_another_form_is_suspect_once_something_speaks_against_it() {
    let failed = Arrival::Failed(ReplayFailure::default());
    let named = owned_by("web-0");
    assert_eq!(find(&named, |_| {}).0, Finding::Fine, "it may be right");
    let never_seen = named.clone().with_presence(Presence::NeverSeen);
    assert_eq!(find(&never_seen, |_| {}).0, Finding::WrongIdentity);
    let unreachable = Verdict::Reject(Code::OwnerUnreachable);
    let (finding, _) = find(&named, |c| {
        (c.arrival, c.verdict) = (&failed, unreachable);
    });
    assert_eq!(finding, Finding::WrongIdentity);
    let lost = named.with_presence(Presence::Lost);
    assert_eq!(
        find(&lost, |_| {}).0,
        Finding::OwnerLost,
        "it did beat under that name"
    );
}

#[test]
fn what_a_process_may_not_do_any_more_is_said_of_its_own_sessions() {
    for (standing, finding) in [
        (NodeState::Joining, Finding::MachineJoining),
        (NodeState::Serving, Finding::Fine),
        (NodeState::Draining, Finding::OwnerDraining),
        (NodeState::Fenced, Finding::DuplicateIdentity),
        (NodeState::Removed, Finding::OwnerLost),
    ] {
        assert_eq!(find(&owned_by(ME), |c| c.state = standing).0, finding);
        assert_eq!(
            find(&owned_by(OWNER), |c| c.state = standing).0,
            Finding::Fine,
            "others' sessions are handed over all the same"
        );
    }
}

#[test]
fn what_is_wrong_comes_before_what_the_guard_says() {
    let (finding, _) = find(&owned_by(OWNER), |c| c.allowed = false);
    assert_eq!(finding, Finding::SessionForbidden);
    let lost = owned_by(OWNER).with_presence(Presence::Lost);
    let (finding, summary) = find(&lost, |c| c.allowed = false);
    assert_eq!(finding, Finding::OwnerLost);
    assert!(summary.ends_with("The guard refuses this request besides."));
}
