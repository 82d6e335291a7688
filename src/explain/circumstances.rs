//! From all that is known to the one thing that is wrong.

use std::time::Duration;

use super::{Finding, failed::failed};
use crate::{
    Arrival, Code, LookupError, MachineId, NodeState, Presence, Rejection, Session, SessionStatus,
    Verdict, identity, machine::shape, ownership::Lease,
};

/// All that a finding depends on. The directory is asked first and judged by, since what is cached
/// heals by itself.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) machine: &'a MachineId,
    pub(super) state: NodeState,
    pub(super) platform: Option<&'a identity::Found>,
    pub(super) arrival: &'a Arrival,
    pub(super) came_through: Option<bool>,
    /// What the directory says.
    pub(super) directory: Result<Option<&'a Session>, &'a LookupError>,
    pub(super) age: Duration,
    pub(super) lease: Option<Lease>,
    /// What becomes of the request if the guard lets it pass.
    pub(super) verdict: Verdict,
    /// Whether it does.
    pub(super) allowed: bool,
    /// Why the request cannot be handed over, where it should be.
    pub(super) not_carried: Option<&'a Rejection>,
}

/// What is wrong, and a sentence that says so.
pub(super) type Found = (Finding, String);

impl Circumstances<'_> {
    pub(super) fn find(&self) -> Found {
        let session = match self.directory {
            Err(error) => return failed(error),
            Ok(None) => {
                return say(
                    Finding::SessionUnknown,
                    "The directory answered, and knows no session with this id.",
                );
            }
            Ok(Some(session)) => session,
        };
        if session.is_over(self.age) {
            let why = if session.status() == SessionStatus::Over {
                "it was ended"
            } else {
                "the time it was given has run out"
            };
            return (Finding::SessionOver, format!("The session is over: {why}."));
        }
        let (finding, sentence) = self.of_living(session);
        match (self.allowed, finding) {
            (true, _) => (finding, sentence),
            (false, Finding::Fine) => say(
                Finding::SessionForbidden,
                "The session is fine, and the application's guard does not let this request near \
                 it.",
            ),
            (false, _) => (
                finding,
                format!("{sentence} The guard refuses this request besides."),
            ),
        }
    }

    fn of_living(&self, session: &Session) -> Found {
        match session.owner() {
            Some(owner)
                if session.status() == SessionStatus::Starting
                    && self.verdict == Verdict::Reject(Code::OwnerLost) =>
            {
                (
                    Finding::OwnerLost,
                    format!(
                        "The session is still being created, says its status, and its owner {owner}, \
                         which would finish that, has not been heard of for too long, has left, or \
                         was declared gone."
                    ),
                )
            }
            _ if session.status() == SessionStatus::Starting => say(
                Finding::SessionStarting,
                "The session is still being created, says its status.",
            ),
            None if self.verdict == Verdict::Claim => say(
                Finding::Unassigned,
                "Nobody owns the session; this machine would claim it for this request, and serve \
                 it if it wins.",
            ),
            None => say(
                Finding::Unassigned,
                "Nobody owns the session, and this machine does not claim it for this request.",
            ),
            Some(owner) if owner == self.machine => self.of_mine(session.presence()),
            Some(owner) => self.of_others(session, owner),
        }
    }

    fn of_mine(&self, presence: Presence) -> Found {
        let milliseconds = |left: u64| format!("{left} ms");
        let state = match presence {
            Presence::Superseded => NodeState::Fenced,
            _ => self.state,
        };
        match (state, self.lease) {
            (NodeState::Joining, _) => say(
                Finding::MachineJoining,
                "This machine owns the session and serves nothing yet, because its presence has \
                 not begun.",
            ),
            (NodeState::Fenced, _) => say(
                Finding::DuplicateIdentity,
                "This machine owns the session and serves no more, because a younger process says \
                 that it is the same machine.",
            ),
            (NodeState::Removed, _) => say(
                Finding::OwnerLost,
                "This machine owns the session and serves no more, because it was declared gone.",
            ),
            (NodeState::Draining, _) => say(
                Finding::OwnerDraining,
                "This machine owns the session and is giving its sessions up.",
            ),
            (NodeState::Serving, Some(Lease::Released)) => say(
                Finding::SessionMoving,
                "This machine has given the session up, and the directory still names it.",
            ),
            (NodeState::Serving, Some(Lease::Pending { left })) => (
                Finding::SessionMoving,
                format!(
                    "This machine owns the session and waits for {} more, because the owner before \
                     it, or the process that ran as it before, may still be serving.",
                    milliseconds(left)
                ),
            ),
            (NodeState::Serving, Some(Lease::Expired)) => say(
                Finding::DirectorySlow,
                "This machine owns the session, but the directory took longer to say so than that \
                 may be relied on.",
            ),
            (NodeState::Serving, Some(Lease::Valid { .. }) | None) => say(
                Finding::Fine,
                "This machine owns the session and serves it.",
            ),
        }
    }

    fn of_others(&self, session: &Session, owner: &MachineId) -> Found {
        let me = self.machine;
        if let Some(platform) = self.platform.filter(|found| found.machine_id() == owner) {
            return (
                Finding::WrongIdentity,
                format!(
                    "The session's owner is {owner}, which is this very machine by {}, while its \
                     layer was built as {me}.",
                    platform.variable()
                ),
            );
        }
        let presence = session.presence();
        if self.is_strange(presence) && self.is_of_another_form(owner) {
            return (
                Finding::WrongIdentity,
                format!(
                    "The session's owner is {owner}, and nobody has found a machine of that name; \
                     this one is called {me}, which is an id of another form, so whoever assigns \
                     sessions seems to know machines by other ids than they have."
                ),
            );
        }
        let takes_over = if self.verdict == Verdict::Claim {
            "; this machine would take the session over for this request"
        } else {
            ""
        };
        match presence {
            Presence::Lost => (
                Finding::OwnerLost,
                format!(
                    "The session's owner {owner} has not been heard of for too long, has left, or \
                     was declared gone{takes_over}."
                ),
            ),
            Presence::NeverSeen => (
                Finding::OwnerNeverSeen,
                format!(
                    "The session's owner {owner} is not in the table of machines: it was not \
                     started, is still starting, or goes by another id."
                ),
            ),
            _ => self.of_the_way(presence, owner),
        }
    }

    /// Whether nothing speaks for the owner's being there, and something against it.
    fn is_strange(&self, presence: Presence) -> bool {
        let unreachable = [Code::OwnerUnreachable, Code::ReplayLoop].map(Verdict::Reject);
        match presence {
            Presence::NeverSeen => true,
            Presence::Unknown | Presence::Silent => unreachable.contains(&self.verdict),
            _ => false,
        }
    }

    /// Whether the owner's id does not look like one of this machine's platform.
    pub(super) fn is_of_another_form(&self, owner: &MachineId) -> bool {
        !shape::alike(owner.as_str(), self.machine.as_str())
    }

    /// Nothing is known to be wrong with the owner; what of the way there?
    fn of_the_way(&self, presence: Presence, owner: &MachineId) -> Found {
        if let Verdict::Reject(Code::OwnerUnreachable) = self.verdict {
            return (
                Finding::OwnerUnreachable,
                format!(
                    "The proxy could not reach the session's owner {owner}{}.",
                    self.because()
                ),
            );
        }
        if let Verdict::Reject(Code::ReplayLoop) = self.verdict {
            return (
                Finding::ReplayLoop,
                format!(
                    "The request was replayed {} times and is not at the session's owner {owner}: \
                     machines or the proxy disagree on who that is.",
                    self.arrival.hops()
                ),
            );
        }
        if let Some(rejection) = self.not_carried {
            return (
                Finding::NotReplayable,
                format!(
                    "The session's owner {owner} would take the request, which cannot be handed \
                     over: {}",
                    rejection.detail()
                ),
            );
        }
        if presence == Presence::Draining {
            return (
                Finding::OwnerDraining,
                format!(
                    "The session's owner {owner} is giving its sessions up; it is handed the \
                     request, and refuses it until another machine has the session."
                ),
            );
        }
        if self.came_through == Some(false) {
            return (
                Finding::ReplayNotHonoured,
                format!(
                    "The session's owner is {owner}, and this request did not come through the \
                     proxy that would take it there, so its client reads `replay-not-honoured`."
                ),
            );
        }
        let is_alive = match presence {
            Presence::Alive => ", which is alive",
            _ => "",
        };
        (
            Finding::Fine,
            format!(
                "The session's owner is {owner}{is_alive}, and this machine hands the request to it."
            ),
        )
    }

    fn because(&self) -> String {
        let Arrival::Failed(failure) = self.arrival else {
            return String::new();
        };
        match failure.elapsed {
            Some(elapsed) => format!(
                ": {} after {} ms",
                failure.reason.as_str(),
                elapsed.as_millis()
            ),
            None => format!(": {}", failure.reason.as_str()),
        }
    }
}

fn say(finding: Finding, sentence: &str) -> Found {
    (finding, sentence.to_owned())
}

#[cfg(test)]
mod tests;
