//! From the decision to the finding.

use crate::{
    Finding, LookupError, LookupErrorKind, MachineId, NodeState, OwnerStatus, Rejection,
    RejectionCode, RequestOrigin, Session, SessionStatus,
    decision::{Decision, Refusal},
    identity,
    machine::shape,
    observe::Chain,
    ownership::Lease,
};

/// A decision by what the directory says now, and what it does not tell by itself. What is cached
/// is not judged, since it heals by itself.
pub(super) struct Case<'a> {
    pub(super) machine: &'a MachineId,
    pub(super) state: NodeState,
    pub(super) platform: Option<&'a identity::Found>,
    pub(super) origin: &'a RequestOrigin,
    pub(super) came_through: Option<bool>,
    pub(super) session: Option<&'a Session>,
    /// What becomes of the request if the guard lets it pass.
    pub(super) decision: &'a Decision,
    /// Whether it does.
    pub(super) allowed: bool,
    /// Why the request cannot be handed over, where it should be.
    pub(super) not_carried: Option<&'a Rejection>,
}

/// What is wrong, and the evidence.
type Found = (Finding, String);

impl Case<'_> {
    pub(super) fn find(&self) -> Found {
        let (finding, evidence) = match self.decision {
            _ if self.is_misnamed() => (Finding::WrongIdentity, self.misnamed()),
            Decision::Serve { .. } => told(Finding::Fine, ": this machine owns the session"),
            Decision::Claim { seen } => {
                let (finding, evidence) = match seen.owner() {
                    None => (Finding::SessionUnassigned, String::new()),
                    Some(_) => (Finding::OwnerLost, LOST.to_owned()),
                };
                let claims = "this machine would take it for this request";
                (finding, format!("{evidence}; {claims}"))
            }
            Decision::End { .. } => (
                Finding::OwnerLost,
                format!("{LOST}; this machine would end the session for this request"),
            ),
            Decision::HandOver { session, owner } => self.handed_over(session, owner),
            Decision::Reject(refusal) => self.refused(refusal),
        };
        match finding {
            _ if self.allowed => (finding, evidence),
            Finding::Fine => told(Finding::SessionForbidden, ""),
            _ => (
                finding,
                format!("{evidence}; the guard refuses this request besides"),
            ),
        }
    }

    fn handed_over(&self, session: &Session, owner: &MachineId) -> Found {
        if let Some(rejection) = self.not_carried {
            let detail = rejection.detail().trim_end_matches('.');
            return (Finding::NotReplayable, format!(": {detail}"));
        }
        match session.owner_status() {
            OwnerStatus::Draining => told(
                Finding::OwnerDraining,
                ": it is handed the request, and refuses it until another machine has the session",
            ),
            _ if self.came_through == Some(false) => told(
                Finding::ReplayNotHonoured,
                ": this request did not come through one, so its client reads \
                 `replay-not-honoured`",
            ),
            presence => {
                let is_alive = match presence {
                    OwnerStatus::Alive => ", which is alive",
                    _ => "",
                };
                let evidence =
                    format!(": this machine hands the request to its owner `{owner}`{is_alive}");
                (Finding::Fine, evidence)
            }
        }
    }

    fn refused(&self, refusal: &Refusal) -> Found {
        let (Some(session), None) = (&refusal.session, &refusal.error) else {
            return match &refusal.error {
                Some(error) => failed(error),
                None => told(Finding::SessionUnknown, ""),
            };
        };
        let is_mine = session.owner() == Some(self.machine);
        match (refusal.code, refusal.lease) {
            (RejectionCode::SessionOver, ..) if session.status() == SessionStatus::Over => {
                told(Finding::SessionOver, ": it was ended")
            }
            (RejectionCode::SessionOver, ..) => {
                told(Finding::SessionOver, ": its time has run out")
            }
            (RejectionCode::SessionStarting, ..) if session.is_unassigned() => told(
                Finding::SessionUnassigned,
                ", and this machine does not claim it for this request",
            ),
            (RejectionCode::SessionStarting, ..) if session.status() == SessionStatus::Active => {
                told(
                    Finding::MachineJoining,
                    ": this machine owns the session, and has not joined its fleet yet",
                )
            }
            (RejectionCode::SessionStarting, ..) => {
                told(Finding::SessionStarting, ", says its status")
            }
            (RejectionCode::SessionUnassigned, ..) => told(
                Finding::SessionUnassigned,
                ": its last owner gave it up, and this machine claims no session",
            ),
            (RejectionCode::SessionAbsent, ..) if is_mine => told(
                Finding::SessionAbsent,
                ": this machine owns the session, which ends with its process",
            ),
            (RejectionCode::SessionAbsent, ..) => (
                Finding::OwnerLost,
                format!("{LOST}; the session ends with its owner's process"),
            ),
            (RejectionCode::SessionMoving, ..) if self.state == NodeState::Draining => told(
                Finding::OwnerDraining,
                ": this machine owns the session, and gives its sessions up",
            ),
            (RejectionCode::SessionMoving, Some(Lease::Pending { left })) => (
                Finding::SessionMoving,
                format!(
                    ": this machine owns the session, and waits for {left} ms more, because the \
                     previous owner, or its own previous process, may still be serving"
                ),
            ),
            (RejectionCode::SessionMoving, ..) => told(
                Finding::SessionMoving,
                ": this machine has released the session, and the directory still names it",
            ),
            (RejectionCode::LookupUnavailable, ..) => told(
                Finding::DirectorySlow,
                ": this machine owns the session, and the answer took longer than it may be relied \
                 on",
            ),
            (RejectionCode::DuplicateIdentity, ..) => told(
                Finding::DuplicateIdentity,
                ": this machine owns the session, and a younger process runs under its id",
            ),
            (RejectionCode::OwnerLost, ..) if is_mine => told(
                Finding::OwnerLost,
                ": this machine owns the session, and was declared gone",
            ),
            (RejectionCode::OwnerLost, ..) => told(Finding::OwnerLost, LOST),
            (RejectionCode::OwnerNeverSeen, ..) => told(
                Finding::OwnerNeverSeen,
                ": it is not in the table of machines, so it was not started, is still starting, \
                 or has another id",
            ),
            (RejectionCode::OwnerUnreachable, ..) => {
                let why = match self.origin {
                    RequestOrigin::Failed(failure) => {
                        let after = failure.elapsed.map(|time| time.as_millis());
                        let after = after.map_or_else(String::new, |ms| format!(" after {ms} ms"));
                        format!(" ({}{after})", failure.reason.as_str())
                    }
                    _ => String::new(),
                };
                let evidence = format!(": the proxy could not connect to it{why}");
                (Finding::OwnerUnreachable, evidence)
            }
            (RejectionCode::ReplayLoop, ..) => (
                Finding::ReplayLoop,
                format!(
                    ": it was replayed {} times, so machines or the proxy disagree on which \
                     machine that is",
                    self.origin.hops()
                ),
            ),
            (code, ..) => (
                Finding::named(code.as_str()).unwrap_or(Finding::CheckFailed),
                String::new(),
            ),
        }
    }

    /// The owner, where the request should get to another machine.
    fn other(&self) -> Option<&MachineId> {
        let owner = match self.decision {
            Decision::HandOver { owner, .. } => Some(owner),
            Decision::Reject(Refusal {
                code:
                    RejectionCode::OwnerLost
                    | RejectionCode::OwnerNeverSeen
                    | RejectionCode::OwnerUnreachable
                    | RejectionCode::ReplayLoop,
                session: Some(session),
                ..
            })
            | Decision::Claim { seen: session }
            | Decision::End { seen: session } => session.owner(),
            _ => None,
        };
        owner.filter(|owner| *owner != self.machine)
    }

    fn is_this_machine(&self, owner: &MachineId) -> bool {
        let found = self.platform;
        found.is_some_and(|found| found.machine_id() == owner)
    }

    pub(super) fn is_of_another_form(&self, owner: &MachineId) -> bool {
        !shape::alike(owner.as_str(), self.machine.as_str())
    }

    /// Whether the owner is a name for a machine that has another id.
    fn is_misnamed(&self) -> bool {
        let Some(owner) = self.other() else {
            return false;
        };
        let presence = self
            .session
            .map_or(OwnerStatus::Unknown, Session::owner_status);
        let unheard_of = match presence {
            OwnerStatus::NeverSeen => true,
            OwnerStatus::Unknown | OwnerStatus::Silent => {
                matches!(self.decision, Decision::Reject(_))
            }
            _ => false,
        };
        self.is_this_machine(owner) || unheard_of && self.is_of_another_form(owner)
    }

    fn misnamed(&self) -> String {
        let (me, owner) = (self.machine, self.other());
        let owner = owner.map_or("", MachineId::as_str);
        match self
            .platform
            .filter(|one| one.machine_id().as_str() == owner)
        {
            Some(platform) => format!(
                ": the session's owner is `{owner}`, which is this machine by {}, while its layer \
                 was built as `{me}`",
                platform.variable()
            ),
            None => format!(
                ": the session's owner is `{owner}`, no machine of that id was found, and this one \
                 is `{me}`, an id of another form"
            ),
        }
    }
}

fn told(finding: Finding, evidence: &str) -> Found {
    (finding, evidence.to_owned())
}

const LOST: &str = ": it has sent no heartbeat for too long, has left, or was declared gone";

fn failed(error: &LookupError) -> Found {
    let finding = match (sqlstate(error), error.kind()) {
        (Some("42703"), _) => Finding::ColumnMissing,
        (Some("42804" | "42846" | "42883"), _) => Finding::ColumnType,
        (Some(code), _) if code.starts_with("42") || code.starts_with("3F") => {
            Finding::TableMissing
        }
        (_, LookupErrorKind::Corrupt) => Finding::RowUnusable,
        (_, LookupErrorKind::Timeout) => Finding::DirectorySlow,
        (_, LookupErrorKind::Unavailable) => Finding::DirectoryDown,
    };
    (finding, format!(": {}", Chain(error)))
}

/// PostgreSQL's own code of the error.
#[cfg(feature = "postgres")]
fn sqlstate(error: &LookupError) -> Option<&str> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<tokio_postgres::Error>() {
            return Some(error.code()?.code());
        }
        source = cause.source();
    }
    None
}

#[cfg(not(feature = "postgres"))]
fn sqlstate(_: &LookupError) -> Option<&str> {
    None
}

#[cfg(test)]
mod tests;
