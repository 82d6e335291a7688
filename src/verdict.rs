//! The decision: from what is known of a session, who we are, and how the request came here, to
//! what becomes of it. No HTTP, no database, no clock.

use std::time::Duration;

use crate::{Arrival, Code, LookupErrorKind, MachineId, Presence, Right, Session, Standing};

/// What a lookup came back with.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// It did not.
    Failed(LookupErrorKind),
    /// The directory knows no such session.
    Unknown,
    /// The directory knows it.
    #[non_exhaustive]
    Known {
        /// The session as it was read.
        session: &'a Session,
        /// How long ago the question was sent.
        age: Duration,
        /// Whether the application's guard lets this request near this session.
        allowed: bool,
        /// What the read allows the session's owner.
        right: Right,
    },
}

impl<'a> Record<'a> {
    /// What the directory said of `session` when it was asked `age` ago, to a request that the
    /// guard lets pass (`allowed`) or not, and what that allows the owner.
    #[must_use]
    pub fn known(session: &'a Session, age: Duration, allowed: bool, right: Right) -> Self {
        Self::Known {
            session,
            age,
            allowed,
            right,
        }
    }
}

/// The machine that decides, and what it may do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Here<'a> {
    /// Which machine it is.
    pub machine: &'a MachineId,
    /// Whether this process may serve at all.
    pub standing: Standing,
    /// How often one request is replayed at most.
    pub max_hops: u8,
    /// Whether it may claim a session that nobody owns, for this request.
    pub claims: bool,
    /// Whether it may take a session over from an owner that is lost, for this request.
    pub takes_over: bool,
}

impl<'a> Here<'a> {
    /// A machine that serves, and claims nothing.
    #[must_use]
    pub fn new(machine: &'a MachineId, max_hops: u8) -> Self {
        Self {
            machine,
            standing: Standing::Serving,
            max_hops,
            claims: false,
            takes_over: false,
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Serve it here.
    Pass,
    /// Hand it to the owner.
    Replay,
    /// Become the owner, and decide again.
    Claim,
    /// Refuse it, for this reason.
    Reject(Code),
}

/// Decides what becomes of a request for a session.
///
/// Total and pure: the same question has the same answer everywhere, so a table can hold all of
/// them (and one does, in the tests). The order of the rules is the order of the promises: first
/// whether the session is one at all, then whether this client may come near it, then who serves.
#[must_use]
pub fn decide(record: Record<'_>, here: Here<'_>, arrival: &Arrival) -> Verdict {
    let (session, age, allowed, right) = match record {
        Record::Failed(LookupErrorKind::Corrupt) => return Verdict::Reject(Code::DirectoryCorrupt),
        Record::Failed(_) => return Verdict::Reject(Code::LookupUnavailable),
        Record::Unknown => return Verdict::Reject(Code::SessionUnknown),
        Record::Known {
            session,
            age,
            allowed,
            right,
        } => (session, age, allowed, right),
    };
    if session.is_over(age) {
        return Verdict::Reject(Code::SessionOver);
    }
    if !allowed {
        return Verdict::Reject(Code::SessionForbidden);
    }
    let serves = here.standing == Standing::Serving;
    match session.serving_owner() {
        None if session.is_unassigned() && here.claims && serves => Verdict::Claim,
        None => Verdict::Reject(Code::SessionStarting),
        Some(owner) if owner == here.machine => match session.presence() {
            Presence::Superseded => mine(Standing::Duplicate, right),
            _ => mine(here.standing, right),
        },
        Some(owner) => match session.presence() {
            Presence::Lost if here.takes_over && serves => Verdict::Claim,
            Presence::Lost => Verdict::Reject(Code::OwnerLost),
            Presence::NeverSeen => Verdict::Reject(Code::OwnerNeverSeen),
            Presence::Unknown | Presence::Alive | Presence::Draining | Presence::Superseded => {
                elsewhere(owner, arrival, here.max_hops)
            }
        },
    }
}

fn mine(standing: Standing, right: Right) -> Verdict {
    match (standing, right) {
        (Standing::Joining, _) => Verdict::Reject(Code::SessionStarting),
        (Standing::Duplicate, _) => Verdict::Reject(Code::DuplicateIdentity),
        (Standing::Gone, _) => Verdict::Reject(Code::OwnerLost),
        (Standing::Draining, _) | (Standing::Serving, Right::Wait { .. }) => {
            Verdict::Reject(Code::SessionMoving)
        }
        // Whoever waited longer for its lookup than the answer holds for knows nothing.
        (Standing::Serving, Right::Expired) => Verdict::Reject(Code::LookupUnavailable),
        (Standing::Serving, Right::Serve { .. }) => Verdict::Pass,
    }
}

fn elsewhere(owner: &MachineId, arrival: &Arrival, max_hops: u8) -> Verdict {
    match arrival {
        Arrival::Failed(_) => Verdict::Reject(Code::OwnerUnreachable),
        Arrival::Missed { machine, .. } if machine == owner => {
            Verdict::Reject(Code::OwnerUnreachable)
        }
        Arrival::Replayed { hops } | Arrival::Missed { hops, .. } if *hops >= max_hops => {
            Verdict::Reject(Code::ReplayLoop)
        }
        Arrival::Fresh | Arrival::Cached | Arrival::Replayed { .. } | Arrival::Missed { .. } => {
            Verdict::Replay
        }
    }
}

#[cfg(test)]
mod tests {
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
            for (claims, takes_over) in [(false, false), (true, false), (false, true), (true, true)]
            {
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
                                    (_, _, SessionStatus::Active, false)
                                        if here.claims && serves =>
                                    {
                                        Verdict::Claim
                                    }
                                    (_, _, SessionStatus::Starting, _) | (_, _, _, false) => {
                                        Verdict::Reject(Code::SessionStarting)
                                    }
                                    _ if me.as_str() == "owner" => {
                                        let standing = match session.presence() {
                                            Presence::Superseded => Standing::Duplicate,
                                            _ => here.standing,
                                        };
                                        mine(standing, right)
                                    }
                                    _ => match session.presence() {
                                        Presence::Lost if here.takes_over && serves => {
                                            Verdict::Claim
                                        }
                                        Presence::Lost => Verdict::Reject(Code::OwnerLost),
                                        Presence::NeverSeen => {
                                            Verdict::Reject(Code::OwnerNeverSeen)
                                        }
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
        assert_eq!(rows, 2 * 20 * 10 * (3 + 1 + 3 * 7 * 3 * 6));
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
}
