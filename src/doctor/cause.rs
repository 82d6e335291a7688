//! What can be wrong.

use std::fmt;

use serde::{Serialize, Serializer};

/// The one thing that is wrong. Its text is stable, and scripts may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// `fine`: nothing that could be looked at is wrong.
    Fine,
    /// `session-malformed`: that is no session id.
    SessionMalformed,
    /// `database-down`: the directory cannot be asked from here.
    DatabaseDown,
    /// `database-slow`: the directory did not answer in time, or takes longer than is good.
    DatabaseSlow,
    /// `database-down-there`: it can be asked from here, and not from the machine that answered.
    DatabaseDownThere,
    /// `table-missing`: there is no such table, or this user may not see it.
    TableMissing,
    /// `column-missing`: the table has no such column.
    ColumnMissing,
    /// `column-type`: a column is not of a type that holds what it should.
    ColumnType,
    /// `migration-partly`: some of what ownership needs is there, and some is not.
    MigrationPartly,
    /// `session-unknown`: there is no row.
    SessionUnknown,
    /// `row-unusable`: the row cannot be a session's.
    RowUnusable,
    /// `owner-unusable`: what is stored as the owner is no machine id.
    OwnerUnusable,
    /// `session-over`: it ended, or its time has run out.
    SessionOver,
    /// `session-starting`: it is being created, says its status.
    SessionStarting,
    /// `session-unassigned`: nobody owns it.
    SessionUnassigned,
    /// `session-moving`: its owner waits for the owner before, or gives it up.
    SessionMoving,
    /// `session-absent`: its owner runs, and does not hold it.
    SessionAbsent,
    /// `session-forbidden`: the application's guard refused the request.
    SessionForbidden,
    /// `duplicate-identity`: two processes say that they are the owner.
    DuplicateIdentity,
    /// `identity-mismatch`: owners are stored by other ids than machines have.
    IdentityMismatch,
    /// `owner-never-seen`: the owner never said that it is there.
    OwnerNeverSeen,
    /// `owner-gone`: the platform knows no such machine.
    OwnerGone,
    /// `owner-not-started`: the platform made it, and it never ran.
    OwnerNotStarted,
    /// `owner-stopped`: the platform has it, and it does not run.
    OwnerStopped,
    /// `owner-lost`: it ran, and has stopped beating.
    OwnerLost,
    /// `heartbeats-missing`: the owner runs and answers, and its heartbeats do not arrive.
    HeartbeatsMissing,
    /// `owner-draining`: it gives its sessions up.
    OwnerDraining,
    /// `owner-unreachable`: the proxy could not connect to it.
    OwnerUnreachable,
    /// `wrong-machine`: a machine that is not the owner served the request.
    WrongMachine,
    /// `replay-not-honoured`: no proxy acted on the replay.
    ReplayNotHonoured,
    /// `replay-loop`: the request goes round between machines.
    ReplayLoop,
    /// `not-replayable`: such a request cannot be handed over.
    NotReplayable,
    /// `directory-differs`: the machine that answered reads something else than we do.
    DirectoryDiffers,
    /// `url-unreachable`: there was no answer from the public URL.
    UrlUnreachable,
    /// `proxy-error`: the proxy in front answered by itself.
    ProxyError,
    /// `application-refused`: the application answered by itself, with an error.
    ApplicationRefused,
    /// `check-failed`: the request was served, and yet one of the checks found a problem.
    CheckFailed,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// Something is wrong.
    Problem,
    /// The directory could not be asked, so of the session nothing is known.
    Unknown,
}

impl Cause {
    /// Every cause that this version knows.
    pub const ALL: &'static [Self] = &[
        Self::Fine,
        Self::SessionMalformed,
        Self::DatabaseDown,
        Self::DatabaseSlow,
        Self::DatabaseDownThere,
        Self::TableMissing,
        Self::ColumnMissing,
        Self::ColumnType,
        Self::MigrationPartly,
        Self::SessionUnknown,
        Self::RowUnusable,
        Self::OwnerUnusable,
        Self::SessionOver,
        Self::SessionStarting,
        Self::SessionUnassigned,
        Self::SessionMoving,
        Self::SessionAbsent,
        Self::SessionForbidden,
        Self::DuplicateIdentity,
        Self::IdentityMismatch,
        Self::OwnerNeverSeen,
        Self::OwnerGone,
        Self::OwnerNotStarted,
        Self::OwnerStopped,
        Self::OwnerLost,
        Self::HeartbeatsMissing,
        Self::OwnerDraining,
        Self::OwnerUnreachable,
        Self::WrongMachine,
        Self::ReplayNotHonoured,
        Self::ReplayLoop,
        Self::NotReplayable,
        Self::DirectoryDiffers,
        Self::UrlUnreachable,
        Self::ProxyError,
        Self::ApplicationRefused,
        Self::CheckFailed,
    ];

    /// The cause as it stands in `--json` and in this type's documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::SessionMalformed => "session-malformed",
            Self::DatabaseDown => "database-down",
            Self::DatabaseSlow => "database-slow",
            Self::DatabaseDownThere => "database-down-there",
            Self::TableMissing => "table-missing",
            Self::ColumnMissing => "column-missing",
            Self::ColumnType => "column-type",
            Self::MigrationPartly => "migration-partly",
            Self::SessionUnknown => "session-unknown",
            Self::RowUnusable => "row-unusable",
            Self::OwnerUnusable => "owner-unusable",
            Self::SessionOver => "session-over",
            Self::SessionStarting => "session-starting",
            Self::SessionUnassigned => "session-unassigned",
            Self::SessionMoving => "session-moving",
            Self::SessionAbsent => "session-absent",
            Self::SessionForbidden => "session-forbidden",
            Self::DuplicateIdentity => "duplicate-identity",
            Self::IdentityMismatch => "identity-mismatch",
            Self::OwnerNeverSeen => "owner-never-seen",
            Self::OwnerGone => "owner-gone",
            Self::OwnerNotStarted => "owner-not-started",
            Self::OwnerStopped => "owner-stopped",
            Self::OwnerLost => "owner-lost",
            Self::HeartbeatsMissing => "heartbeats-missing",
            Self::OwnerDraining => "owner-draining",
            Self::OwnerUnreachable => "owner-unreachable",
            Self::WrongMachine => "wrong-machine",
            Self::ReplayNotHonoured => "replay-not-honoured",
            Self::ReplayLoop => "replay-loop",
            Self::NotReplayable => "not-replayable",
            Self::DirectoryDiffers => "directory-differs",
            Self::UrlUnreachable => "url-unreachable",
            Self::ProxyError => "proxy-error",
            Self::ApplicationRefused => "application-refused",
            Self::CheckFailed => "check-failed",
        }
    }

    /// Whether anything is wrong. A database that cannot be asked from here may be fine.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Fine => Severity::Fine,
            Self::DatabaseDown => Severity::Unknown,
            _ => Severity::Problem,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
