//! One exchange with the server: a statement, alone or in a transaction of its own.

use std::{fmt::Write as _, time::Duration};

use deadpool_postgres::ClientWrapper;
use futures_util::future::join3;
use tokio::time::timeout;
use tokio_postgres::{Row, Statement, types::Type};

use super::{connections::Parameter, direct::statement_timeout, failure::Failure};

/// How long a transaction may wait for its next statement. All of its statements are sent at once,
/// so that only the network can come between them.
const IDLE: Duration = Duration::from_secs(1);

/// What a transaction is opened with.
///
/// Our own bound on the exchange is not enough. A closed socket does not end a query that waits for
/// a lock, and with a new connection for each lookup the server would soon be full of such
/// queries. A cancellation would need one more connection for each of them, and `PgBouncer` drops
/// the driver's. Nor does the server notice a client that was frozen, or lost its network, before
/// its COMMIT went out: `statement_timeout` does not count between statements, and the locks would
/// stay until the server's keepalive gives the socket up, after hours. `SET LOCAL` holds behind a
/// pooler too, and all of it travels in the same message as BEGIN, so it costs no round trip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    writes: bool,
    limit: Duration,
    lock: Option<Duration>,
    is_lossy: bool,
}

impl Opening {
    /// A transaction that can only read.
    pub(super) fn read(limit: Duration) -> Self {
        Self {
            writes: false,
            limit,
            lock: None,
            is_lossy: false,
        }
    }

    /// A transaction that writes, unless the server's default forbids it: what an operator or a
    /// provider has set to be read-only stays so.
    pub(super) fn write(limit: Duration) -> Self {
        Self {
            writes: true,
            ..Self::read(limit)
        }
    }

    /// No statement waits longer than `lock` for a lock.
    pub(super) fn lock_timeout(self, lock: Duration) -> Self {
        Self {
            lock: Some(lock),
            ..self
        }
    }

    /// The commit waits neither for the disk nor for a synchronous standby. A crash of the server
    /// may lose it.
    pub(super) fn lossy(self) -> Self {
        Self {
            is_lossy: true,
            ..self
        }
    }

    fn sql(self) -> String {
        let begin = if self.writes {
            // A stricter default would fail the loser of a race for a row.
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        } else {
            "BEGIN READ ONLY"
        };
        let statement = statement_timeout(self.limit);
        let idle = self.limit.min(IDLE).as_millis().max(1);
        let mut sql = format!(
            "{begin}; SET LOCAL statement_timeout = {statement}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}"
        );
        if let Some(lock) = self.lock {
            let lock = lock.as_millis();
            // Writing to a `String` cannot fail.
            let _ = write!(sql, "; SET LOCAL lock_timeout = {lock}");
        }
        if self.is_lossy {
            sql.push_str("; SET LOCAL synchronous_commit = off");
        }
        sql
    }
}

/// Sends a statement in a transaction of its own, unprepared.
pub(super) async fn transact(
    client: &ClientWrapper,
    opening: Opening,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Failure> {
    let start = opening.sql();
    // Requests are queued at the first poll, and `join3` polls in this order.
    let asked = join3(
        client.batch_execute(&start),
        client.query_typed(sql, parameters),
        client.batch_execute("COMMIT"),
    );
    let Ok((started, rows, ended)) = timeout(opening.limit, asked).await else {
        return Err(Failure::Slow);
    };
    // In this order the first failure is the one that caused the others.
    started
        .and(rows)
        .and_then(|rows| ended.map(|()| rows))
        .map_err(Failure::Server)
}

/// The same on a connection whose server process is ours alone, where the statement can be
/// prepared: the server takes longer to plan one that looks into two tables than to run it. The
/// statement is prepared before the transaction, which it outlasts.
pub(super) async fn transact_prepared(
    client: &ClientWrapper,
    opening: Opening,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Failure> {
    let start = opening.sql();
    let asked = async {
        let statement = prepared(client, sql, parameters).await?;
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        let (started, rows, ended) = join3(
            client.batch_execute(&start),
            client.query(&statement, &values),
            client.batch_execute("COMMIT"),
        )
        .await;
        started.and(rows).and_then(|rows| ended.map(|()| rows))
    };
    let Ok(answer) = timeout(opening.limit, asked).await else {
        return Err(Failure::Slow);
    };
    answer.map_err(Failure::Server)
}

/// Asks on a connection whose server process is ours alone, and which was [told at its
/// start](super::direct) what [`Opening`] says each time. So there is no transaction that could be
/// left open: the statement and the message that ends it are one write to the socket.
pub(super) async fn ask_prepared(
    client: &ClientWrapper,
    limit: Duration,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Failure> {
    let asked = async {
        let statement = prepared(client, sql, parameters).await?;
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        client.query(&statement, &values).await
    };
    let Ok(answer) = timeout(limit, asked).await else {
        return Err(Failure::Slow);
    };
    answer.map_err(Failure::Server)
}

/// Runs statements in one transaction.
pub(super) async fn execute(
    client: &ClientWrapper,
    opening: Opening,
    sql: &str,
) -> Result<(), Failure> {
    let start = opening.sql();
    let asked = join3(
        client.batch_execute(&start),
        client.batch_execute(sql),
        client.batch_execute("COMMIT"),
    );
    let Ok((started, done, ended)) = timeout(opening.limit, asked).await else {
        return Err(Failure::Slow);
    };
    started.and(done).and(ended).map_err(Failure::Server)
}

/// Whether the server at the other end follows another one. An answer that does not come by
/// `limit` is none.
pub(super) async fn is_standby(client: &ClientWrapper, limit: Duration) -> bool {
    let asked = client.query_typed("SELECT pg_is_in_recovery()", &[]);
    match timeout(limit, asked).await {
        Ok(Ok(rows)) => rows
            .first()
            .is_some_and(|row| row.try_get(0).unwrap_or(false)),
        Ok(Err(_)) | Err(_) => false,
    }
}

async fn prepared(
    client: &ClientWrapper,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Statement, tokio_postgres::Error> {
    let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
    client.prepare_typed_cached(sql, &types).await
}
