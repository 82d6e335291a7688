//! From settings to a lookup: all checks, and no network.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use deadpool_postgres::{Pool, Runtime};
use tokio_postgres::{Config, config::SslMode};

use super::PostgresLookupBuilder;
use crate::directory::nodes::Nodes;
use crate::postgres::{
    Inner, PostgresConfigError, PostgresLookup,
    connection_string::ConnectionString,
    connections::Connections,
    connector::Connector,
    direct::Direct,
    feed::PostgresFeedBuilder,
    hosts::Hosts,
    place::Place,
    query::SessionQuery,
    queue::Queue,
    reserved::Reserved,
    source::Kind,
    sql::Sql,
    statuses::Statuses,
    table::{Table, TableNames},
};

/// Lookups are short and cached; a fleet of machines shares the server's connections.
const MAX_CONNECTIONS: usize = 4;

/// A server, and how to connect to it.
pub(in crate::postgres) struct Server {
    pub(in crate::postgres) config: Config,
    pub(in crate::postgres) hosts: Hosts,
    pub(in crate::postgres) connector: Connector,
    /// Whether a pooler is said to be in between.
    pooled: bool,
}

impl PostgresLookupBuilder {
    /// Makes the lookup. Needs no network and no runtime; a file of root certificates is read.
    pub fn build(mut self) -> Result<PostgresLookup, PostgresConfigError> {
        self.bounds = self.bounds.checked()?;
        check_statuses(&self.statuses)?;
        let ids = self.ids();
        let (query, table, sql) = if let Some(text) = &self.query {
            if self.names != TableNames::default() {
                return Err(PostgresConfigError::Conflict {
                    one: "query",
                    other: "a name of the table",
                    reason: "the query replaces the table",
                });
            }
            let batch = self.batch_query.as_deref();
            (SessionQuery::custom(text, batch, ids)?, None, Sql::new())
        } else if self.batch_query.is_some() {
            return Err(PostgresConfigError::Query {
                reason: "`batch_query` is another form of `query`, and there is none",
            });
        } else {
            let table = Table::parse(&self.names, ids)?;
            let sql = Sql::of(&table, Some(&self.statuses));
            let query = SessionQuery::of_table(&table, &sql);
            (query, Some(table), sql)
        };
        let has_status = table.as_ref().is_none_or(|table| table.status.is_some());
        let statuses = has_status.then(|| self.statuses.clone());
        let change_feed = PostgresFeedBuilder::of(&self, table.clone());
        let max_batches = self.max_batches;
        let connections = self.connections()?;
        let writes = table
            .as_ref()
            .is_some_and(|table| table.ownership.is_some());
        // A slot without a connection would only fail those who queue for it.
        let most = connections.for_lookups(writes);
        let queue = match query.many() {
            Some(_) if max_batches > 0 => Queue::new(max_batches.min(most), usize::MAX),
            _ => Queue::new(most, 1),
        };
        Ok(PostgresLookup::new(Inner {
            queue,
            connections: Arc::new(connections),
            query,
            statuses,
            table,
            sql,
            change_feed,
            nodes: Nodes::default(),
            directory_id: OnceLock::new(),
        }))
    }

    fn connections(self) -> Result<Connections, PostgresConfigError> {
        if let Kind::Pool(pool) = &self.source.0 {
            let pool = pool.clone();
            self.check_foreign_pool()?;
            return Ok(Connections::foreign(pool, self.bounds));
        }
        let max_size = self.max_connections.unwrap_or(MAX_CONNECTIONS);
        let bounds = self.bounds;
        let writes = self.names.ownership.is_some();
        let server = self.server("tower-ownership")?;
        if max_size == 0 {
            return Err(PostgresConfigError::Zero {
                what: "max_connections",
            });
        }
        let direct = Direct::new(bounds.statement(), writes);
        if server.pooled {
            direct.give_up();
        }
        let (hosts, limit) = (server.hosts.clone(), server.hosts.bound());
        let opener = server.connector.opener(hosts, &direct);
        let place = Place::of(&server.config);
        let reserved = Reserved::new(opener, server.config.clone());
        let manager = server
            .connector
            .manager(server.config, server.hosts, &direct);
        let pool = Pool::builder(manager)
            .runtime(Runtime::Tokio1)
            .max_size(max_size)
            .wait_timeout(Some(bounds.pool))
            .create_timeout(Some(limit))
            .build()
            .map_err(PostgresConfigError::Pool)?;
        Ok(Connections::new(pool, reserved, direct, bounds, place))
    }

    /// Where to connect, and through what.
    pub(in crate::postgres) fn server(
        self,
        application: &str,
    ) -> Result<Server, PostgresConfigError> {
        let read = match &self.source.0 {
            Kind::Pool(_) => {
                return Err(PostgresConfigError::Conflict {
                    one: "a pool",
                    other: "a connection outside of it",
                    reason: "a pool does not tell how it connects",
                });
            }
            Kind::Config(config) => ConnectionString {
                config: config.as_ref().clone(),
                ..ConnectionString::default()
            },
            Kind::Text(text) => ConnectionString::parse(text)?,
        };
        if !read.passed_over.is_empty() {
            tracing::warn!(
                target: "tower_ownership",
                "the connection string's {} mean nothing here and are passed over",
                read.passed_over.join(", ")
            );
        }
        let mut config = read.config.clone();
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PostgresConfigError::NoHost);
        }
        watch_the_network(&mut config, self.bounds.connect);
        if config.get_application_name().is_none() {
            config.application_name(application);
        }
        let bound = self.bounds.connect;
        let password = self.password.clone();
        let connector = self.connector(&mut config, &read)?;
        Ok(Server {
            hosts: Hosts::new(&config, bound, password),
            config,
            connector,
            pooled: read.pooled,
        })
    }

    fn check_foreign_pool(&self) -> Result<(), PostgresConfigError> {
        let other = if self.max_connections.is_some() {
            "max_connections"
        } else if self.password.is_some() {
            "a password"
        } else if self.demands_tls() {
            "TLS"
        } else {
            return Ok(());
        };
        Err(PostgresConfigError::Conflict {
            one: "a pool",
            other,
            reason: "the pool brings its own",
        })
    }

    #[cfg(feature = "tls")]
    fn demands_tls(&self) -> bool {
        self.tls.are_given()
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "it has a twin with the feature `tls`")]
    fn demands_tls(&self) -> bool {
        false
    }

    #[cfg(feature = "tls")]
    fn connector(
        self,
        config: &mut Config,
        read: &ConnectionString,
    ) -> Result<Connector, PostgresConfigError> {
        // Who says whom to trust does not mean that it may also go without: an attacker on the
        // way only has to answer that there is no TLS.
        let demanded = self.demands_tls() || read.roots.is_some() || read.certificate.is_some();
        if demanded && read.checks.is_none() && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Require);
        }
        match config.get_ssl_mode() {
            SslMode::Disable => Ok(Connector::Plain),
            mode => self.tls.connector(read, mode == SslMode::Require),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "it has a twin with the feature `tls`")]
    fn connector(
        self,
        config: &mut Config,
        read: &ConnectionString,
    ) -> Result<Connector, PostgresConfigError> {
        let demand = if config.get_ssl_mode() == SslMode::Require {
            "sslmode"
        } else if read.checks.is_none() && read.roots.is_some() {
            "sslrootcert"
        } else if read.checks.is_none() && (read.certificate.is_some() || read.key.is_some()) {
            "sslcert"
        } else {
            return Ok(Connector::Plain);
        };
        Err(PostgresConfigError::TlsNotCompiled { demand })
    }
}

/// Sets what the connection string leaves to the kernel, whose patience is hours.
fn watch_the_network(config: &mut Config, connect: Duration) {
    const KERNEL_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect / 2);
    }
    if config.get_tcp_user_timeout().is_none() {
        // Data that is not acknowledged for so long is lost; lookups timed out long before.
        config.tcp_user_timeout(Duration::from_secs(5));
    }
    if config.get_keepalives_idle() == KERNEL_IDLE {
        // Below the idle limits of the usual network address translators.
        config.keepalives_idle(Duration::from_secs(30));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(5));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
}

fn check_statuses(statuses: &Statuses) -> Result<(), PostgresConfigError> {
    let contradiction = |status: &str, reason| {
        Err(PostgresConfigError::Statuses {
            status: status.to_owned(),
            reason,
        })
    };
    if statuses.active.is_empty() {
        return contradiction("", "none means active, so nothing could be served");
    }
    let over = statuses.over.iter().flatten();
    for status in statuses.starting.iter().chain(over) {
        let meanings = [&statuses.active, &statuses.starting]
            .into_iter()
            .chain(&statuses.over)
            .filter(|words| words.contains(status));
        if meanings.count() > 1 {
            return contradiction(status, "it has two meanings");
        }
    }
    Ok(())
}
