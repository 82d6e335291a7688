//! The pool, and one bounded question to it.

use std::{fmt, time::Instant};

use deadpool_postgres::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::LookupError;

use super::{
    bounds::Bounds,
    connector::Connector,
    failure::{Failure, connect_error},
    lease::Lease,
};

/// A value and the type it is sent as: without types the driver would have to prepare statements,
/// which a pooler in transaction mode loses.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) struct Connections {
    pool: Pool,
    /// `None` for a pool that the application made: how it connects is not told.
    connector: Option<Connector>,
    bounds: Bounds,
}

impl Connections {
    pub(super) fn new(pool: Pool, connector: Option<Connector>, bounds: Bounds) -> Self {
        Self {
            pool,
            connector,
            bounds,
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
        let lease = self.lease().await?;
        let was_idle = lease.was_idle();
        match lease.query(sql, parameters, self.bounds.query).await {
            Err(failure) if was_idle && failure.is_stale() => {
                // What was opened before is likely to have died with it.
                drop(self.pool.retain(|_, metrics| metrics.created > began));
                let lease = self.lease().await?;
                lease.query(sql, parameters, self.bounds.query).await
            }
            answer => answer,
        }
        .map_err(Failure::into_lookup_error)
    }

    async fn lease(&self) -> Result<Lease, LookupError> {
        let object: Object = if self.connector.is_some() {
            self.pool.get().await
        } else {
            // A pool that the application made may have no bounds, nor a runtime to keep them by.
            let limit = self.bounds.pool + self.bounds.connect;
            timeout(limit, self.pool.get()).await.map_err(|elapsed| {
                LookupError::timeout("the pool gave no connection to PostgreSQL in time")
                    .with_source(elapsed)
            })?
        }
        .map_err(connect_error)?;
        let connector = self.connector.clone();
        Ok(Lease::new(object, connector, self.bounds.connect))
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
