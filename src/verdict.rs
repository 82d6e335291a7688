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
        // Waiting does not help: the machine that would finish creating it is lost.
        None if is_others_and_lost(session, here.machine) => Verdict::Reject(Code::OwnerLost),
        None => Verdict::Reject(Code::SessionStarting),
        Some(owner) if owner == here.machine => match session.presence() {
            Presence::Superseded if !is_before_joining(here.standing, right) => {
                mine(Standing::Duplicate, right)
            }
            _ => mine(here.standing, right),
        },
        Some(owner) => match session.presence() {
            Presence::Lost if here.takes_over && serves => Verdict::Claim,
            Presence::Lost => Verdict::Reject(Code::OwnerLost),
            Presence::NeverSeen => Verdict::Reject(Code::OwnerNeverSeen),
            Presence::Unknown
            | Presence::Alive
            | Presence::Draining
            | Presence::Silent
            | Presence::Superseded => elsewhere(owner, arrival, here.max_hops),
        },
    }
}

/// Whether a read that tells of another process was made before this one had registered: then the
/// other is the one before, and this one is no duplicate.
fn is_before_joining(standing: Standing, right: Right) -> bool {
    standing == Standing::Joining || (standing == Standing::Serving && right == Right::Expired)
}

fn is_others_and_lost(session: &Session, me: &MachineId) -> bool {
    session.presence() == Presence::Lost && session.owner().is_some_and(|owner| owner != me)
}

pub(crate) fn mine(standing: Standing, right: Right) -> Verdict {
    match (standing, right) {
        (Standing::Joining, _) => Verdict::Reject(Code::SessionStarting),
        (Standing::Duplicate, _) => Verdict::Reject(Code::DuplicateIdentity),
        (Standing::Gone, _) => Verdict::Reject(Code::OwnerLost),
        (Standing::Draining, _) | (Standing::Serving, Right::Wait { .. }) => {
            Verdict::Reject(Code::SessionMoving)
        }
        // The lookup, or what came after it, outlasted the lease: its answer proves nothing.
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
mod tests;
