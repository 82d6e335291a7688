//! What a lookup connects with.

use std::fmt;

use deadpool_postgres::Pool;
use tokio_postgres::Config;
#[cfg(feature = "doctor")]
use tokio_postgres::config::Host;

#[cfg(feature = "doctor")]
use super::connection_string::ConnectionString;

/// Where [`PostgresLookup::builder`](super::PostgresLookup::builder) gets its connections from.
///
/// Made from
/// - a connection string (`&str`, `String`): a URL (`postgres://…`) or `key=value` words, as for
///   libpq; it is read in [`build`](super::PostgresLookupBuilder::build);
/// - a `tokio_postgres::Config`;
/// - a `deadpool_postgres::Pool` that the application has already. It brings its own size and
///   TLS; waiting for one of its connections is bounded by the sum of
///   [`pool_timeout`](super::PostgresLookupBuilder::pool_timeout) and
///   [`connect_timeout`](super::PostgresLookupBuilder::connect_timeout).
#[derive(Clone)]
pub struct PostgresSource(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Text(String),
    Config(Box<Config>),
    Pool(Pool),
}

#[cfg(feature = "doctor")]
impl PostgresSource {
    /// The names of the servers; of a pool they are not known.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let config = match &self.0 {
            Kind::Text(text) => ConnectionString::parse(text).ok().map(|read| read.config),
            Kind::Config(config) => Some(config.as_ref().clone()),
            Kind::Pool(_) => None,
        };
        let hosts = config.iter().flat_map(Config::get_hosts);
        hosts
            .filter_map(|host| match host {
                Host::Tcp(name) => Some(name.clone()),
                #[cfg(unix)]
                Host::Unix(_) => None,
            })
            .collect()
    }
}

impl fmt::Debug for PostgresSource {
    /// Shows no connection string, because of the password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Text(_) => "PostgresSource(connection string)",
            Kind::Config(_) => "PostgresSource(Config)",
            Kind::Pool(_) => "PostgresSource(Pool)",
        })
    }
}

impl From<&str> for PostgresSource {
    fn from(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }
}

impl From<String> for PostgresSource {
    fn from(text: String) -> Self {
        Self(Kind::Text(text))
    }
}

impl From<&String> for PostgresSource {
    fn from(text: &String) -> Self {
        Self(Kind::Text(text.clone()))
    }
}

impl From<Config> for PostgresSource {
    fn from(config: Config) -> Self {
        Self(Kind::Config(Box::new(config)))
    }
}

impl From<Pool> for PostgresSource {
    fn from(pool: Pool) -> Self {
        Self(Kind::Pool(pool))
    }
}
