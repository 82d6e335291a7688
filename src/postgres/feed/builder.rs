//! How a feed of PostgreSQL is set up.

use std::{fmt, time::Duration};

use super::{PostgresFeed, channel::Channel, wire::Endpoint};
use crate::{
    CacheHandle, Feed, FeedBuildError,
    postgres::{
        PostgresConfigError, PostgresIdType, PostgresLookupBuilder, PostgresSource,
        change_log::read_function,
        id::Ids,
        identifier::Identifier,
        migration::{is_installed, migration},
        place::Place,
        table::Table,
    },
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes a [`PostgresFeed`]. Everything is checked in [`build`](Self::build).
#[derive(Clone)]
#[must_use = "a builder does nothing before `build` or `start`"]
pub struct PostgresFeedBuilder {
    /// Knows how to connect; nothing else of it is used.
    server: PostgresLookupBuilder,
    ids: Ids,
    table: Option<Table>,
    channel: String,
    answer_timeout: Duration,
    connect_timeout: Duration,
    send_timeout: Option<Duration>,
    look_interval: Duration,
}

impl PostgresFeedBuilder {
    pub(in crate::postgres) fn new(source: PostgresSource) -> Self {
        let ids = Ids::new(PostgresIdType::Text, None);
        Self::with(PostgresLookupBuilder::new(source), ids, None)
    }

    /// A feed of the server that a lookup asks.
    pub(in crate::postgres) fn of(lookup: &PostgresLookupBuilder, table: Option<Table>) -> Self {
        Self::with(lookup.same_server(), lookup.ids(), table)
    }

    fn with(server: PostgresLookupBuilder, ids: Ids, table: Option<Table>) -> Self {
        Self {
            server,
            ids,
            table,
            channel: PostgresFeed::DEFAULT_CHANNEL.to_owned(),
            answer_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            send_timeout: Some(Duration::from_secs(30)),
            look_interval: Duration::from_secs(30),
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
    /// [`tower_ownership`](PostgresFeed::DEFAULT_CHANNEL). Lookups of several tables may share
    /// it: a session that a cache does not know is easily forgotten.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// How long a statement may take on an open connection before that is given up. Default: 2 s.
    pub fn answer_timeout(mut self, bound: Duration) -> Self {
        self.answer_timeout = bound;
        self
    }

    /// How often the feed looks whether the table still has a trigger that notifies the channel.
    /// Default: 30 s.
    pub fn check_triggers_every(mut self, interval: Duration) -> Self {
        self.look_interval = interval;
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
    /// [`PostgresFeed`](PostgresFeed#the-triggers). Apply it in one transaction, as the owner of
    /// the table, which the application often is not:
    ///
    /// ```no_run
    /// # async fn migrate(lookup: tower_ownership::PostgresLookup, client: tokio_postgres::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// client.batch_execute("SET lock_timeout = '5s'").await?;
    /// client.batch_execute(&lookup.change_feed().migration()?).await?;
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
                     `change_feed` of a lookup that has one",
        })?;
        Ok(migration(table, &self.parsed_channel()?))
    }

    /// Makes the feed. An error means that no attempt to connect could ever succeed.
    pub fn build(self) -> Result<PostgresFeed, PostgresConfigError> {
        for (what, bound) in [
            ("answer_timeout", self.answer_timeout),
            ("connect_timeout", self.connect_timeout),
            ("check_triggers_every", self.look_interval),
        ] {
            if bound.is_zero() {
                return Err(PostgresConfigError::Zero { what });
            }
        }
        let channel = self.parsed_channel()?;
        let is_installed = self
            .table
            .as_ref()
            .map(|table| is_installed(table, &channel).into());
        let reads = self
            .table
            .as_ref()
            .map(|table| format!("SELECT {}($1, $2, $3)", read_function(table)).into());
        let server = self.server.connect_timeout(self.connect_timeout);
        let server = server.server("tower-ownership feed")?;
        Ok(PostgresFeed {
            endpoint: Endpoint {
                place: Place::of(&server.config),
                hosts: server.hosts,
                connector: server.connector,
            },
            channel: Channel {
                name: channel,
                ids: self.ids,
            },
            answer_timeout: self.answer_timeout.min(DAY),
            send_timeout: self.send_timeout,
            is_installed,
            reads,
            look_interval: self.look_interval.min(DAY),
        })
    }

    /// Makes the feed and follows it for a layer's [cache](crate::OwnershipLayer::cache), with the
    /// defaults of [`Feed::builder`].
    ///
    /// Returns at once; the task it spawns connects, and goes on trying. It needs a tokio runtime
    /// with its clock and its network enabled.
    pub fn start(self, cache: CacheHandle) -> Result<Feed, PostgresConfigError> {
        let feed = Feed::builder(self.build()?).start(cache);
        feed.map_err(|error| match error {
            FeedBuildError::Zero { what } => PostgresConfigError::Zero { what },
            FeedBuildError::NoRuntime => PostgresConfigError::NoRuntime,
        })
    }

    fn parsed_channel(&self) -> Result<Identifier, PostgresConfigError> {
        Identifier::parse("channel", &self.channel)
    }
}

impl fmt::Debug for PostgresFeedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeedBuilder")
            .field("server", &self.server)
            .field("channel", &self.channel)
            .field("answer_timeout", &self.answer_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("send_timeout", &self.send_timeout)
            .field("check_triggers_every", &self.look_interval)
            .finish_non_exhaustive()
    }
}
