//! Sessions in `PostgreSQL`.

use std::{fmt, sync::Arc};

use crate::{
    LookupError, Node, Refresh, Session, SessionId, SessionIds, SessionLookup,
    directory::DirectoryId,
};

mod batch;
mod births;
mod bounds;
mod builder;
mod change_log;
mod column;
mod config_error;
mod connection_string;
mod connections;
mod connector;
mod detached;
mod direct;
mod directory;
mod exchange;
mod failure;
mod fault;
mod feed;
mod fragments;
mod hosts;
mod id;
mod identifier;
mod inner;
mod lease;
#[cfg(feature = "doctor")]
mod look;
mod membership;
mod migration;
mod mode;
mod ownership;
mod password;
mod place;
mod query;
mod queue;
mod reserved;
mod row;
mod source;
mod sql;
mod statements;
mod statuses;
mod table;
#[cfg(feature = "tls")]
mod tls;
mod verify;

pub use builder::PostgresLookupBuilder;
pub use config_error::PostgresConfigError;
pub use directory::{
    AssignError, Assigned, Audit, AuditFinding, LeftToDo, ListedSession, MachineStatus, Migrated,
    PostgresDirectory, Reaped, ReapedSession, SessionFilter,
};
#[cfg(feature = "doctor")]
pub(crate) use failure::sqlstate;
pub use fault::{PostgresFault, PostgresVerified, PostgresVerifyError, PostgresWarning};
pub use feed::{PostgresChanges, PostgresFeed, PostgresFeedBuilder};
pub use id::PostgresIdType;
#[cfg(feature = "doctor")]
pub(crate) use look::{
    PlainFilter, PlainSession, SeenLock, SeenMachine, SeenRival, SeenRow, SeenServer, SeenStatus,
};
#[cfg(feature = "doctor")]
pub(crate) use row::DRIFTED;
pub use source::PostgresSource;
pub use table::PostgresColumns;

use inner::Inner;
use queue::Queue;

/// Looks sessions up in a `PostgreSQL` table, or by a query of the application's own.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ownership::PostgresLookup;
///
/// // preview_sessions(id uuid, status text, container_id text, container_url text,
/// //                  expires_at timestamptz, ended_at timestamptz)
/// let lookup = PostgresLookup::builder("postgres://app@db.internal/app").build()?;
///
/// // The same facts under other names, and what handlers want to know besides.
/// let lookup = PostgresLookup::builder("postgres://app@db.internal/app?sslmode=disable")
///     .schema("live")
///     .table("rooms")
///     .columns("id=room_id,owner=machine_id,address=".parse()?)
///     .active_statuses(["open", "full"])
///     .attributes(["user_id", "tier"])
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// Nothing connects before the first lookup; [`verify`](Self::verify) does it at start-up and
/// checks what it finds. Clones share their connections.
///
/// # What a row means
/// - **Owner**: the machine. NULL: the session has no owner yet. What cannot be a
///   [`MachineId`](crate::MachineId), the empty text included, is corrupt.
/// - **Status**: active, or starting, if the word is among those that
///   [mean it](PostgresLookupBuilder::active_statuses). Any other word means that the session is
///   over: an unforeseen status must not be served. With
///   [`over_statuses`](PostgresLookupBuilder::over_statuses), a word in none of the lists is
///   corrupt. NULL always is.
/// - **Expiry and end**: the session is over from the earlier of the two on, by the database's
///   clock. NULL and `infinity` are no end.
/// - **Address**: NULL: unknown. What cannot be an [`Address`](crate::Address) is corrupt.
/// - More than one row for one id is corrupt.
///
/// # How long it takes, at most
/// | step | bound | default |
/// | --- | --- | --- |
/// | a connection of the pool becomes free | [`pool_timeout`](PostgresLookupBuilder::pool_timeout) | 300 ms |
/// | a new connection is ready | [`connect_timeout`](PostgresLookupBuilder::connect_timeout) | 700 ms |
/// | the query | [`query_timeout`](PostgresLookupBuilder::query_timeout) | 800 ms |
/// | all of it, a second attempt included | [`timeout`](PostgresLookupBuilder::timeout) | 1.8 s |
///
/// A lookup that fails on a connection which had been lying idle (the server was restarted, an
/// administrator ended it) is tried once more on a fresh one. The server gives up a
/// query at nine tenths of its bound (`statement_timeout`), and, unless
/// [ownership](PostgresLookupBuilder::ownership) is kept over the same connections, that nothing may
/// be written (`default_transaction_read_only`), so that queries which wait for a lock do not pile up there. A
/// connection whose query outlived our bound, or was no longer waited for, is never used again.
///
/// # Many at once
/// No lookup waits for others to join it. A lookup that comes while fewer than
/// [`max_batches`](PostgresLookupBuilder::max_batches) queries are on their way goes out at once,
/// alone. All that come while that many are on their way go out together, in one query
/// (`id = ANY($1)`), as soon as one of them is answered. So under load a query is shared, and the
/// more the later. Each lookup keeps its own time limit, a row that cannot be read fails only the
/// lookup that asked for it, and a lookup that is dropped takes no other with it. A
/// [query of the application's own](PostgresLookupBuilder::query) needs a
/// [second form](PostgresLookupBuilder::batch_query) for that. At most 20,000 lookups wait; one
/// more is `Unavailable`.
///
/// Each query is in a task of the runtime, so a lookup that is dropped, or not polled for a while,
/// holds no connection. A query that all have left has another 200 ms to end before its connection
/// is closed.
///
/// # Poolers, replicas, TLS
/// A connection gets both limits as it is opened, in `options`, and the session query is
/// prepared on it: then a lookup is one message. `PgBouncer` in transaction mode, and whatever else
/// shares the server's connections, refuses such options or passes over them. That is noticed, and
/// from then on each query is sent unprepared in a transaction that sets its limits itself
/// (`BEGIN READ ONLY; SET LOCAL statement_timeout; …`): right behind every pooler, and about three
/// times the work. `pgbouncer=true` in the URL says so from the start; with a pool of the
/// application's own it is always so.
///
/// On a standby that lags behind, a session still belongs to the machine it has just left. With
/// [ownership](PostgresLookupBuilder::ownership), each query also asks whether the server is one
/// (`pg_is_in_recovery`). Then the lookup is `Unavailable`, says so, and the pool's connections are
/// closed, so that the next one leads to where the host name leads by then. Without ownership, a
/// standby may be read.
///
/// Several hosts in the URL are tried one after another, each for
/// [`connect_timeout`](PostgresLookupBuilder::connect_timeout), and the one that answered last goes
/// first. With ownership, a standby is passed over. `target_session_attrs=read-write` (or `primary`,
/// which means the same here) passes over all that take no writes, `read-only` (or `standby`) over all others;
/// `prefer-standby` is an error.
///
/// With the feature `tls`, `sslmode` means what it means to libpq:
///
/// | `sslmode` | TLS | what is checked |
/// | --- | --- | --- |
/// | `disable` | never | |
/// | `allow`, `prefer`; none | if the server offers it | nothing, so an attacker on the way can read all; with `sslrootcert`, the chain |
/// | `require` | always | the same |
/// | `verify-ca` | always | the chain, against `sslrootcert` or the system's roots |
/// | `verify-full` | always | the chain and the name of the server |
/// | none, with `sslrootcert` | always | the chain and the name |
///
/// A failed check is never a reason to go on without TLS. [`root_certificate_pem`](PostgresLookupBuilder::root_certificate_pem)
/// counts as `sslrootcert`; [`tls`](PostgresLookupBuilder::tls) checks what its configuration says. `sslrootcert=system`
/// goes with `verify-full` only, which is then the default. `sslcert` and `sslkey` name the PEM files of a client's
/// certificate and key. Without the feature, `prefer` means no TLS, and what demands TLS is an error in `build`.
///
/// Words of libpq and of other drivers that change nothing here, such as `client_encoding=utf8` or `gssencmode=prefer`,
/// are passed over with one WARN. All others are errors: one could be a misspelt `sslmode`.
///
/// # Errors
/// [`Timeout`](crate::LookupErrorKind::Timeout): a bound was reached, or the server gave up for
/// one of its own. [`Corrupt`](crate::LookupErrorKind::Corrupt): the row cannot be true, or a
/// column is of a type that the query cannot use.
/// [`Unavailable`](crate::LookupErrorKind::Unavailable): everything else; the source is the
/// driver's error.
#[derive(Clone)]
pub struct PostgresLookup {
    inner: Arc<Inner>,
}

impl PostgresLookup {
    /// Begins with a connection string, a `tokio_postgres::Config` or a pool; see
    /// [`PostgresSource`].
    pub fn builder(source: impl Into<PostgresSource>) -> PostgresLookupBuilder {
        PostgresLookupBuilder::new(source.into())
    }

    fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Begins a feed of changes of the same server, by the same means: changes of sessions become visible at
    /// once instead of when their freshness runs out; see [`PostgresFeed`].
    pub fn change_feed(&self) -> PostgresFeedBuilder {
        self.inner.change_feed.clone()
    }

    /// The write side of the same table, over the same connections: who owns a session, and which
    /// machines are there. The lookup has to [keep ownership](PostgresLookupBuilder::ownership).
    pub fn directory(&self) -> Result<PostgresDirectory, PostgresConfigError> {
        PostgresDirectory::of(&self.inner)
    }
}

/// The same as its lookup.
impl SessionLookup for PostgresDirectory {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        let lookup = self.lookup();
        Queue::answer(lookup, &id, lookup.connections.deadline()).await
    }

    fn session_ids(&self) -> SessionIds {
        self.lookup().query.ids().sessions
    }

    fn directory_id(&self) -> Option<DirectoryId> {
        self.lookup().directory_id.get().copied()
    }

    fn spawn(&self, refresh: Refresh) {
        spawn(refresh);
    }

    fn node(&self, new: &Node) -> Node {
        self.lookup().nodes.node(new)
    }
}

impl SessionLookup for PostgresLookup {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        let lookup = &self.inner;
        Queue::answer(lookup, &id, lookup.connections.deadline()).await
    }

    fn session_ids(&self) -> SessionIds {
        self.inner.query.ids().sessions
    }

    /// Known once [`verify`](Self::verify) has asked.
    fn directory_id(&self) -> Option<DirectoryId> {
        self.inner.directory_id.get().copied()
    }

    fn spawn(&self, refresh: Refresh) {
        spawn(refresh);
    }

    fn node(&self, new: &Node) -> Node {
        self.inner.nodes.node(new)
    }
}

/// A request is being served on this thread, and it may be served without tokio. Then the first
/// request that finds the session too old reads it again.
fn spawn(refresh: Refresh) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(refresh));
    }
}

impl fmt::Debug for PostgresLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLookup")
            .field("query", &self.inner.query.one())
            .field("connections", &self.inner.connections)
            .field("queue", &self.inner.queue)
            .finish_non_exhaustive()
    }
}
