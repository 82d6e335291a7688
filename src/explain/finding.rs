//! Which thing is wrong.

/// What is wrong with a request, its session or the fleet, as far as one machine can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// Nothing: the owner serves the session, or is handed the request.
    Fine,
    /// The request is for no session, and passes everywhere.
    NoSession,
    /// The session's id cannot be read.
    SessionMalformed,
    /// The directory knows no such session.
    SessionUnknown,
    /// The session has ended.
    SessionOver,
    /// The session is fine, and the application's guard refuses this request.
    SessionForbidden,
    /// The session is being created.
    SessionStarting,
    /// Nobody owns the session.
    Unassigned,
    /// This machine owns the session and has to wait before it serves it.
    SessionMoving,
    /// This machine owns the session and does not take part in its fleet yet.
    MachineJoining,
    /// The owner was never heard of.
    OwnerNeverSeen,
    /// The owner is gone: it has not beaten for too long, has left, or was declared gone.
    OwnerLost,
    /// The owner is giving its sessions up.
    OwnerDraining,
    /// The proxy could not reach the owner.
    OwnerUnreachable,
    /// The request went from machine to machine, and none was the owner.
    ReplayLoop,
    /// The request is one that cannot be handed over.
    NotReplayable,
    /// The request did not come through a proxy that acts on the answer.
    ReplayNotHonoured,
    /// The directory could not be asked.
    DirectoryDown,
    /// The directory did not answer in time.
    DirectorySlow,
    /// What the directory holds, or how it is laid out, cannot be used.
    TableWrong,
    /// This machine goes by another id than the directory and the proxy know it by.
    WrongIdentity,
    /// Two processes say that they are this machine.
    DuplicateIdentity,
}

impl Finding {
    /// The finding as it stands in explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::NoSession => "no-session",
            Self::SessionMalformed => "session-malformed",
            Self::SessionUnknown => "session-unknown",
            Self::SessionOver => "session-over",
            Self::SessionForbidden => "session-forbidden",
            Self::SessionStarting => "session-starting",
            Self::Unassigned => "unassigned",
            Self::SessionMoving => "session-moving",
            Self::MachineJoining => "machine-joining",
            Self::OwnerNeverSeen => "owner-never-seen",
            Self::OwnerLost => "owner-lost",
            Self::OwnerDraining => "owner-draining",
            Self::OwnerUnreachable => "owner-unreachable",
            Self::ReplayLoop => "replay-loop",
            Self::NotReplayable => "not-replayable",
            Self::ReplayNotHonoured => "replay-not-honoured",
            Self::DirectoryDown => "directory-down",
            Self::DirectorySlow => "directory-slow",
            Self::TableWrong => "table-wrong",
            Self::WrongIdentity => "wrong-identity",
            Self::DuplicateIdentity => "duplicate-identity",
        }
    }
}
