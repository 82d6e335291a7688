//! The decision: from what is known of a session, which machine this is, and how the request came
//! here, to what becomes of the request. No HTTP, no directory, no clock.

use std::time::Duration;

use crate::{
    LookupError, LookupErrorKind, MachineId, NodeState, OwnerStatus, RejectionCode, RequestOrigin,
    Session, ownership::Lease,
};

/// What a lookup came back with.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    Failed(LookupError),
    /// The directory knows no such session.
    Unknown,
    Known(Known),
}

/// A session that the directory knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) session: Session,
    /// How long ago the question was sent.
    pub(crate) age: Duration,
    /// Whether the application's guard lets the request near the session.
    pub(crate) allowed: bool,
    /// What the read allows this machine, if it is the owner.
    pub(crate) lease: Lease,
}

/// The machine that decides, and what it may do for this request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local<'a> {
    pub(crate) machine: &'a MachineId,
    pub(crate) state: NodeState,
    /// How often one request is replayed at most.
    pub(crate) max_hops: u8,
    /// Whether it may claim a session that has no owner.
    pub(crate) claims: bool,
    /// Whether it may take a session over from an owner that is lost.
    pub(crate) takes_over: bool,
    /// Whether its layer claims sessions without an owner for some requests.
    pub(crate) ever_claims: bool,
    pub(crate) volatile: Volatile,
}

/// Whether sessions end with the process that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volatile {
    /// They outlive it.
    No,
    /// They end with it, but not by this request: it is a probe.
    Yes,
    /// They end with it, and this request may write that.
    MayEnd,
    /// This request has tried to write it.
    Ended,
}

/// What becomes of a request for a session, with what it takes to do it.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// Serve it here.
    Serve { session: Session },
    /// Hand it to the owner.
    HandOver { session: Session, owner: MachineId },
    /// Become the owner of the session that was seen like this, and decide again.
    Claim { seen: Session },
    /// End the session, whose owner was seen to be lost, and decide again.
    End { seen: Session },
    /// Refuse it.
    Reject(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: RejectionCode,
    /// The session, if the directory knows it.
    pub(crate) session: Option<Session>,
    pub(crate) error: Option<LookupError>,
    /// What the read allowed this machine, where it is the owner and that is the reason.
    pub(crate) lease: Option<Lease>,
}

impl Refusal {
    pub(crate) fn of(code: RejectionCode, session: Option<Session>) -> Self {
        Self {
            code,
            session,
            error: None,
            lease: None,
        }
    }

    /// The lookup failed.
    pub(crate) fn failed(error: LookupError) -> Self {
        let code = match error.kind() {
            LookupErrorKind::Corrupt => RejectionCode::DirectoryCorrupt,
            LookupErrorKind::Timeout | LookupErrorKind::Unavailable => {
                RejectionCode::LookupUnavailable
            }
        };
        let error = Some(error);
        Self {
            error,
            ..Self::of(code, None)
        }
    }

    /// Whether the session is none, or none any more: what the request holds of it is worth nothing.
    pub(crate) fn is_dead(&self) -> bool {
        let dead = [RejectionCode::SessionUnknown, RejectionCode::SessionOver];
        dead.contains(&self.code)
    }
}

/// What became of a request, for observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is served here.
    Pass,
    /// It is handed to the owner.
    Replay,
    /// This machine tries to become the owner, and decides again.
    Claim,
    /// It is refused, for this reason.
    Reject(RejectionCode),
}

impl Decision {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Serve { .. } => Verdict::Pass,
            Self::HandOver { .. } => Verdict::Replay,
            Self::Claim { .. } => Verdict::Claim,
            Self::End { .. } => Verdict::Reject(RejectionCode::SessionAbsent),
            Self::Reject(refusal) => Verdict::Reject(refusal.code),
        }
    }

    fn reject(code: RejectionCode, session: Session) -> Self {
        Self::Reject(Refusal::of(code, Some(session)))
    }
}

/// Decides what becomes of a request for a session.
///
/// Total and pure: the same question has the same answer everywhere, so a table can hold all of
/// them (and one does, in the tests). The order of the rules is the order of the promises: first
/// whether the session is one at all, then whether this client may come near it, then who serves.
pub(crate) fn decide(lookup: Lookup, local: &Local<'_>, origin: &RequestOrigin) -> Decision {
    let known = match lookup {
        Lookup::Failed(error) => return Decision::Reject(Refusal::failed(error)),
        Lookup::Unknown => {
            return Decision::Reject(Refusal::of(RejectionCode::SessionUnknown, None));
        }
        Lookup::Known(known) => known,
    };
    let Known {
        session,
        age,
        allowed,
        lease,
    } = known;
    let is_lost = is_anothers_and_lost(&session, local.machine);
    if session.is_over(age) {
        // The request that ended the session gets the reason.
        return if is_lost && local.volatile == Volatile::Ended {
            Decision::reject(RejectionCode::SessionAbsent, session)
        } else {
            Decision::reject(RejectionCode::SessionOver, session)
        };
    }
    if !allowed {
        return Decision::reject(RejectionCode::SessionForbidden, session);
    }
    match local.volatile {
        Volatile::MayEnd if is_lost => return Decision::End { seen: session },
        Volatile::Yes | Volatile::Ended if is_lost => {
            return Decision::reject(RejectionCode::SessionAbsent, session);
        }
        _ => {}
    }
    let is_volatile = local.volatile != Volatile::No;
    let serves = local.state == NodeState::Serving;
    match session.serving_owner() {
        None if session.is_unassigned() && local.claims && serves => {
            Decision::Claim { seen: session }
        }
        // Waiting does not help: the machine that would finish creating it is lost.
        None if is_lost => Decision::reject(RejectionCode::OwnerLost, session),
        // Nor does it if no machine takes what its last owner gave up.
        None if session.is_unassigned() && !local.ever_claims && was_owned(&session) => {
            Decision::reject(RejectionCode::SessionUnassigned, session)
        }
        None => Decision::reject(RejectionCode::SessionStarting, session),
        Some(owner) if owner == local.machine => match session.owner_status() {
            OwnerStatus::Superseded if !is_before_joining(local.state, lease) => {
                serve(session, NodeState::Fenced, lease, is_volatile)
            }
            _ => serve(session, local.state, lease, is_volatile),
        },
        Some(owner) => match session.owner_status() {
            OwnerStatus::Lost if local.takes_over && serves => Decision::Claim { seen: session },
            OwnerStatus::Lost => Decision::reject(RejectionCode::OwnerLost, session),
            OwnerStatus::NeverSeen => Decision::reject(RejectionCode::OwnerNeverSeen, session),
            OwnerStatus::Unknown
            | OwnerStatus::Alive
            | OwnerStatus::Draining
            | OwnerStatus::Silent
            | OwnerStatus::Superseded => match cannot_hand_over(owner, origin, local.max_hops) {
                Some(code) => Decision::reject(code, session),
                None => Decision::HandOver {
                    owner: owner.clone(),
                    session,
                },
            },
        },
    }
}

/// Whether a read that tells of another process was made before this one had registered: then the
/// other is the one before, and this one is no duplicate.
fn is_before_joining(state: NodeState, lease: Lease) -> bool {
    state == NodeState::Joining || (state == NodeState::Serving && lease == Lease::Expired)
}

fn is_anothers_and_lost(session: &Session, me: &MachineId) -> bool {
    session.owner_status() == OwnerStatus::Lost && session.owner().is_some_and(|owner| owner != me)
}

/// Whether a session without an owner had one before: a row that is born without an owner is at epoch 0.
fn was_owned(session: &Session) -> bool {
    session.epoch().is_some_and(|epoch| epoch > 0) || session.released().is_some()
}

/// What becomes of a request for a session of this machine. `is_volatile`: it ends with this process.
pub(crate) fn serve(
    session: Session,
    state: NodeState,
    lease: Lease,
    is_volatile: bool,
) -> Decision {
    let code = match (state, lease) {
        (NodeState::Serving, Lease::Valid { .. }) => return Decision::Serve { session },
        // This process never serves it again, and no other one does.
        (NodeState::Draining | NodeState::Removed, _) | (NodeState::Serving, Lease::Released)
            if is_volatile =>
        {
            RejectionCode::SessionAbsent
        }
        (NodeState::Joining, _) => RejectionCode::SessionStarting,
        (NodeState::Fenced, _) => RejectionCode::DuplicateIdentity,
        (NodeState::Removed, _) => RejectionCode::OwnerLost,
        (NodeState::Draining, _)
        | (NodeState::Serving, Lease::Pending { .. } | Lease::Released) => {
            RejectionCode::SessionMoving
        }
        // The lookup, or what came after it, outlasted the lease: its answer proves nothing.
        (NodeState::Serving, Lease::Expired) => RejectionCode::LookupUnavailable,
    };
    Decision::Reject(Refusal {
        code,
        session: Some(session),
        error: None,
        lease: Some(lease).filter(|_| state == NodeState::Serving),
    })
}

/// Why the owner cannot be handed the request, if it cannot.
fn cannot_hand_over(
    owner: &MachineId,
    origin: &RequestOrigin,
    max_hops: u8,
) -> Option<RejectionCode> {
    match origin {
        RequestOrigin::Failed(_) => Some(RejectionCode::OwnerUnreachable),
        RequestOrigin::FellBack { machine, .. } if machine == owner => {
            Some(RejectionCode::OwnerUnreachable)
        }
        RequestOrigin::Replayed { hops }
        | RequestOrigin::Forwarded { hops }
        | RequestOrigin::FellBack { hops, .. }
            if *hops >= max_hops =>
        {
            Some(RejectionCode::ReplayLoop)
        }
        RequestOrigin::Direct
        | RequestOrigin::ReplayCache
        | RequestOrigin::Replayed { .. }
        | RequestOrigin::Forwarded { .. }
        | RequestOrigin::FellBack { .. } => None,
    }
}

#[cfg(test)]
mod tests;
