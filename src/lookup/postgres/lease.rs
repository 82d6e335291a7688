//! One connection, taken from the pool for one query.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::Row;

use super::{connections::Parameter, connector::Connector, failure::Failure};

/// A connection that goes back into the pool only when its query has been answered.
///
/// A connection whose answer is still outstanding would make the next lookup wait for it, and
/// the one after that. So whatever ends the wait early (our bound, or the layer dropping the
/// future at any await) drops the lease with the connection in it.
pub(super) struct Lease {
    object: Option<Object>,
    connector: Option<Connector>,
    cancel_timeout: Duration,
}

impl Lease {
    pub(super) fn new(
        object: Object,
        connector: Option<Connector>,
        cancel_timeout: Duration,
    ) -> Self {
        Self {
            object: Some(object),
            connector,
            cancel_timeout,
        }
    }

    /// Whether the connection was opened for an earlier query.
    pub(super) fn was_idle(&self) -> bool {
        let recycled = |object| Object::metrics(object).recycled.is_some();
        self.object.as_ref().is_some_and(recycled)
    }

    pub(super) async fn query(
        mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.object else {
            return Err(Failure::Slow);
        };
        match timeout(limit, client.query_typed(sql, parameters)).await {
            Err(_) => Err(Failure::Slow),
            Ok(Ok(rows)) => {
                drop(self.object.take());
                Ok(rows)
            }
            Ok(Err(error)) => {
                let failure = Failure::Server(error);
                let object = self.object.take();
                if failure.spares_the_connection() {
                    drop(object);
                } else {
                    drop(Unpooled(object));
                }
                Err(failure)
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        let unpooled = Unpooled(Some(object));
        // Closing the socket does not end a query that waits for a lock: its backend would stay,
        // and with a new connection for every lookup the server would soon be full of them. So
        // the query is cancelled, and the place in the pool stays taken until that is done.
        if let (Some(connector), Ok(runtime)) = (self.connector.take(), Handle::try_current()) {
            let limit = self.cancel_timeout;
            runtime.spawn(async move {
                if let Some(object) = &unpooled.0 {
                    // Best effort: nobody waits for it, and a server that does not even take a
                    // cancellation is reported by the lookups themselves.
                    let token = object.cancel_token();
                    let _ = timeout(limit, connector.cancel(&token)).await;
                }
                drop(unpooled);
            });
        }
    }
}

/// A connection that leaves the pool with its drop, even if the runtime ends in between.
struct Unpooled(Option<Object>);

impl Drop for Unpooled {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
