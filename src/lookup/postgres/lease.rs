//! One connection, taken from the pool for one query.

use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::join3;
use tokio::time::timeout;
use tokio_postgres::{Row, types::Type};

use super::{connections::Parameter, direct::statement_timeout, failure::Failure};

/// `READ COMMITTED`, because a stricter default would fail whoever loses a race for a row.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// A connection that goes back into the pool only when its query has been answered.
///
/// A connection whose answer is still outstanding would make the next lookup wait for it, and
/// the one after that. So whatever ends the wait early (our bound, or the layer dropping the
/// future at any await) drops the lease with the connection in it.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Whether the connection was opened for an earlier query.
    pub(super) fn was_idle(&self) -> bool {
        let recycled = |object| Object::metrics(object).recycled.is_some();
        self.0.as_ref().is_some_and(recycled)
    }

    /// Asks in a transaction that can only read, and that the server itself ends in time.
    ///
    /// Our own bound is not enough. Closing the socket does not end a query that waits for a lock,
    /// and with a new connection for every lookup the server would soon be full of such queries.
    /// A cancellation would need one more connection for each of them, and `PgBouncer` drops the
    /// driver's. `SET LOCAL` holds behind a pooler too, and all three statements are sent at once,
    /// so it costs no round trip.
    pub(super) async fn query(
        self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let servers = statement_timeout(limit);
        let start = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {servers}");
        self.transact(&start, sql, parameters, limit).await
    }

    /// Writes in a transaction that the server itself ends in time, whatever the connection's
    /// defaults are: those that we open can only read, and statements that wait for a row's lock
    /// have to see what they waited for.
    pub(super) async fn write(
        self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let servers = statement_timeout(limit);
        let start = format!("{BEGIN_WRITE}; SET LOCAL statement_timeout = {servers}");
        self.transact(&start, sql, parameters, limit).await
    }

    /// The same on a connection whose server process is ours alone, where the statement can be
    /// prepared: the server takes longer to plan one that looks into two tables than to run it.
    /// That is done before the transaction, which it outlasts.
    pub(super) async fn write_prepared(
        self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.0 else {
            return Err(Failure::Slow);
        };
        let servers = statement_timeout(limit);
        let start = format!("{BEGIN_WRITE}; SET LOCAL statement_timeout = {servers}");
        let asked = async {
            let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = client.prepare_typed_cached(sql, &types).await?;
            let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
            let (started, rows, ended) = join3(
                client.batch_execute(&start),
                client.query(&statement, &values),
                client.batch_execute("COMMIT"),
            )
            .await;
            started.and(rows).and_then(|rows| ended.map(|()| rows))
        };
        let Ok(answer) = timeout(limit, asked).await else {
            return Err(Failure::Slow);
        };
        self.end(answer.map_err(Failure::Server))
    }

    /// Runs statements in one transaction; each of them waits for no lock longer than `lock`.
    pub(super) async fn execute(
        self,
        sql: &str,
        lock: Duration,
        limit: Duration,
    ) -> Result<(), Failure> {
        let Some(client) = &self.0 else {
            return Err(Failure::Slow);
        };
        let (servers, lock) = (statement_timeout(limit), lock.as_millis());
        let start = format!(
            "{BEGIN_WRITE}; SET LOCAL statement_timeout = {servers}; \
             SET LOCAL lock_timeout = {lock}"
        );
        let asked = join3(
            client.batch_execute(&start),
            client.batch_execute(sql),
            client.batch_execute("COMMIT"),
        );
        let Ok((started, done, ended)) = timeout(limit, asked).await else {
            return Err(Failure::Slow);
        };
        let answer = started.and(done).and(ended).map_err(Failure::Server);
        self.end(answer.map(|()| Vec::new())).map(drop)
    }

    async fn transact(
        self,
        start: &str,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.0 else {
            return Err(Failure::Slow);
        };
        // Requests are queued at the first poll, and `join3` polls in this order.
        let asked = join3(
            client.batch_execute(start),
            client.query_typed(sql, parameters),
            client.batch_execute("COMMIT"),
        );
        let Ok((started, rows, ended)) = timeout(limit, asked).await else {
            return Err(Failure::Slow);
        };
        // In this order the first failure is the one that caused the others.
        let answer = started
            .and(rows)
            .and_then(|rows| ended.map(|()| rows))
            .map_err(Failure::Server);
        self.end(answer)
    }

    /// Asks on a connection whose server process is ours alone, and which was [told at its
    /// start](super::direct) what [`query`](Self::query) says each time. So the statement can be
    /// prepared, too: planning takes the server longer than finding a row.
    pub(super) async fn query_prepared(
        self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.0 else {
            return Err(Failure::Slow);
        };
        let asked = async {
            let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = client.prepare_typed_cached(sql, &types).await?;
            let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
            client.query(&statement, &values).await
        };
        let Ok(answer) = timeout(limit, asked).await else {
            return Err(Failure::Slow);
        };
        self.end(answer.map_err(Failure::Server))
    }

    /// The server has answered.
    fn end(mut self, answer: Result<Vec<Row>, Failure>) -> Result<Vec<Row>, Failure> {
        let spared = match &answer {
            Ok(_) => true,
            Err(failure) => failure.spares_the_connection(),
        };
        if spared {
            drop(self.0.take());
        }
        answer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
