//! What is wrong with a builder's input.

use std::path::PathBuf;

/// Why [`build`](super::PostgresLookupBuilder::build) refused. Nothing of it shows a password.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PostgresConfigError {
    /// The connection string cannot be read.
    #[error("the PostgreSQL connection string cannot be read")]
    ConnectionString(#[source] tokio_postgres::Error),
    /// The connection string is the URL of another kind of server.
    #[error("a URL of {scheme}:// is none of PostgreSQL: it begins with postgres://")]
    NotPostgres {
        /// What it begins with.
        scheme: String,
    },
    /// The connection string names no server.
    #[error("the PostgreSQL connection string names no host")]
    NoHost,
    /// A name cannot be that of a schema, table or column.
    #[error("{what} {name:?} cannot be used: {reason}")]
    Identifier {
        /// Which name.
        what: &'static str,
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The list of columns cannot be read.
    #[error("the columns cannot be read: {reason}")]
    Columns {
        /// Why not.
        reason: String,
    },
    /// The custom query cannot be a session query.
    #[error("the session query cannot be used: {reason}")]
    Query {
        /// Why not.
        reason: &'static str,
    },
    /// The same word is in two lists of statuses, or the list of active ones is empty.
    #[error("the statuses contradict each other: {reason} ({status:?})")]
    Statuses {
        /// The word, or nothing.
        status: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two settings cannot both hold.
    #[error("{one} and {other} cannot both be set: {reason}")]
    Conflict {
        /// A setting.
        one: &'static str,
        /// The other one.
        other: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A number or a duration is zero, with which nothing could ever succeed.
    #[error("{what} is zero")]
    Zero {
        /// Which setting.
        what: &'static str,
    },
    /// The connection has to use TLS, and this build of the crate cannot.
    #[error(
        "the connection demands TLS ({demand}), which needs the feature `tls` of tower-ownership"
    )]
    TlsNotCompiled {
        /// What demands it.
        demand: &'static str,
    },
    /// A file of certificates, or of a key, cannot be read.
    #[error("the file {} of `sslrootcert`, `sslcert` or `sslkey` cannot be read", .path.display())]
    CertificateFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What was given as root certificates holds none that can be used.
    #[error("no usable root certificate: {reason}")]
    RootCertificates {
        /// What is wrong with it.
        reason: String,
    },
    /// The client's certificate cannot be used.
    #[error("the client certificate cannot be used: {reason}")]
    ClientCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS settings contradict each other.
    #[cfg(feature = "tls")]
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The table that the triggers belong to is not known.
    #[error("no migration can be written: {reason}")]
    NoTable {
        /// Why not.
        reason: &'static str,
    },
    /// The lookup does not keep ownership, so there is nothing to write.
    #[error("the lookup does not keep ownership: call `ownership()` on its builder")]
    NoOwnership,
    /// A feed was started outside of a runtime.
    #[error("a feed runs on tokio: start it from inside a tokio runtime")]
    NoRuntime,
    /// The pool cannot be built.
    #[error("the pool of PostgreSQL connections cannot be built")]
    Pool(#[source] deadpool_postgres::BuildError),
}

crate::observe::debug_as_chain!(PostgresConfigError);
