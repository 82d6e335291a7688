//! The builder: what it can be told. What becomes of it is in `build`.

use std::{error::Error, time::Duration};

#[cfg(feature = "tls")]
use super::tls::TlsSettings;
use crate::SessionIds;

use super::{
    bounds::Bounds,
    id::{Ids, PostgresIdType},
    password::Password,
    source::PostgresSource,
    statuses::Statuses,
    table::{PostgresColumns, TableNames},
};

mod build;
mod ownership;

/// While one query is at the server, the answers of another are read.
const MAX_BATCHES: usize = 2;

/// Makes a [`PostgresLookup`](super::PostgresLookup). Everything is checked in
/// [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct PostgresLookupBuilder {
    source: PostgresSource,
    names: TableNames,
    query: Option<String>,
    batch_query: Option<String>,
    id_type: PostgresIdType,
    session_ids: Option<SessionIds>,
    statuses: Statuses,
    bounds: Bounds,
    max_connections: Option<usize>,
    max_batches: usize,
    password: Option<Password>,
    #[cfg(feature = "tls")]
    tls: TlsSettings,
}

impl PostgresLookupBuilder {
    pub(super) fn new(source: PostgresSource) -> Self {
        Self {
            source,
            names: TableNames::default(),
            query: None,
            batch_query: None,
            id_type: PostgresIdType::default(),
            session_ids: None,
            statuses: Statuses::default(),
            bounds: Bounds::default(),
            max_connections: None,
            max_batches: MAX_BATCHES,
            password: None,
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
        }
    }

    pub(super) fn ids(&self) -> Ids {
        Ids::new(self.id_type, self.session_ids)
    }

    /// The same server by the same means, and no other setting.
    pub(super) fn same_server(&self) -> Self {
        Self {
            password: self.password.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            ..Self::new(self.source.clone())
        }
    }

    /// Another server by the same means.
    pub(super) fn other_server(mut self, source: PostgresSource) -> Self {
        self.source = source;
        self
    }

    /// The schema of the table. Default: none, so the connection's `search_path` decides.
    ///
    /// This and all other names are quoted: upper and lower case differ, nothing in a name is
    /// read as SQL, and a dot is part of the name.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.names.schema = Some(schema.into());
        self
    }

    /// The table or view. Default: `preview_sessions`.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.names.table = table.into();
        self
    }

    /// What the columns are called, and which there are. A second call replaces the first.
    pub fn columns(mut self, columns: PostgresColumns) -> Self {
        self.names.columns = columns;
        self
    }

    /// The type of the id's column, and in a custom query that of `$1`. Default: `uuid`.
    pub fn id_type(mut self, column: PostgresIdType) -> Self {
        self.id_type = column;
        self
    }

    /// Which ids the sessions can have: a request for another one is refused without a lookup. Default:
    /// all that the [column](Self::id_type) can hold. With [`SessionIds::uuid`], a column of text
    /// has to hold UUIDs hyphenated and in lower case; clients may write them otherwise.
    pub fn session_ids(mut self, ids: SessionIds) -> Self {
        self.session_ids = Some(ids);
        self
    }

    /// Further columns, which come along as the session's
    /// [attributes](crate::Session::attributes): JSON, by column name, as `to_jsonb` writes it.
    /// Default: none. A second call replaces the first.
    ///
    /// Every lookup reads them, and they are cached with the session, within
    /// [`max_attribute_bytes`](crate::CachePolicy::max_attribute_bytes): name small columns.
    pub fn attributes<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.names.attributes = strings(columns);
        self
    }

    /// Columns that a row needs when a machine [creates](crate::SessionDirectory::create) a session, beside
    /// those that the crate writes: above all those that must not be NULL and have no default. Their
    /// values are those of the new session's attributes, by column name, as `jsonb_populate_record`
    /// reads them. Columns named in [`attributes`](Self::attributes) are filled so, too. One that the
    /// session brings no value for gets its default. Default: none. A second call replaces the first.
    pub fn insert_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.names.insert_columns = strings(columns);
        self
    }

    /// The statuses that mean active, compared exactly. Default: `active`.
    pub fn active_statuses<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.statuses.active = strings(words);
        self
    }

    /// The statuses that mean that asking again soon makes sense. Default: `creating`,
    /// `starting`, `pending`, `provisioning`.
    pub fn starting_statuses<S: Into<String>>(
        mut self,
        words: impl IntoIterator<Item = S>,
    ) -> Self {
        self.statuses.starting = strings(words);
        self
    }

    /// The statuses that mean over. Default: every status that is neither active nor starting.
    ///
    /// With a list, a status that is in none of the three is corrupt (502) instead of over (410):
    /// so that a new status is noticed, and clients do not forget their sessions.
    pub fn over_statuses<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.statuses.over = Some(strings(words));
        self
    }

    /// A query in place of the table: what it returns is the session.
    ///
    /// It is one `SELECT` (or `WITH … SELECT`, or a call of a function that returns rows) in
    /// which `$1` is the session's id, a `uuid`. It becomes a subquery in a transaction that can
    /// only read.
    /// Columns count by name:
    ///
    /// | column | holds | without it, or NULL |
    /// | --- | --- | --- |
    /// | `owner` | the machine id: text, `uuid` or a number | must be there; NULL: no owner |
    /// | `status` | text or an enum | must be there; NULL is corrupt |
    /// | `address` | the owner's URL: text | unknown |
    /// | `remaining_seconds` | a number; 0 or less: over | no end |
    /// | `epoch` | a whole number from 0 up | no fencing token |
    /// | `attributes` | a JSON object | none |
    /// | `released` | a whole number from 0 up: the epoch that a proven release made | no proof |
    /// | `presence` | text: `alive`, `draining`, `lost`, `never-seen` or `unknown` | unknown |
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_ownership::PostgresLookup;
    /// let lookup = PostgresLookup::builder("postgres://app@db.internal/app")
    ///     .query(
    ///         "SELECT machines.name AS owner, sessions.state AS status,
    ///                 extract(epoch FROM sessions.deadline - now()) AS remaining_seconds,
    ///                 jsonb_build_object('user_id', sessions.user_id) AS attributes
    ///          FROM sessions LEFT JOIN machines ON machines.id = sessions.machine
    ///          WHERE sessions.id = $1",
    ///     )
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`verify`](super::PostgresLookup::verify) checks names and types.
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.query = Some(query.into());
        self
    }

    /// The [`query`](Self::query) for many sessions: `$1` is an array of ids, a `uuid[]`, or
    /// an array of another [`id_type`](Self::id_type), and each row says in its column `id` whose
    /// it is. Default: none, and then each lookup is a query of its own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_ownership::PostgresLookup;
    /// let lookup = PostgresLookup::builder("postgres://app@db.internal/app")
    ///     .query("SELECT machine AS owner, state AS status FROM sessions WHERE id = $1")
    ///     .batch_query(
    ///         "SELECT id, machine AS owner, state AS status FROM sessions WHERE id = ANY($1)",
    ///     )
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_query(mut self, query: impl Into<String>) -> Self {
        self.batch_query = Some(query.into());
        self
    }

    /// How many queries may be on their way at once before lookups queue and go out together.
    /// Default: 2, or as many as there may be connections, if these are fewer. 0: lookups never
    /// go out together, and each waits for a connection of its own.
    pub fn max_batches(mut self, batches: usize) -> Self {
        self.max_batches = batches;
        self
    }

    /// How many connections this process may hold. Default: 4, which is good for thousands of
    /// lookups a second, and the layer's cache asks far less often. With
    /// [ownership](Self::ownership), lookups and writes get one half each, so two is the least with
    /// which slow writes hold up no lookup, and the heartbeat opens one more. Times the machines of
    /// the fleet, they have to fit into the server's `max_connections`. A pool of the application's
    /// own loses one connection to the heartbeat, and may open another in its place.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// How long a lookup waits for a connection of the pool. Default: 300 ms.
    pub fn pool_timeout(mut self, bound: Duration) -> Self {
        self.bounds.pool = bound;
        self
    }

    /// How long a new connection may take, from the name's resolution to authentication, with each
    /// host of the connection string. Default: 700 ms. One of the addresses that a name resolves to gets half of it, so that a dead one
    /// leaves time for the next, unless the connection string sets `connect_timeout`.
    pub fn connect_timeout(mut self, bound: Duration) -> Self {
        self.bounds.connect = bound;
        self
    }

    /// How long the query may take. Default: 800 ms. The server gives it up after nine tenths of
    /// that, whatever `statement_timeout` says elsewhere.
    pub fn query_timeout(mut self, bound: Duration) -> Self {
        self.bounds.query = bound;
        self
    }

    /// How long a lookup may take in all, a second attempt included. Default: 1.8 s; below the
    /// layer's own bound of 2 s, so that the error can say which step was slow. This bound and
    /// those of the steps are cut to a day.
    pub fn timeout(mut self, bound: Duration) -> Self {
        self.bounds.overall = bound;
        self
    }

    /// Asks for the password at each new connection, also at those of the feed and of the heartbeat: for
    /// tokens that are valid for minutes (RDS IAM, Microsoft Entra) and passwords that are rotated. Default: the
    /// connection string's.
    ///
    /// Connections that are open stay open. The answer is waited for within
    /// [`connect_timeout`](Self::connect_timeout), so a provider that asks a server keeps what it got for as long
    /// as that is valid. An error of it is in the chain of the lookup's error, and is asked for again with the
    /// next connection. A pool of the application's brings its own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_ownership::PostgresLookup;
    /// # async fn token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let lookup = PostgresLookup::builder("postgres://app@db.internal/app?sslmode=verify-full")
    ///     .password(|| async { token().await })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn password<F, P, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.password = Some(Password::new(provider));
        self
    }

    /// Connects by TLS with this configuration, and only by TLS, unless the connection string's
    /// `sslmode` says otherwise. Default: rustls with *ring* and the system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: rustls::ClientConfig) -> Self {
        self.tls.config = Some(config);
        self
    }

    /// Trusts these root certificates (PEM, one or more) in place of the system's, and connects
    /// only by TLS, unless the connection string's `sslmode` says otherwise. A second call adds
    /// to the first.
    #[cfg(feature = "tls")]
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.tls.root_certificates.extend_from_slice(pem);
        self.tls.root_certificates.push(b'\n');
        self
    }

    /// Shows the server this certificate (PEM, with what vouches for it) and proves that it has its key (PEM,
    /// without a passphrase), in place of `sslcert` and `sslkey`; and connects only by TLS, unless the
    /// connection string's `sslmode` says otherwise.
    #[cfg(feature = "tls")]
    pub fn client_certificate_pem(mut self, certificate: &[u8], key: &[u8]) -> Self {
        self.tls.client_certificate = Some((certificate.to_owned(), key.to_owned()));
        self
    }
}

fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}
