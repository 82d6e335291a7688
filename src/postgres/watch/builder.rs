//! What a watch can be told.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    PostgresWatch, WatchHealth,
    health::{OnChange, Status},
    task::{Ears, Task},
    wire::Endpoint,
};
use crate::{
    CacheHandle,
    postgres::{
        PostgresConfigError, PostgresLookupBuilder, PostgresSource,
        identifier::Identifier,
        migration::{is_installed, migration},
        table::Table,
    },
};

/// Makes a [`PostgresWatch`]. Everything is checked in [`start`](Self::start).
#[derive(Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct PostgresWatchBuilder {
    /// Knows how to connect; nothing else of it is used.
    server: PostgresLookupBuilder,
    table: Option<Table>,
    channel: String,
    heartbeat: Duration,
    deadline: Duration,
    connect_timeout: Duration,
    send_timeout: Option<Duration>,
    caches: Vec<CacheHandle>,
    on_change: Option<Arc<OnChange>>,
}

impl PostgresWatchBuilder {
    pub(in crate::postgres) fn new(source: PostgresSource) -> Self {
        Self::with(PostgresLookupBuilder::new(source), None)
    }

    /// A watch of the server that a lookup asks.
    pub(in crate::postgres) fn of(lookup: &PostgresLookupBuilder, table: Option<Table>) -> Self {
        Self::with(lookup.same_server(), table)
    }

    fn with(server: PostgresLookupBuilder, table: Option<Table>) -> Self {
        Self {
            server,
            table,
            channel: PostgresWatch::DEFAULT_CHANNEL.to_owned(),
            heartbeat: Duration::from_secs(5),
            deadline: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            send_timeout: Some(Duration::from_secs(30)),
            caches: Vec::new(),
            on_change: None,
        }
    }

    /// Connects to this server instead of the lookup's: for lookups that go through a pooler, or
    /// whose connections come from a pool of the application's. TLS is set up as for the lookup,
    /// unless the connection string says otherwise.
    pub fn direct(mut self, source: impl Into<PostgresSource>) -> Self {
        self.server = self.server.other_server(source.into());
        self
    }

    /// The channel to listen on, and to write into the [`migration`](Self::migration). Default:
    /// [`tower_ownership`](PostgresWatch::DEFAULT_CHANNEL). Lookups of several tables may share
    /// it: a session that a cache does not know is easily forgotten.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// For how long nothing may be heard before the watch notifies itself. Default: 5 s; at most
    /// a day.
    pub fn heartbeat(mut self, silence: Duration) -> Self {
        self.heartbeat = silence;
        self
    }

    /// How long a heartbeat, or any other question on an open connection, may go unanswered before
    /// the connection is given up. Default: 2 s; at most a day.
    pub fn heartbeat_deadline(mut self, bound: Duration) -> Self {
        self.deadline = bound;
        self
    }

    /// How long a new connection may take, from the name's resolution to authentication. Default:
    /// 2 s.
    pub fn connect_timeout(mut self, bound: Duration) -> Self {
        self.connect_timeout = bound;
        self
    }

    /// How long the server waits for this process to take notifications before it closes the
    /// connection (its `tcp_user_timeout`). Default: 30 s; `None`: as the server is configured, which
    /// is usually without an end. Without it a process that is stopped while it listens holds back
    /// VACUUM and the notification queue of the server for as long as it is stopped.
    pub fn send_timeout(mut self, bound: impl Into<Option<Duration>>) -> Self {
        self.send_timeout = bound.into();
        self
    }

    /// One more cache to keep true, beside the one that [`start`](Self::start) is given: for a
    /// process with several layers.
    pub fn also(mut self, cache: CacheHandle) -> Self {
        self.caches.push(cache);
        self
    }

    /// Who is told of every change of [state](super::WatchState), beside the event; nobody by
    /// default. Called by the watch's own task, so it must not wait.
    pub fn on_change(mut self, told: impl Fn(&WatchHealth) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(told));
        self
    }

    /// Connects by TLS with this configuration; see
    /// [`PostgresLookupBuilder::tls`](crate::PostgresLookupBuilder::tls).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: rustls::ClientConfig) -> Self {
        self.server = self.server.tls(config);
        self
    }

    /// Trusts these root certificates; see
    /// [`PostgresLookupBuilder::root_certificate_pem`](crate::PostgresLookupBuilder::root_certificate_pem).
    #[cfg(feature = "tls")]
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.server = self.server.root_certificate_pem(pem);
        self
    }

    /// The SQL that makes the lookup's table notify this channel.
    ///
    /// It creates a function and three triggers, or replaces them; see
    /// [`PostgresWatch`](PostgresWatch#the-triggers). Apply it in one transaction, as the owner of
    /// the table, which the application often is not:
    ///
    /// ```no_run
    /// # async fn migrate(lookup: tower_ownership::PostgresLookup, client: tokio_postgres::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// client.batch_execute("SET lock_timeout = '5s'").await?;
    /// client.batch_execute(&lookup.watch().migration()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With a [query](crate::PostgresLookupBuilder::query) of the application's own no table is
    /// known. What its triggers have to send is `'1 '` and the session's id, or `'1 *'` for all of
    /// them.
    pub fn migration(&self) -> Result<String, PostgresConfigError> {
        let table = self.table.as_ref().ok_or(PostgresConfigError::NoTable {
            reason: "a query of one's own, or a connection string, names no table; begin with the \
                     `watch` of a lookup that has one",
        })?;
        Ok(migration(table, &self.parsed_channel()?))
    }

    /// Starts the watch for a layer's [cache](crate::OwnershipLayer::cache).
    ///
    /// Returns at once; the task it spawns connects, and goes on trying. It needs a tokio runtime
    /// with its clock and its network enabled. An error means that no attempt could ever succeed.
    pub fn start(mut self, cache: CacheHandle) -> Result<PostgresWatch, PostgresConfigError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);

        for (what, bound) in [
            ("heartbeat", self.heartbeat),
            ("heartbeat_deadline", self.deadline),
            ("connect_timeout", self.connect_timeout),
        ] {
            if bound.is_zero() {
                return Err(PostgresConfigError::Zero { what });
            }
        }
        let channel = self.parsed_channel()?;
        let is_installed = self
            .table
            .as_ref()
            .map(|table| is_installed(table, &channel));
        let server = self.server.connect_timeout(self.connect_timeout);
        let server = server.server("tower-ownership watch")?;
        let runtime = Handle::try_current().map_err(|_| PostgresConfigError::NoRuntime)?;
        self.caches.push(cache);
        let status = Arc::new(Status::new(self.on_change));
        let (stop, stopped) = oneshot::channel();
        let task = Task {
            endpoint: Endpoint {
                hosts: server.hosts,
                connector: server.connector,
            },
            ears: Ears {
                channel,
                caches: self.caches,
                status: Arc::clone(&status),
            },
            heartbeat: self.heartbeat.min(DAY),
            deadline: self.deadline.min(DAY),
            send_timeout: self.send_timeout,
            is_installed,
        };
        Ok(PostgresWatch {
            status,
            _stop: stop,
            task: runtime.spawn(task.run(stopped)),
        })
    }

    fn parsed_channel(&self) -> Result<Identifier, PostgresConfigError> {
        Identifier::parse("channel", &self.channel)
    }
}

impl fmt::Debug for PostgresWatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWatchBuilder")
            .field("server", &self.server)
            .field("channel", &self.channel)
            .field("heartbeat", &self.heartbeat)
            .field("heartbeat_deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
