//! A table of all decisions.

use super::*;
use crate::{ReplayFailure, SessionId, SessionStatus, ownership::LeaseTtl};

const MAX_HOPS: u8 = 2;
const LIFE: Duration = Duration::from_secs(60);

fn machine(name: &str) -> MachineId {
    MachineId::parse(name).unwrap()
}

/// Every way a request can come here, told apart as far as a verdict can depend on it.
fn origins() -> Vec<(&'static str, RequestOrigin)> {
    vec![
        ("fresh", RequestOrigin::Direct),
        ("cached", RequestOrigin::ReplayCache),
        ("replayed once", RequestOrigin::Replayed { hops: 1 }),
        (
            "replayed to the limit",
            RequestOrigin::Replayed { hops: MAX_HOPS },
        ),
        (
            "replayed past the limit",
            RequestOrigin::Replayed { hops: u8::MAX },
        ),
        ("forwarded once", RequestOrigin::Forwarded { hops: 1 }),
        (
            "forwarded to the limit",
            RequestOrigin::Forwarded { hops: MAX_HOPS },
        ),
        (
            "failed at the owner",
            RequestOrigin::Failed(ReplayFailure {
                machine: Some(machine("owner")),
                ..ReplayFailure::default()
            }),
        ),
        (
            "failed elsewhere",
            RequestOrigin::Failed(ReplayFailure {
                machine: Some(machine("other")),
                ..ReplayFailure::default()
            }),
        ),
        (
            "missed the owner",
            RequestOrigin::FellBack {
                machine: machine("owner"),
                hops: 0,
            },
        ),
        (
            "missed another",
            RequestOrigin::FellBack {
                machine: machine("other"),
                hops: 1,
            },
        ),
        (
            "missed another at the limit",
            RequestOrigin::FellBack {
                machine: machine("other"),
                hops: MAX_HOPS,
            },
        ),
    ]
}

/// What becomes of a request for a live, allowed session of another machine.
fn elsewhere(origin: &str) -> Verdict {
    match origin {
        "fresh" | "cached" | "replayed once" | "forwarded once" | "missed another" => {
            Verdict::Replay
        }
        "failed at the owner" | "failed elsewhere" | "missed the owner" => {
            Verdict::Reject(RejectionCode::OwnerUnreachable)
        }
        "replayed to the limit"
        | "replayed past the limit"
        | "forwarded to the limit"
        | "missed another at the limit" => Verdict::Reject(RejectionCode::ReplayLoop),
        other => panic!("no row for {other}"),
    }
}

fn leases() -> [Lease; 4] {
    let ttl = LeaseTtl::exactly(10);
    let leases = [
        Lease::of(0, 0, 0, ttl),
        Lease::of(0, 5, 0, ttl),
        Lease::of(0, 0, 10, ttl),
        Lease::Released,
    ];
    assert!(matches!(
        leases,
        [
            Lease::Valid { .. },
            Lease::Pending { .. },
            Lease::Expired,
            Lease::Released
        ]
    ));
    leases
}

/// What becomes of a request for a live, allowed session of this machine.
fn mine(state: NodeState, lease: Lease) -> Verdict {
    match (state, lease) {
        (NodeState::Serving, Lease::Valid { .. }) => Verdict::Pass,
        (NodeState::Serving, Lease::Expired) => Verdict::Reject(RejectionCode::LookupUnavailable),
        (NodeState::Serving, Lease::Pending { .. } | Lease::Released)
        | (NodeState::Draining, _) => Verdict::Reject(RejectionCode::SessionMoving),
        (NodeState::Joining, _) => Verdict::Reject(RejectionCode::SessionStarting),
        (NodeState::Fenced, _) => Verdict::Reject(RejectionCode::DuplicateIdentity),
        (NodeState::Removed, _) => Verdict::Reject(RejectionCode::OwnerLost),
    }
}

fn local(machine: &MachineId, max_hops: u8) -> Local<'_> {
    Local {
        machine,
        state: NodeState::Serving,
        max_hops,
        claims: false,
        takes_over: false,
        ever_claims: false,
        volatile: Volatile::No,
    }
}

fn known(session: &Session, age: Duration, allowed: bool, lease: Lease) -> Lookup {
    Lookup::Known(Known {
        session: session.clone(),
        age,
        allowed,
        lease,
    })
}

/// What is decided, with data that has to be that of the question.
fn verdict(lookup: Lookup, local: &Local<'_>, origin: &RequestOrigin) -> Verdict {
    let asked = match &lookup {
        Lookup::Known(known) => Some(known.session.clone()),
        Lookup::Failed(_) | Lookup::Unknown => None,
    };
    let decision = decide(lookup, local, origin);
    let session = match &decision {
        Decision::Serve { session }
        | Decision::Claim { seen: session }
        | Decision::End { seen: session } => Some(session),
        Decision::HandOver { session, owner } => {
            assert_eq!(session.serving_owner(), Some(owner));
            assert_ne!(owner, local.machine);
            Some(session)
        }
        Decision::Reject(refusal) => refusal.session.as_ref(),
    };
    assert_eq!(session, asked.as_ref());
    decision.verdict()
}

fn locals(machine: &MachineId) -> Vec<Local<'_>> {
    let mut all = Vec::new();
    for state in [
        NodeState::Joining,
        NodeState::Serving,
        NodeState::Draining,
        NodeState::Fenced,
        NodeState::Removed,
    ] {
        for (claims, takes_over) in [(false, false), (true, false), (false, true), (true, true)] {
            all.push(Local {
                state,
                claims,
                takes_over,
                ..local(machine, MAX_HOPS)
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
            OwnerStatus::Unknown,
            OwnerStatus::Alive,
            OwnerStatus::Draining,
            OwnerStatus::Silent,
            OwnerStatus::Lost,
            OwnerStatus::NeverSeen,
            OwnerStatus::Superseded,
        ] {
            all.push(
                session
                    .clone()
                    .with_owner(machine("owner"))
                    .with_owner_status(presence),
            );
        }
    }
    all
}

#[test]
fn every_combination_of_record_machine_and_arrival_has_its_verdict() {
    let mut rows = 0;
    for me in [machine("owner"), machine("me")] {
        for local in locals(&me) {
            for (name, origin) in origins() {
                for kind in [
                    LookupErrorKind::Timeout,
                    LookupErrorKind::Unavailable,
                    LookupErrorKind::Corrupt,
                ] {
                    let code = if kind == LookupErrorKind::Corrupt {
                        RejectionCode::DirectoryCorrupt
                    } else {
                        RejectionCode::LookupUnavailable
                    };
                    let failed = match kind {
                        LookupErrorKind::Timeout => LookupError::timeout("slow"),
                        LookupErrorKind::Unavailable => LookupError::unavailable("down"),
                        LookupErrorKind::Corrupt => LookupError::corrupt("bad"),
                    };
                    let seen = verdict(Lookup::Failed(failed), &local, &origin);
                    assert_eq!(seen, Verdict::Reject(code));
                    rows += 1;
                }
                let seen = verdict(Lookup::Unknown, &local, &origin);
                assert_eq!(seen, Verdict::Reject(RejectionCode::SessionUnknown));
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
                        for (allowed, lease) in [true, false]
                            .into_iter()
                            .flat_map(|allowed| leases().map(|lease| (allowed, lease)))
                        {
                            let over = session.status() == SessionStatus::Over
                                || remaining.is_some_and(|life| life <= age);
                            let serves = local.state == NodeState::Serving;
                            let owned = session.owner().is_some();
                            let expected = match (over, allowed, session.status(), owned) {
                                (true, ..) => Verdict::Reject(RejectionCode::SessionOver),
                                (_, false, ..) => Verdict::Reject(RejectionCode::SessionForbidden),
                                (_, _, SessionStatus::Active, false) if local.claims && serves => {
                                    Verdict::Claim
                                }
                                (_, _, SessionStatus::Starting, true)
                                    if me.as_str() != "owner"
                                        && session.owner_status() == OwnerStatus::Lost =>
                                {
                                    Verdict::Reject(RejectionCode::OwnerLost)
                                }
                                (_, _, SessionStatus::Starting, _) | (_, _, _, false) => {
                                    Verdict::Reject(RejectionCode::SessionStarting)
                                }
                                _ if me.as_str() == "owner" => {
                                    let state = match session.owner_status() {
                                        // A read from before this process had registered.
                                        OwnerStatus::Superseded
                                            if local.state == NodeState::Joining
                                                || serves && lease == Lease::Expired =>
                                        {
                                            local.state
                                        }
                                        OwnerStatus::Superseded => NodeState::Fenced,
                                        _ => local.state,
                                    };
                                    mine(state, lease)
                                }
                                _ => match session.owner_status() {
                                    OwnerStatus::Lost if local.takes_over && serves => {
                                        Verdict::Claim
                                    }
                                    OwnerStatus::Lost => Verdict::Reject(RejectionCode::OwnerLost),
                                    OwnerStatus::NeverSeen => {
                                        Verdict::Reject(RejectionCode::OwnerNeverSeen)
                                    }
                                    _ => elsewhere(name),
                                },
                            };
                            assert_eq!(
                                verdict(known(&session, age, allowed, lease), &local, &origin),
                                expected,
                                "{session:?} {local:?} {name} {allowed} {lease:?}"
                            );
                            rows += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(rows, 2 * 20 * 12 * (3 + 1 + 3 * 8 * 3 * 8));
}

#[test]
fn a_volatile_session_of_a_lost_owner_is_ended_and_then_absent() {
    let (me, origin) = (machine("me"), RequestOrigin::Direct);
    let absent = Verdict::Reject(RejectionCode::SessionAbsent);
    for session in sessions() {
        for state in [NodeState::Serving, NodeState::Joining, NodeState::Draining] {
            for volatile in [Volatile::Yes, Volatile::MayEnd, Volatile::Ended] {
                let local = Local {
                    state,
                    volatile,
                    ..local(&me, MAX_HOPS)
                };
                let found = known(&session, Duration::ZERO, true, leases()[0]);
                let is_lost = session.owner_status() == OwnerStatus::Lost;
                let is_over = session.status() == SessionStatus::Over;
                let ends = matches!(decide(found.clone(), &local, &origin), Decision::End { .. });
                assert_eq!(ends, is_lost && !is_over && volatile == Volatile::MayEnd);
                let is_absent = is_lost && (!is_over || volatile == Volatile::Ended);
                assert_eq!(verdict(found, &local, &origin) == absent, is_absent);
            }
        }
    }
}

#[test]
fn a_volatile_session_that_its_process_gives_up_is_absent() {
    let (me, origin) = (machine("owner"), RequestOrigin::Direct);
    let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), me.clone());
    for state in [
        NodeState::Joining,
        NodeState::Serving,
        NodeState::Draining,
        NodeState::Fenced,
        NodeState::Removed,
    ] {
        for lease in leases() {
            let local = Local {
                volatile: Volatile::MayEnd,
                state,
                ..local(&me, MAX_HOPS)
            };
            let expected = match (state, lease) {
                (NodeState::Draining | NodeState::Removed, _)
                | (NodeState::Serving, Lease::Released) => {
                    Verdict::Reject(RejectionCode::SessionAbsent)
                }
                _ => mine(state, lease),
            };
            let found = known(&session, Duration::ZERO, true, lease);
            assert_eq!(
                verdict(found, &local, &origin),
                expected,
                "{state:?} {lease:?}"
            );
        }
    }
}

#[test]
fn a_session_that_was_given_up_starts_only_where_machines_claim() {
    let (me, origin) = (machine("me"), RequestOrigin::Direct);
    let free = Session::new(SessionId::new(uuid::Uuid::nil()), SessionStatus::Active);
    for (session, was_owned) in [
        (free.clone(), false),
        (free.clone().with_epoch(0), false),
        (free.clone().with_epoch(2), true),
        (free.with_epoch(2).with_released(2), true),
    ] {
        for ever_claims in [false, true] {
            let local = Local {
                ever_claims,
                ..local(&me, MAX_HOPS)
            };
            let code = if was_owned && !ever_claims {
                RejectionCode::SessionUnassigned
            } else {
                RejectionCode::SessionStarting
            };
            let found = known(&session, Duration::ZERO, true, leases()[0]);
            assert_eq!(verdict(found, &local, &origin), Verdict::Reject(code));
        }
    }
}

#[test]
fn nothing_a_proxy_says_makes_another_machine_serve() {
    let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
    for (name, origin) in origins() {
        for max_hops in [0, 1, 2, u8::MAX] {
            let me = machine("me");
            let seen = verdict(
                known(&session, Duration::ZERO, true, leases()[0]),
                &local(&me, max_hops),
                &origin,
            );
            assert_ne!(seen, Verdict::Pass, "{name}");
        }
    }
}

#[test]
fn no_hops_allowed_still_means_that_a_fresh_request_is_replayed_once() {
    let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
    let me = machine("me");
    let found = || known(&session, Duration::ZERO, true, leases()[0]);
    let local = local(&me, 0);
    assert_eq!(
        verdict(found(), &local, &RequestOrigin::Direct),
        Verdict::Replay
    );
    assert_eq!(
        verdict(found(), &local, &RequestOrigin::Replayed { hops: 1 }),
        Verdict::Reject(RejectionCode::ReplayLoop)
    );
}
