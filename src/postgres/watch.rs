//! Hearing of changes when they happen.

use std::{fmt, sync::Arc};

use tokio::{sync::oneshot, task::JoinHandle};

use super::PostgresSource;

mod backoff;
mod builder;
mod error;
mod health;
mod payload;
mod task;
mod wire;

pub use builder::PostgresWatchBuilder;
pub use error::WatchError;
pub use health::{WatchHealth, WatchState};
pub(super) use wire::Messages;

use health::{Checked, Status};

use crate::health::{Check, HealthCheck};

/// Makes a layer forget a session at the moment at which it changes in the database.
///
/// Without a watch, a change is seen when the [freshness](crate::CachePolicy) of what is cached runs
/// out. With it, that takes milliseconds: triggers on the sessions' table
/// [notify](https://www.postgresql.org/docs/current/sql-notify.html), and every machine listens on
/// a connection of its own.
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ownership::{FlyReplay, OwnershipLayer, PathSegment, PostgresLookup};
///
/// let lookup = PostgresLookup::builder("postgres://app@pooler.internal/app").build()?;
/// let layer = OwnershipLayer::builder(lookup.clone())
///     .session(PathSegment::after("/session")?)
///     .replay(FlyReplay::new())
///     .build()?;
/// let watch = lookup
///     .watch()
///     .direct("postgres://app@db.internal/app") // left out, the lookup's own
///     .start(layer.cache())?;
///
/// // Somewhere in a health check:
/// let is_listening = watch.health().state.is_listening();
/// # Ok(())
/// # }
/// ```
///
/// # The triggers
/// Nothing is installed by itself. The SQL is
/// [`PostgresWatchBuilder::migration`] for a table as it is configured, and [`Self::MIGRATION`]
/// for the default one. It can be applied again and again, needs `PostgreSQL` 14, and locks out
/// writers, not readers, while it is applied. The server then refuses to change the type of a
/// column that the triggers name: drop their function with `CASCADE` before, and apply the SQL
/// again afterwards.
///
/// They fire when a row is inserted or deleted, when its id, owner, status, address, expiry, end
/// or epoch really changes, and when the table is truncated. They do not fire
/// - for other columns, [attributes](super::PostgresLookupBuilder::attributes) among them: those
///   are as fresh as the bounds say;
/// - for what a `BEFORE` trigger changes in a column that the statement does not name;
/// - where triggers do not: with `session_replication_role = replica`, and so on a subscriber of
///   logical replication.
///
/// Writers of other columns are left alone: measured with 8 writers, 1.01 of the throughput without
/// any trigger, and 0.86 if the statement names every column. A commit that notifies waits for the
/// others that do: a table of which every `UPDATE` notified was measured to take no more than some
/// 2,500 commits a second. So an application that moves `expires_at` with every request should do
/// that less often. A transaction that changes 100,000 sessions sends as many notifications; with
/// the triggers disabled, `NOTIFY tower_ownership, '1 *'` says the same in one.
///
/// # What it promises
/// A notification is a hint. It is sent when the transaction commits and usually arrives within a
/// millisecond of that, and nothing waits for it. One that is lost with its connection is made up
/// for: after every connection the watch listens, shows that notifications arrive, drops everything
/// that is cached, and only then says that it [listens](WatchState::Listening). While it does not,
/// nothing is dropped, and the freshness bounds hold as they do without a watch. They are not
/// longer with one: what a machine serves is never older than they allow.
///
/// A notification never says who the owner is. Whoever may connect to the database may send one,
/// and that costs a lookup, never a wrong verdict. What cannot be read is counted and ignored.
///
/// # The connection
/// It has to be direct: a pooler in transaction mode (`PgBouncer`) accepts `LISTEN` and delivers
/// nothing. The watch finds that out when it connects, by notifying itself from a second, brief
/// connection, and says so: an event of level ERROR, and [`WatchError::Undelivered`]. For lookups
/// through a pooler, give the watch another URL by [`direct`](PostgresWatchBuilder::direct).
///
/// A connection that is lost is opened again after 0.1 s, and up to 5 s if that fails, each time a
/// little differently so that a fleet does not come back all at once. A connection that is lost
/// without anybody saying so is found by a heartbeat: if nothing was heard for 5 s, the watch
/// notifies the channel, and all machines hear that; if nothing is heard for 2 s after that, the
/// connection is closed and opened anew.
///
/// # Ending it
/// The watch is one task on the runtime it was started on. Dropping this handle ends it and closes
/// the connection; [`stop`](Self::stop) also waits for that.
#[must_use = "a watch ends when it is dropped"]
pub struct PostgresWatch {
    status: Arc<Status>,
    /// Held for its drop, which ends the task.
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl PostgresWatch {
    /// The channel unless [said otherwise](PostgresWatchBuilder::channel).
    pub const DEFAULT_CHANNEL: &str = "tower_ownership";

    /// The triggers for a table that is called `preview_sessions`, with its columns as
    /// [`PostgresLookup`](super::PostgresLookup) expects them by default, and the default channel.
    ///
    /// For migration tools that want a file: this is `src/postgres/notify.sql`.
    pub const MIGRATION: &str = include_str!("notify.sql");

    /// Begins a watch of the database that a connection string or a `tokio_postgres::Config`
    /// names. [`PostgresLookup::watch`](super::PostgresLookup::watch) also knows the table.
    pub fn builder(source: impl Into<PostgresSource>) -> PostgresWatchBuilder {
        PostgresWatchBuilder::new(source.into())
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> WatchHealth {
        self.status.health()
    }

    /// The same as a check for the machine's [health](crate::health). It does not keep the watch
    /// running, and says that it has ended once it has.
    #[must_use]
    pub fn health_check(&self) -> impl HealthCheck + use<> {
        Checked(Arc::clone(&self.status))
    }

    /// Waits until it listens; at once if it does.
    ///
    /// A server need not wait for it before it takes requests: until then the freshness bounds
    /// hold.
    pub async fn listening(&self) {
        self.status.until_listening().await;
    }

    /// Ends it, and waits until its connection is closed.
    pub async fn stop(self) {
        let Self {
            status: _,
            _stop: stop,
            task,
        } = self;
        drop(stop);
        // It fails only if the runtime has ended the task before us.
        let _ = task.await;
    }
}

impl HealthCheck for PostgresWatch {
    fn check(&self) -> Check {
        Check::from(&self.health())
    }
}

impl fmt::Debug for PostgresWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWatch")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
