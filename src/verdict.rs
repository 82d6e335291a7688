//! The decision: from what is known of a session, who we are, and how the request came here, to
//! what becomes of it. No HTTP, no database, no clock.

use std::time::Duration;

use crate::{Arrival, Code, LookupErrorKind, MachineId, Session};

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
    },
}

impl<'a> Record<'a> {
    /// What the directory said of `session` when it was asked `age` ago, to a request that the
    /// guard lets pass (`allowed`) or not.
    #[must_use]
    pub fn known(session: &'a Session, age: Duration, allowed: bool) -> Self {
        Self::Known {
            session,
            age,
            allowed,
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
    /// Refuse it, for this reason.
    Reject(Code),
}

/// Decides what becomes of a request for a session.
///
/// Total and pure: the same question has the same answer everywhere, so a table can hold all of
/// them (and one does, in the tests). The order of the rules is the order of the promises: first
/// whether the session is one at all, then whether this client may come near it, then who serves.
#[must_use]
pub fn decide(record: Record<'_>, me: &MachineId, arrival: &Arrival, max_hops: u8) -> Verdict {
    let (session, age, allowed) = match record {
        Record::Failed(LookupErrorKind::Corrupt) => return Verdict::Reject(Code::DirectoryCorrupt),
        Record::Failed(_) => return Verdict::Reject(Code::LookupUnavailable),
        Record::Unknown => return Verdict::Reject(Code::SessionUnknown),
        Record::Known {
            session,
            age,
            allowed,
        } => (session, age, allowed),
    };
    if session.is_over(age) {
        return Verdict::Reject(Code::SessionOver);
    }
    if !allowed {
        return Verdict::Reject(Code::SessionForbidden);
    }
    match session.serving_owner() {
        None => Verdict::Reject(Code::SessionStarting),
        Some(owner) if owner == me => Verdict::Pass,
        Some(owner) => elsewhere(owner, arrival, max_hops),
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
    use crate::{ReplayFailure, SessionId, SessionStatus};

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

    #[test]
    fn every_combination_of_record_identity_and_arrival_has_its_verdict() {
        let mut rows = 0;
        for me in [machine("owner"), machine("me")] {
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
                    assert_eq!(
                        decide(Record::Failed(kind), &me, &arrival, MAX_HOPS),
                        Verdict::Reject(code)
                    );
                    rows += 1;
                }
                assert_eq!(
                    decide(Record::Unknown, &me, &arrival, MAX_HOPS),
                    Verdict::Reject(Code::SessionUnknown)
                );
                rows += 1;
                for status in [
                    SessionStatus::Starting,
                    SessionStatus::Active,
                    SessionStatus::Over,
                ] {
                    for owned in [false, true] {
                        for (remaining, age) in [
                            (None, Duration::MAX),
                            (Some(LIFE), Duration::ZERO),
                            (Some(LIFE), LIFE),
                        ] {
                            for allowed in [false, true] {
                                let mut session =
                                    Session::new(SessionId::new(uuid::Uuid::nil()), status);
                                if owned {
                                    session = session.with_owner(machine("owner"));
                                }
                                if let Some(remaining) = remaining {
                                    session = session.with_remaining(remaining);
                                }
                                let over = status == SessionStatus::Over
                                    || remaining.is_some_and(|life| life <= age);
                                let expected = match (over, allowed, status, owned) {
                                    (true, ..) => Verdict::Reject(Code::SessionOver),
                                    (_, false, ..) => Verdict::Reject(Code::SessionForbidden),
                                    (_, _, SessionStatus::Starting, _) | (_, _, _, false) => {
                                        Verdict::Reject(Code::SessionStarting)
                                    }
                                    _ if me.as_str() == "owner" => Verdict::Pass,
                                    _ => elsewhere(name),
                                };
                                let record = Record::known(&session, age, allowed);
                                assert_eq!(
                                    decide(record, &me, &arrival, MAX_HOPS),
                                    expected,
                                    "{session:?} {me} {name} {allowed}"
                                );
                                rows += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(rows, 2 * 10 * (3 + 1 + 3 * 2 * 3 * 2));
    }

    #[test]
    fn nothing_a_proxy_says_makes_another_machine_serve() {
        let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
        for (name, arrival) in arrivals() {
            for max_hops in [0, 1, 2, u8::MAX] {
                let verdict = decide(
                    Record::known(&session, Duration::ZERO, true),
                    &machine("me"),
                    &arrival,
                    max_hops,
                );
                assert_ne!(verdict, Verdict::Pass, "{name}");
            }
        }
    }

    #[test]
    fn no_hops_allowed_still_means_that_a_fresh_request_is_replayed_once() {
        let session = Session::owned_by(SessionId::new(uuid::Uuid::nil()), machine("owner"));
        let record = Record::known(&session, Duration::ZERO, true);
        assert_eq!(
            decide(record, &machine("me"), &Arrival::Fresh, 0),
            Verdict::Replay
        );
        assert_eq!(
            decide(record, &machine("me"), &Arrival::Replayed { hops: 1 }, 0),
            Verdict::Reject(Code::ReplayLoop)
        );
    }
}
