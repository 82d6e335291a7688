//! What a lookup connects with.

use std::fmt;

use deadpool_postgres::Pool;
use tokio_postgres::Config;

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
