//! A table of all verdicts.

use super::*;
use crate::{Bound, ReplayFailure, SessionId, SessionStatus};

const MAX_HOPS: u8 = 2;
const LIFE: Duration = Duration::from_secs(60);

fn machine(name: &str) -> MachineId {
    MachineId::parse(name).unwrap()
}

/// Every way a request can come here, told apart as far as a verdict can depend on it.
fn arrivals() -> Vec<(&'static str, Arrival)> {
    vec![
        ("fresh", Arrival::Fresh),
        ("cached", Arrival::Cached),
        ("replayed once", Arrival::Replayed { hops: 1 }),
        (
            "replayed to the limit",
            Arrival::Replayed { hops: MAX_HOPS },
        ),
        (
            "replayed past the limit",
            Arrival::Replayed { hops: u8::MAX },
        ),
        (
            "failed at the owner",
            Arrival::Failed(ReplayFailure {
                machine: Some(machine("owner")),
                ..ReplayFailure::default()
            }),
        ),
        (
            "failed elsewhere",
            Arrival::Failed(ReplayFailure {
                machine: Some(machine("other")),
                ..ReplayFailure::default()
            }),
        ),
        (
            "missed the owner",
            Arrival::Missed {
                machine: machine("owner"),
                hops: 0,
            },
        ),
        (
            "missed another",
            Arrival::Missed {
                machine: machine("other"),
                hops: 1,
            },
        ),
        (
            "missed another at the limit",
            Arrival::Missed {
                machine: machine("other"),
                hops: MAX_HOPS,
            },
        ),
    ]
}

/// What becomes of a request for a live, allowed session of somebody else.
fn elsewhere(arrival: &str) -> Verdict {
    match arrival {
        "fresh" | "cached" | "replayed once" | "missed another" => Verdict::Replay,
        "failed at the owner" | "failed elsewhere" | "missed the owner" => {
            Verdict::Reject(Code::OwnerUnreachable)
        }
        "replayed to the limit" | "replayed past the limit" | "missed another at the limit" => {
            Verdict::Reject(Code::ReplayLoop)
        }
        other => panic!("no row for {other}"),
    }
}

fn rights() -> [Right; 3] {
    let bound = Bound::new(10);
    let rights = [
        Right::of(0, 0, 0, bound),
        Right::of(0, 5, 0, bound),
        Right::of(0, 0, 10, bound),
    ];
    assert!(matches!(
        rights,
        [Right::Serve { .. }, Right::Wait { .. }, Right::Expired]
    ));
    rights
}

/// What becomes of a request for a live, allowed session of this machine.
fn mine(standing: Standing, right: Right) -> Verdict {
    match (standing, right) {
        (Standing::Serving, Right::Serve { .. }) => Verdict::Pass,
        (Standing::Serving, Right::Expired) => Verdict::Reject(Code::LookupUnavailable),
        (Standing::Serving, Right::Wait { .. }) | (Standing::Draining, _) => {
            Verdict::Reject(Code::SessionMoving)
        }
        (Standing::Joining, _) => Verdict::Reject(Code::SessionStarting),
        (Standing::Duplicate, _) => Verdict::Reject(Code::DuplicateIdentity),
        (Standing::Gone, _) => Verdict::Reject(Code::OwnerLost),
    }
}

fn heres(machine: &MachineId) -> Vec<Here<'_>> {
    let mut all = Vec::new();
    for standing in [
        Standing::Joining,
        Standing::Serving,
        Standing::Draining,
        Standing::Duplicate,
        Standing::Gone,
    ] {
        for (claims, takes_over) in [(false, false), (true, false), (false, true), (true, true)] {
            all.push(Here {
                standing,
                claims,
                takes_over,
                ..Here::new(machine, MAX_HOPS)
            });
        }
    }
    all
}

fn sessions() -> Vec<Session> {
    let mut all = Vec::new();
    for status in [
        SessionStatus::Starting,
        SessionStatus::Active,
        SessionStatus::Over,
    ] {
        let session = Session::new(SessionId::new(uuid::Uuid::nil()), status);
        all.push(session.clone());
        for presence in [
            Presence::Unknown,
            Presence::Alive,
            Presence::Draining,
            Presence::Silent,
            Presence::Lost,
            Presence::NeverSeen,
            Presence::Superseded,
        ] {
            all.push(
                session
                    .clone()
                    .with_owner(machine("owner"))
                    .with_presence(presence),
            );
        }
    }
    all
}

#[test]
fn every_combination_of_record_machine_and_arrival_has_its_verdict() {
    let mut rows = 0;
    for me in [machine("owner"), machine("me")] {
        for here in heres(&me) {
            for (name, arrival) in arrivals() {
                for kind in [
                    LookupErrorKind::Timeout,
                    LookupErrorKind::Unavailable,
                    LookupErrorKind::Corrupt,
                ] {
                    let code = if kind == LookupErrorKind::Corrupt {
                        Code::DirectoryCorrupt
                    } else {
                        Code::LookupUnavailable
                    };
                    let verdict = decide(Record::Failed(kind), here, &arrival);
                    assert_eq!(verdict, Verdict::Reject(code));
                    rows += 1;
                }
                let verdict = decide(Record::Unknown, here, &arrival);
                assert_eq!(verdict, Verdict::Reject(Code::SessionUnknown));
                rows += 1;
                for session in sessions() {
                    for (remaining, age) in [
                        (None, Duration::MAX),
                        (Some(LIFE), Duration::ZERO),
                        (Some(LIFE), LIFE),
                    ] {
                        let session = match remaining {
                            Some(remaining) => session.clone().with_remaining(remaining),
                            None => session.clone(),
                        };
                        for (allowed, right) in [true, false]
                            .into_iter()
                            .flat_map(|allowed| rights().map(|right| (allowed, right)))
                        {
                            let over = session.status() == SessionStatus::Over
                                || remaining.is_some_and(|life| life <= age);
                            let serves = here.standing == Standing::Serving;
                            let owned = session.owner().is_some();
                            let expected = match (over, allowed, session.status(), owned) {
                                (true, ..) => Verdict::Reject(Code::SessionOver),
                                (_, false, ..) => Verdict::Reject(Code::SessionForbidden),
                                (_, _, SessionStatus::Active, false) if here.claims && serves => {
                                    Verdict::Claim
                                }
                                (_, _, SessionStatus::Starting, true)
                                    if me.as_str() != "owner"
                                        && session.presence() == Presence::Lost =>
                                {
                                    Verdict::Reject(Code::OwnerLost)
                                }
                                (_, _, SessionStatus::Starting, _) | (_, _, _, false) => {
                                    Verdict::Reject(Code::SessionStarting)
                                }
                                _ if me.as_str() == "owner" => {
                                    let standing = match session.presence() {
                                        // A read from before this process had registered.
                                        Presence::Superseded
                                            if here.standing == Standing::Joining
                                                || serves && right == Right::Expired =>
                                        {
                                            here.standing
                                        }
                                        Presence::Superseded => Standing::Duplicate,
                                        _ => here.standing,
                                    };
                                    mine(standing, right)
                                }
                                _ => match session.presence() {
                                    Presence::Lost if here.takes_over && serves => Verdict::Claim,
                                    Presence::Lost => Verdict::Reject(Code::OwnerLost),
                                    Presence::NeverSeen => Verdict::Reject(Code::OwnerNeverSeen),
                                    _ => elsewhere(name),
                                },
                            };
                            let record = Record::known(&session, age, allowed, right);
                            assert_eq!(
                                decide(record, here, &arrival),
                                expected,
                                "{session:?} {here:?} {name} {allowed} {right:?}"
                            );
                            rows += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(rows, 2 * 20 * 10 * (3 + 1 + 3 * 8 * 3 * 6));
}

#[test]
fn nothing_a_proxy_says_makes_another_machine_serve() {
    let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
    for (name, arrival) in arrivals() {
        for max_hops in [0, 1, 2, u8::MAX] {
            let me = machine("me");
            let record = Record::known(&session, Duration::ZERO, true, rights()[0]);
            let verdict = decide(record, Here::new(&me, max_hops), &arrival);
            assert_ne!(verdict, Verdict::Pass, "{name}");
        }
    }
}

#[test]
fn no_hops_allowed_still_means_that_a_fresh_request_is_replayed_once() {
    let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
    let me = machine("me");
    let record = Record::known(&session, Duration::ZERO, true, rights()[0]);
    let here = Here::new(&me, 0);
    assert_eq!(decide(record, here, &Arrival::Fresh), Verdict::Replay);
    assert_eq!(
        decide(record, here, &Arrival::Replayed { hops: 1 }),
        Verdict::Reject(Code::ReplayLoop)
    );
}
