//! What `verify` finds.

use std::fmt;

use crate::{LookupError, MachineId};

/// Something that makes lookups fail, found by [`verify`](super::PostgresLookup::verify).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresFault {
    /// There is no such table, or this user may not know of it.
    #[error("there is no table {table}")]
    NoTable {
        /// The table as SQL names it, quoted.
        table: String,
    },
    /// The table, or the custom query, has no such column.
    #[error("{place} has no column {column:?}, which should hold the {role}")]
    NoColumn {
        /// The table, quoted, or `the session query`.
        place: String,
        /// The column.
        column: String,
        /// What it is needed for.
        role: &'static str,
    },
    /// What ownership needs, and the migration makes, is not there.
    #[error("there is no {missing}: apply the migration of `PostgresDirectory`")]
    NotMigrated {
        /// What is missing, with its name as SQL writes it.
        missing: String,
    },
    /// A column is there, but not of a type that can hold what it should.
    #[error(
        "column {column:?} of {place} should hold the {role} and is of type {found}, not {wanted}"
    )]
    ColumnType {
        /// The table, quoted, or `the session query`.
        place: String,
        /// The column.
        column: String,
        /// What it is needed for.
        role: &'static str,
        /// Its type.
        found: String,
        /// Types that would do.
        wanted: &'static str,
    },
}

/// Why [`verify`](super::PostgresLookup::verify) failed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresVerifyError {
    /// The database could not be asked, or it refused the session query.
    #[error("the session directory cannot be asked")]
    Lookup(#[from] LookupError),
    /// The database was asked, and sessions are not stored there as configured. All that was
    /// found is listed, so that it can be repaired in one go.
    #[error("the session directory does not fit: {}", list(.0))]
    Faults(Vec<PostgresFault>),
}

/// Something that lets lookups work, but probably not as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresWarning {
    /// None of the stored owners looks like this machine's id: no request would ever be served
    /// here. Usually the orchestrator writes another id than the process reads.
    ForeignOwners {
        /// One of the stored owners.
        stored: String,
        /// This machine's id.
        machine: MachineId,
    },
    /// A stored owner cannot be a machine id; lookups of its sessions are corrupt.
    UnusableOwner {
        /// The stored owner.
        stored: String,
    },
    /// Among the stored sessions none is active or starting, by the configured statuses.
    NoLivingSession {
        /// The statuses that were found.
        statuses: Vec<String>,
    },
    /// A time is stored without its zone, so it is read in the time zone of the connection.
    NoTimeZone {
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// No index begins with the id: every lookup reads the whole table.
    NoIndex {
        /// The table, quoted.
        table: String,
        /// The id column.
        column: String,
    },
    /// Another trigger runs after the one that raises epochs, and may change the owner once more
    /// unnoticed: triggers run in the order of their names.
    LateTrigger {
        /// The other trigger.
        trigger: String,
    },
    /// The index of the owners of active and starting sessions is not as the migration makes it.
    /// Without one, drains, audits and lists read the table; with one of active sessions only, audits
    /// and lists leave out starting sessions.
    OwnerIndex {
        /// The table, quoted.
        table: String,
        /// What is wrong with it.
        how: &'static str,
    },
    /// `synchronous_commit` is off for this user: a crash of the server can lose a change of owner
    /// that it has confirmed.
    AsynchronousCommit,
    /// The table is unlogged: a crash of the server empties it.
    Unlogged {
        /// The table, quoted.
        table: String,
    },
    /// Row level security applies to this user: rows that it hides look like sessions or machines that
    /// are not there.
    RowSecurity {
        /// The table, quoted.
        table: String,
    },
    /// This user may not write what claims, releases or heartbeats write.
    NoPrivilege {
        /// Which privilege is missing.
        privilege: String,
        /// On what, as SQL names it.
        place: String,
    },
    /// The stored sessions could not be sampled, so the warnings that need a sample are missing.
    NoSample {
        /// Why not.
        error: String,
    },
}

impl fmt::Display for PostgresWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignOwners { stored, machine } => write!(
                f,
                "no stored owner looks like this machine's id: stored is {stored:?}, this machine \
                 is {:?}; does the orchestrator write the id that this process reads?",
                machine.as_str()
            ),
            Self::UnusableOwner { stored } => {
                write!(f, "the stored owner {stored:?} cannot be a machine id")
            }
            Self::NoLivingSession { statuses } => write!(
                f,
                "no stored session is active or starting; the statuses found are {statuses:?}: \
                 if one of them means active, say so with `active_statuses`"
            ),
            Self::NoTimeZone { column, found } => write!(
                f,
                "column {column:?} is of type {found}: without a zone it is read in the time zone \
                 of the connection; `timestamp with time zone` means the same everywhere"
            ),
            Self::NoIndex { table, column } => write!(
                f,
                "no index of {table} begins with {column:?}: every lookup reads the whole table"
            ),
            Self::LateTrigger { trigger } => write!(
                f,
                "trigger {trigger:?} runs after the one that raises epochs, and what it does to a \
                 session's owner raises none: give it a name that sorts earlier"
            ),
            Self::OwnerIndex { table, how } => write!(
                f,
                "the index of owners of {table} {how}: apply the migration of the directory, which \
                 makes it or says how to"
            ),
            Self::AsynchronousCommit => f.write_str(
                "synchronous_commit is off: after a crash of the server an old owner may come back \
                 at an old epoch; set it to on for this user",
            ),
            Self::Unlogged { table } => write!(
                f,
                "table {table} is unlogged, and a crash of the server empties it: ALTER TABLE \
                 {table} SET LOGGED"
            ),
            Self::RowSecurity { table } => write!(
                f,
                "row level security of {table} applies to this user, and may hide rows: give the \
                 user BYPASSRLS, or a policy for all rows"
            ),
            Self::NoPrivilege { privilege, place } => write!(
                f,
                "this user lacks {privilege} on {place}, so claims, releases or heartbeats fail: \
                 GRANT it"
            ),
            Self::NoSample { error } => {
                write!(f, "the stored sessions could not be sampled: {error}")
            }
        }
    }
}

/// The directory can be asked, and sessions are stored as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresVerified {
    pub(super) warnings: Vec<PostgresWarning>,
}

impl PostgresVerified {
    /// What is probably not as meant; each was also logged, at level WARN.
    #[must_use]
    pub fn warnings(&self) -> &[PostgresWarning] {
        &self.warnings
    }
}

impl fmt::Display for PostgresVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.warnings.as_slice() {
            [] => f.write_str("the session directory fits"),
            warnings => write!(f, "the session directory fits, but {}", list(warnings)),
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join("; ")
}

crate::observe::debug_as_chain!(PostgresFault, PostgresVerifyError);
