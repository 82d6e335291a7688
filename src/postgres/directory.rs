//! The write side: who owns a session, and which machines are there.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::Row;

use crate::{HeartbeatBuilder, LookupError};

use super::{
    Inner, PostgresConfigError, PostgresFeed,
    births::Births,
    connections::Parameter,
    identifier::Identifier,
    mode::Mode,
    ownership::Ownership,
    row::{epoch, value},
    statements::Statements,
    statuses::Statuses,
    table::Table,
};

mod assign;
mod audit;
mod create;
mod end;
mod gone;
mod held;
mod integrity;
mod json;
mod machines;
mod migration;
mod owners;
mod reap;
mod release;
mod sessions;
mod touch;
mod unassign;
mod writes;

pub use assign::{AssignError, Assigned};
pub use audit::{Audit, AuditFinding};
pub use machines::MachineStatus;
pub(super) use migration::{
    EPOCH_TRIGGERS, OwnerIndex, epoch_function, missing_triggers, owner_index,
};
pub use migration::{LeftToDo, Migrated};
pub use reap::{Reaped, ReapedSession};
pub use sessions::{ListedSession, SessionFilter};

/// Writes who owns a session, in the table of a [`PostgresLookup`](super::PostgresLookup) that
/// [keeps ownership](super::PostgresLookupBuilder::ownership).
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ownership::{FlyReplay, OwnershipLayer, PathSegment, PostgresLookup};
///
/// let lookup = PostgresLookup::builder("postgres://app@db.internal/app")
///     .ownership()
///     .build()?;
/// let directory = lookup.directory()?;
/// let layer = OwnershipLayer::builder(lookup)
///     .session(PathSegment::after("/session")?)
///     .replay(FlyReplay::new())
///     .build()?;
/// // Before the server takes its first request.
/// let presence = directory.heartbeat().start(layer.node()).await?;
///
/// // When the platform says that it is time.
/// let drained = presence.drain(Duration::from_secs(20)).await?;
/// println!("{} sessions were given up", drained.released.len());
/// presence.leave().await?;
/// # Ok(())
/// # }
/// ```
///
/// # The database
/// Nothing is installed by itself. The SQL is [`migration`](Self::migration) for the table as it is
/// configured, and [`Self::MIGRATION`] for the default names; [`migrate`](Self::migrate) applies
/// it. It adds to the sessions' table columns for the epoch, for the release proof and for the owner
/// that the epoch was set for, and triggers that keep all three, whatever writes:
/// - The epoch rises by one whenever the owner changes. A row that is inserted without an owner begins
///   at 0, any other at 1, or at the epoch that it is inserted with, if that is higher: an `UPDATE`
///   that moves a row to another partition inserts it there. A row that changes its id gets the time
///   in microseconds for its epoch, which is above all that were counted. By hand it cannot be lowered.
/// - A release proof stays only if it comes with the very change that gives the session up.
/// - Where the owner is not the one that the epoch was set for, it changed while the triggers were missing
///   or disabled. Reading such a session is an error, unless it is over, until the migration is
///   applied again.
///
/// They also tell of changes, by a [change log](PostgresFeed#the-change-log) where those of [`PostgresFeed`]
/// notify. The migration of the latter need not be applied as well. If it is, each commit notifies again. A row that is deleted and inserted again under the same
/// id begins anew at its first epoch, and its fencing token falls: use ids once, or set
/// [`reusable_ids`](super::PostgresLookupBuilder::reusable_ids), with which an inserted row begins at the
/// time in microseconds. [`reap`](Self::reap) says how long an id has to rest.
///
/// They are no `ENABLE ALWAYS` triggers, so they do not fire with `session_replication_role =
/// replica`. A logical replica then has the epochs of its publisher; one that counted for itself
/// would begin at 1 with all rows that it copies. Epochs that have to be mended, after a failover
/// that lost commits, can be raised in this way. An owner that is written so is not served until the
/// migration is applied again.
///
/// # One process a machine
/// What [`claim`](crate::SessionDirectory::claim) and [`release`](Self::release) write may arrive
/// late, when a process that was started since is already serving under the same machine id. So
/// where this process keeps its [heartbeat](Self::heartbeat), with the same lookup, they are written
/// only while the machine's row still holds this process's boot id, which stays locked until they
/// are committed. Without presence nothing tells the two processes apart: then a machine id must
/// not come back within a minute.
///
/// # How long it takes, at most
/// As long as a lookup, by the same bounds, unless a method says otherwise. Writes use at most half
/// of the lookup's connections, so that slow ones hold up no lookup; the heartbeat has a connection
/// of its own outside of the pool. Each write is one transaction that is sent at once
/// (`BEGIN; SET LOCAL statement_timeout; …`), so through a pooler as well. Where nothing shares the
/// connections, its statement is prepared. Each statement of a claim waits at most 200 ms for a row's
/// lock. If the process stops before its COMMIT goes out, the server ends the transaction within a
/// second.
///
/// A server, database or role that is set to `default_transaction_read_only` is not written: each
/// write is `Unavailable` and says so.
///
/// # Errors
/// Those of a [lookup](super::PostgresLookup#errors). A
/// [`Timeout`](crate::LookupErrorKind::Timeout) and a connection that is lost leave open whether
/// it was written, and say so. [`Corrupt`](crate::LookupErrorKind::Corrupt): the owner's column
/// cannot hold this machine's id.
#[derive(Clone)]
pub struct PostgresDirectory {
    lookup: Arc<Inner>,
    table: Arc<Table>,
    ownership: Arc<Ownership>,
    statements: Arc<Statements>,
    births: Arc<Births>,
    channel: Arc<str>,
    rehearses: bool,
}

impl PostgresDirectory {
    /// The SQL for a table that is called `preview_sessions`, with its columns as a lookup expects
    /// them by default, and the default channel.
    ///
    /// For migration tools that want a file: this is `src/postgres/directory/ownership.sql`.
    pub const MIGRATION: &str = include_str!("directory/ownership.sql");

    /// A directory with the default names, in this database; see
    /// [`PostgresLookup::builder`](super::PostgresLookup::builder) for others.
    pub fn new(source: impl Into<super::PostgresSource>) -> Result<Self, PostgresConfigError> {
        super::PostgresLookup::builder(source)
            .ownership()
            .build()?
            .directory()
    }

    pub(super) fn of(lookup: &Arc<Inner>) -> Result<Self, PostgresConfigError> {
        let table = lookup.table.clone().ok_or(PostgresConfigError::NoTable {
            reason: "a query of one's own names no table to write into",
        })?;
        let ownership = table.ownership.clone();
        let ownership = ownership.ok_or(PostgresConfigError::NoOwnership)?;
        let statuses = lookup.statuses.as_ref();
        Ok(Self {
            statements: Arc::new(Statements::new(&lookup.sql)),
            births: Arc::new(Births::new(&lookup.sql, &table, &ownership, statuses)),
            lookup: Arc::clone(lookup),
            table: Arc::new(table),
            ownership: Arc::new(ownership),
            channel: PostgresFeed::DEFAULT_CHANNEL.into(),
            rehearses: false,
        })
    }

    /// Rolls back what an operator writes: [`declare_gone`](Self::declare_gone),
    /// [`readmit`](Self::readmit), [`assign`](Self::assign), [`unassign`](Self::unassign),
    /// [`end`](crate::SessionDirectory::end) and [`reap`](Self::reap) run their statements, return what
    /// they would have done, and change nothing. Rows stay locked for as long as the statement takes.
    ///
    /// Nothing else of this directory heeds it.
    #[must_use]
    pub fn rehearsal(mut self) -> Self {
        self.rehearses = true;
        self
    }

    /// The channel that the triggers of the [`migration`](Self::migration) notify. Default:
    /// [`tower_ownership`](PostgresFeed::DEFAULT_CHANNEL).
    #[must_use]
    pub fn channel(mut self, channel: impl AsRef<str>) -> Self {
        self.channel = channel.as_ref().into();
        self
    }

    /// The SQL that makes the lookup's table keep ownership. Apply it in one transaction, as the
    /// owner of the table; it may be applied again and again, and to a table with rows: those
    /// count as their first epoch.
    ///
    /// The error is a channel that cannot be one.
    pub fn migration(&self) -> Result<String, PostgresConfigError> {
        let channel = Identifier::parse("channel", &self.channel)?;
        Ok(migration::migration(
            &self.table,
            &self.ownership,
            self.statuses(),
            &channel,
        ))
    }

    /// Begins to keep a machine alive in this directory.
    pub fn heartbeat(&self) -> HeartbeatBuilder<Self> {
        HeartbeatBuilder::new(self.clone())
    }

    pub(super) fn lookup(&self) -> &Arc<Inner> {
        &self.lookup
    }

    pub(super) fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.statements
    }

    /// A write of an operator's.
    fn by_hand(&self, mode: Mode) -> Mode {
        Mode {
            is_rehearsal: self.rehearses,
            ..mode
        }
    }

    fn statuses(&self) -> Option<&Statuses> {
        self.lookup.statuses.as_ref()
    }

    /// A list, which may take longer than a lookup.
    async fn list(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, LookupError> {
        let (connections, deadline) = (&self.lookup.connections, Instant::now() + LIST);
        connections.run(Mode::LIST, sql, parameters, deadline).await
    }
}

/// How long a list may take.
const LIST: Duration = Duration::from_secs(10);

/// More of anything is not listed at once.
const MOST: usize = 10_000;

/// A limit of a statement.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(MOST)).unwrap_or(i64::MAX)
}

impl fmt::Debug for PostgresDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDirectory")
            .field("table", &self.table.qualified())
            .field("machines", &self.ownership.machines)
            .field("connections", &self.lookup.connections)
            .finish_non_exhaustive()
    }
}
