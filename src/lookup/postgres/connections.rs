//! The pool, and one bounded question to it.

use std::{fmt, time::Instant};

use deadpool_postgres::Pool;
use tokio::time::timeout;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::LookupError;

use super::{
    bounds::Bounds,
    failure::{Failure, connect_error},
    lease::Lease,
};

/// A value and the type it is sent as: without types the driver would have to prepare statements,
/// which a pooler in transaction mode loses.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) struct Connections {
    pool: Pool,
    /// Whether the application made the pool, with bounds of its own or none.
    is_foreign: bool,
    bounds: Bounds,
}

impl Connections {
    /// A pool of ours, which keeps the bounds.
    pub(super) fn new(pool: Pool, bounds: Bounds) -> Self {
        Self {
            pool,
            is_foreign: false,
            bounds,
        }
    }

    /// A pool that the application made.
    pub(super) fn foreign(pool: Pool, bounds: Bounds) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(pool, bounds)
        }
    }

    /// Asks, within the overall bound.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LookupError> {
        match timeout(self.bounds.overall, self.attempt(sql, parameters)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(LookupError::timeout(
                "PostgreSQL did not answer within the lookup's time limit",
            )
            .with_source(elapsed)),
        }
    }

    /// Asks, and asks once more if all that failed was a connection that had been lying idle: a
    /// restarted server then costs nobody an error. The failure of a fresh connection is the
    /// server's, and a second attempt would only double its load.
    async fn attempt(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LookupError> {
        let began = Instant::now();
        // The server is told of it, so the overall bound has to be in it.
        let limit = self.bounds.query.min(self.bounds.overall);
        let lease = self.lease().await?;
        let was_idle = lease.was_idle();
        match lease.query(sql, parameters, limit).await {
            Err(failure) if was_idle && failure.is_stale() => {
                // What was opened before is likely to have died with it.
                drop(self.pool.retain(|_, metrics| metrics.created > began));
                let lease = self.lease().await?;
                lease.query(sql, parameters, limit).await
            }
            answer => answer,
        }
        .map_err(Failure::into_lookup_error)
    }

    async fn lease(&self) -> Result<Lease, LookupError> {
        let object = if self.is_foreign {
            // A pool that the application made may have no bounds, nor a runtime to keep them by.
            let limit = self.bounds.pool + self.bounds.connect;
            timeout(limit, self.pool.get()).await.map_err(|elapsed| {
                LookupError::timeout("the pool gave no connection to PostgreSQL in time")
                    .with_source(elapsed)
            })?
        } else {
            self.pool.get().await
        };
        object.map(Lease::new).map_err(connect_error)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's own form would show the connection's options, where people also put secrets.
        f.debug_struct("Connections")
            .field("pool", &self.pool.status())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
