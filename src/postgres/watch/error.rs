//! Why nothing is heard.

use std::{error::Error, sync::Arc};

/// What a driver's error is to us: something to show.
pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// Why a watch does not listen.
///
/// It tries again in every case, with waits of up to 5 s in between.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// No connection could be opened.
    #[error("no connection to PostgreSQL could be opened")]
    Connect(#[source] Cause),
    /// The server's certificate is not trusted, or is for another host.
    #[error(
        "PostgreSQL's certificate was refused: is it trusted (`sslrootcert`), and for this host?"
    )]
    Certificate(#[source] Cause),
    /// No connection was ready within
    /// [`connect_timeout`](super::PostgresWatchBuilder::connect_timeout).
    #[error("PostgreSQL did not accept a connection in time")]
    ConnectTimeout,
    /// The server refused to let us listen; a standby does, for one.
    #[error("PostgreSQL does not let us LISTEN")]
    Refused(#[source] Cause),
    /// The connection ended.
    #[error("the connection to PostgreSQL was lost")]
    Lost(#[source] Option<Cause>),
    /// The connection is open, and nothing came over it in time: half-open, or a frozen server.
    #[error("PostgreSQL was not heard in time; the connection may be half-open")]
    Silent,
    /// The server answers, and does not deliver notifications.
    #[error(
        "PostgreSQL accepts LISTEN, but no notification arrives: this is a pooler in transaction \
         mode; give the watch the direct URL of the server"
    )]
    Undelivered,
}

impl WatchError {
    pub(super) fn lost(cause: tokio_postgres::Error) -> Self {
        Self::Lost(Some(Arc::new(cause)))
    }
}

crate::observe::debug_as_chain!(WatchError);
