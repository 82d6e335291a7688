//! Hearing of changes when they happen.

use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Notification, Row};

use super::PostgresSource;
use crate::{ChangeFeed, Coverage, FeedError, FeedErrorKind, random};

mod builder;
mod changes;
mod channel;
mod payload;
mod reader;
mod wire;

pub use builder::PostgresFeedBuilder;
pub use changes::PostgresChanges;
pub(super) use wire::Messages;

use channel::Channel;
use payload::Payload;
use wire::{Endpoint, Wire, lost};

/// The changes that `PostgreSQL` notifies of.
///
/// Without a feed, a change is seen when the [freshness](crate::CachePolicy) of what is cached runs
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
/// let feed = lookup
///     .change_feed()
///     .direct("postgres://app@db.internal/app") // left out, the lookup's own
///     .start(layer.cache())?;
///
/// // Somewhere in a health check:
/// let is_listening = feed.health().state.is_listening();
/// # Ok(())
/// # }
/// ```
///
/// # The triggers
/// Nothing is installed by itself. The SQL is
/// [`PostgresFeedBuilder::migration`] for a table as it is configured, and [`Self::MIGRATION`]
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
/// Writers of other columns are left alone.
///
/// # The change log
/// A commit that notifies waits for the others that do, whatever they change, and wakes every listening
/// connection of the server. That limits a server to some thousand changes a second, and each change costs it
/// some 16 µs for each listener: enough for small fleets. A transaction with a `NOTIFY` cannot be prepared
/// (`PREPARE TRANSACTION`).
///
/// The triggers of the [ownership level](super::PostgresDirectory::migration) append to a log instead, which one
/// of the listening machines reads every 20 ms. It announces all that is new with one notification, or a few, so
/// listeners are woken up to 50 times a second however many sessions change. Any feed that knows the table
/// and may execute the function that reads becomes the reader when none was heard for 1.5 to 2.5 s. Where no reader
/// has renewed its lease within a second, triggers notify as above. So a change is heard of within some 25 ms,
/// and within 3 s if the reader has just died; the freshness bounds hold in any case. A feed that hears
/// neither a reader nor from the server why not connects anew, and drops everything that is cached.
///
/// The log is deleted from as it is read, so late commits and prepared transactions are announced when they can
/// be seen. It consists of three tables that take turns, and are emptied by `TRUNCATE` at about 2 MB. If something
/// keeps them from being emptied (a `pg_dump` locks all tables), changes are notified by their own commits from
/// 64 MB on. Writers need no rights on it.
///
/// # What it promises
/// A notification is a hint. Without a change log it is sent when the transaction commits and usually arrives
/// within a millisecond of that, and nothing waits for it. [`Feed`](crate::Feed) says what becomes of one that
/// is lost, and of a connection that is.
///
/// A notification never says who the owner is. Any role that may connect to the database may send one,
/// and that costs a lookup, never a wrong decision. What cannot be read is counted and ignored.
///
/// # The connection
/// It has to be direct: a pooler in transaction mode (`PgBouncer`) accepts `LISTEN` and delivers
/// nothing. The feed finds that out when it connects, by notifying itself from a second, brief
/// connection, and says so: an event of level ERROR, and [`FeedErrorKind::Undelivered`]. For lookups
/// through a pooler, give the feed another URL by [`direct`](PostgresFeedBuilder::direct).
pub struct PostgresFeed {
    endpoint: Endpoint,
    channel: Channel,
    /// How long a statement may take.
    answer_timeout: Duration,
    /// How long the server waits for what it sends to be taken; `None`: as it is configured.
    send_timeout: Option<Duration>,
    /// Finds the trigger and the change log, where the table is known.
    is_installed: Option<Arc<str>>,
    /// Reads the change log.
    reads: Option<Arc<str>>,
    /// How often the trigger is looked for.
    look_interval: Duration,
}

impl PostgresFeed {
    /// The channel unless [said otherwise](PostgresFeedBuilder::channel).
    pub const DEFAULT_CHANNEL: &str = "tower_ownership";

    /// The triggers for a table that is called `preview_sessions`, with its columns as
    /// [`PostgresLookup`](super::PostgresLookup) expects them by default, and the default channel.
    ///
    /// For migration tools that want a file: this is `src/postgres/notify.sql`.
    pub const MIGRATION: &str = include_str!("notify.sql");

    /// A feed of the database that a connection string or a `tokio_postgres::Config` names.
    /// [`PostgresLookup::change_feed`](super::PostgresLookup::change_feed) also knows the table.
    pub fn builder(source: impl Into<PostgresSource>) -> PostgresFeedBuilder {
        PostgresFeedBuilder::new(source.into())
    }

    /// Shows that notifications arrive. The first one comes from another connection: a pooler in
    /// transaction mode delivers what a client sends to itself, and nothing else.
    async fn prove(&self, wire: &mut Wire) -> Result<(), FeedError> {
        let number = random::number();
        let sql = self.channel.beat(number);
        let mut arrived = false;
        let mut hear = |heard: &Notification| {
            arrived |= self.channel.read(heard) == Some(Ok(Payload::Beat(number)));
        };
        if !self.send(&sql).await {
            // The server may have no more room, and we have one connection. It will have to do.
            let client = wire.client();
            let sent = client.batch_execute(&sql);
            wire.answer(sent, self.answer_timeout, &mut hear)
                .await?
                .map_err(lost)?;
        }
        let deadline = Instant::now() + self.answer_timeout;
        while !arrived {
            let next = poll_fn(|cx| wire.poll_next(cx));
            match timeout_at(deadline, next).await {
                Ok(heard) => {
                    arrived |= self.channel.read(&heard?) == Some(Ok(Payload::Beat(number)));
                }
                Err(_) => break,
            }
        }
        if arrived {
            return Ok(());
        }
        // If the server answers, then it is not the network that keeps it from being heard. A
        // pooler's server should not go on listening for others.
        let sql = format!("UNLISTEN {}", self.channel.name);
        let client = wire.client();
        let asked = client.batch_execute(&sql);
        wire.answer(asked, self.answer_timeout, |_| {})
            .await?
            .map_err(lost)?;
        Err(FeedError::new(
            FeedErrorKind::Undelivered,
            "PostgreSQL accepts LISTEN, but no notification arrives: this is a pooler in transaction \
             mode; give the feed the direct URL of the server",
        ))
    }

    /// Sends a statement over a connection of its own; whether that worked.
    async fn send(&self, sql: &str) -> bool {
        let Ok(mut wire) = Wire::connect(&self.endpoint).await else {
            return false;
        };
        let client = wire.client();
        let sent = wire.answer(client.batch_execute(sql), self.answer_timeout, |_| {});
        matches!(sent.await, Ok(Ok(())))
    }

    /// Has the server close the connection if this process takes nothing for so long.
    ///
    /// A listener that is stopped is not idle to the server: its backend waits in a write, within a
    /// transaction that holds back VACUUM and the queue of notifications of the whole server. The
    /// kernel of a stopped process goes on answering, so no keepalive ends that. It is a setting of
    /// the server's socket, so only the server can make it. Set after the connection has proved to be
    /// direct, because a pooler would pass the setting on to other clients. A server that refuses is
    /// listened to all the same.
    async fn limit_sending(&self, wire: &mut Wire) -> Result<(), FeedError> {
        let Some(limit) = self.send_timeout else {
            return Ok(());
        };
        let limit = limit.as_millis().clamp(1, 2_147_483_647);
        let sql = format!("SET tcp_user_timeout = {limit}");
        let client = wire.client();
        let set = wire.answer(client.batch_execute(&sql), self.answer_timeout, |_| {});
        if let Err(error) = set.await? {
            if error.code().is_none() {
                return Err(lost(error));
            }
            tracing::debug!(
                target: "tower_ownership::feed",
                cause = %error,
                "the server does not limit how long it waits for this process to read"
            );
        }
        Ok(())
    }
}

impl ChangeFeed for PostgresFeed {
    type Changes = PostgresChanges;

    /// What is heard before this returns need not be told: the caller drops everything then.
    async fn connect(&self) -> Result<PostgresChanges, FeedError> {
        let mut wire = Wire::connect(&self.endpoint).await?;
        let client = wire.client();
        let sql = format!("LISTEN {}", self.channel.name);
        wire.answer(client.batch_execute(&sql), self.answer_timeout, |_| {})
            .await?
            .map_err(|error| {
                FeedError::new(
                    FeedErrorKind::Refused,
                    "PostgreSQL does not let this process LISTEN",
                )
                .with_source(error)
            })?;
        self.prove(&mut wire).await?;
        self.limit_sending(&mut wire).await?;
        let mut found = Found::default();
        if let Some(sql) = &self.is_installed {
            let rows = wire.answer(client.query_typed(sql, &[]), self.answer_timeout, |_| {});
            // A role that may not look may still listen.
            let rows = rows.await?.ok();
            found = rows
                .and_then(|rows| Found::of(&rows).ok())
                .unwrap_or_default();
        }
        Ok(PostgresChanges::new(self, wire, found))
    }
}

impl fmt::Debug for PostgresFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeed")
            .field("channel", &self.channel.name)
            .finish_non_exhaustive()
    }
}

/// What was found of the triggers and the change log.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Whether a trigger notifies the channel; `None`: this role may not look.
    installed: Option<bool>,
    /// Whether this role may read the change log.
    readable: bool,
}

impl Found {
    fn of(rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let Some(row) = rows.first() else {
            return Ok(Self::default());
        };
        Ok(Self {
            installed: row.try_get(0)?,
            readable: row.try_get(1)?,
        })
    }

    fn coverage(self) -> Coverage {
        match self.installed {
            Some(true) => Coverage::Complete,
            Some(false) => Coverage::Incomplete(
                "no trigger of the sessions' table notifies this channel: apply the migration",
            ),
            None => Coverage::Unknown,
        }
    }
}
