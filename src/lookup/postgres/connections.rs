//! The pool, and one bounded question to it.

use std::{fmt, time::Duration};

use deadpool_postgres::Pool;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::LookupError;

use super::{
    bounds::Bounds,
    direct::Direct,
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
    direct: Direct,
    bounds: Bounds,
}

impl Connections {
    /// A pool of ours, which keeps the bounds.
    pub(super) fn new(pool: Pool, direct: Direct, bounds: Bounds) -> Self {
        Self {
            pool,
            is_foreign: false,
            direct,
            bounds,
        }
    }

    /// A pool that the application made.
    pub(super) fn foreign(pool: Pool, bounds: Bounds) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(pool, Direct::never(), bounds)
        }
    }

    /// How many connections there may be.
    pub(super) fn most(&self) -> usize {
        self.pool.status().max_size
    }

    /// Asks, within the overall bound.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LookupError> {
        let rows = self.ask(sql, parameters, self.deadline()).await;
        rows.map_err(Failure::into_lookup_error)
    }

    /// Asks by `deadline`.
    ///
    /// `deadline` goes along with every step, rather than around all of them, because a timer that
    /// is set wakes another thread of the runtime: most lookups set one, for the query.
    pub(super) async fn ask(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        self.attempt(Statement::Ask, (sql, parameters), deadline, true)
            .await
    }

    /// Writes by `deadline`. What is `repeatable` (a second time, it changes nothing more) is
    /// written once more if all that failed was a connection that had been lying idle.
    pub(super) async fn write(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
        repeatable: bool,
    ) -> Result<Vec<Row>, Failure> {
        self.attempt(Statement::Write, (sql, parameters), deadline, repeatable)
            .await
    }

    /// Asks, within `limit`, what may take longer than a lookup. Never prepared: it is asked seldom,
    /// and a plan of its own serves it best.
    pub(super) async fn read_much(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let deadline = Instant::now() + limit;
        self.attempt(Statement::AskMuch, (sql, parameters), deadline, true)
            .await
    }

    /// Writes by `deadline` what may take longer than other queries do.
    pub(super) async fn write_much(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let lease = self.lease(deadline).await?;
        lease.write(sql, parameters, left(deadline)).await
    }

    /// Runs statements in one transaction of at most `limit`, which waits for no lock longer than
    /// `lock`.
    pub(super) async fn execute(
        &self,
        sql: &str,
        lock: Duration,
        limit: Duration,
    ) -> Result<(), Failure> {
        let lease = self.lease(self.deadline()).await?;
        lease.execute(sql, lock, limit).await
    }

    /// Does it, and what is `repeatable` once more if all that failed was a connection that had been
    /// lying idle: a restarted server then costs nobody an error. The failure of a fresh connection
    /// is the server's, and a second attempt would only double its load.
    async fn attempt(
        &self,
        what: Statement,
        sql: (&str, &[Parameter<'_>]),
        deadline: Instant,
        repeatable: bool,
    ) -> Result<Vec<Row>, Failure> {
        let began = Instant::now();
        let lease = self.lease(deadline).await?;
        let was_idle = lease.was_idle();
        match self.once(lease, what, sql, deadline).await {
            Err(failure) if repeatable && was_idle && failure.is_stale() => {
                self.drop_what_is_older(began);
            }
            // A statement that cannot be prepared has done nothing.
            Err(failure) if self.direct.holds() && failure.is_of_a_prepared_statement() => {
                self.direct.give_up();
            }
            answer => return answer,
        }
        let lease = self.lease(deadline).await?;
        self.once(lease, what, sql, deadline).await
    }

    /// What was opened before a connection that had died is likely to have died with it.
    fn drop_what_is_older(&self, began: Instant) {
        let began = began.into_std();
        drop(self.pool.retain(|_, metrics| metrics.created > began));
    }

    async fn once(
        &self,
        lease: Lease,
        what: Statement,
        (sql, parameters): (&str, &[Parameter<'_>]),
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let limit = self.bounds.statement().min(left(deadline));
        match (what, self.direct.holds()) {
            (Statement::Ask, true) => lease.query_prepared(sql, parameters, limit).await,
            (Statement::Ask, false) => lease.query(sql, parameters, limit).await,
            (Statement::Write, true) => lease.write_prepared(sql, parameters, limit).await,
            (Statement::Write, false) => lease.write(sql, parameters, limit).await,
            (Statement::AskMuch, _) => lease.query(sql, parameters, left(deadline)).await,
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let got = async {
            if !self.is_foreign {
                return self.pool.get().await.map_err(connect_error);
            }
            // A pool that the application made may have no bounds, nor a runtime to keep them by.
            let limit = self.bounds.pool + self.bounds.connect;
            let got = timeout(limit, self.pool.get()).await.map_err(|elapsed| {
                LookupError::timeout("the pool gave no connection to PostgreSQL in time")
                    .with_source(elapsed)
            })?;
            got.map_err(connect_error)
        };
        let got = timeout_at(deadline, got).await;
        got.unwrap_or_else(|_| Err(Self::too_late()))
            .map(Lease::new)
            .map_err(Failure::Unasked)
    }

    /// When a lookup that begins now has to have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.bounds.overall
    }

    pub(super) fn too_late() -> LookupError {
        LookupError::timeout("PostgreSQL did not answer within the lookup's time limit")
    }
}

/// What is done with a connection.
#[derive(Clone, Copy, Debug)]
enum Statement {
    Ask,
    /// What may take until the deadline, and is not worth a plan that is kept.
    AskMuch,
    Write,
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's own form would show the connection's options, where people also put secrets.
        f.debug_struct("Connections")
            .field("pool", &self.pool.status())
            .field("direct", &self.direct)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
