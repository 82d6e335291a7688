//! The pool, and one bounded question to it.

use std::{fmt, sync::Arc, time::Duration};

use deadpool_postgres::{ClientWrapper, Pool};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::LookupError;

use super::{
    bounds::Bounds,
    detached::{Encoded, detached},
    direct::Direct,
    exchange::{self, Opening},
    failure::{Failure, connect_error},
    lease::Lease,
    reserved::Reserved,
};

/// How long a claim waits for a lock. Another claim holds the session's row for some
/// milliseconds. A transaction that holds it for longer is none of ours, and a claim that waited
/// for it would only keep a connection from the claims of other sessions.
const CLAIM_LOCK: Duration = Duration::from_millis(200);

/// A value and the type it is sent as: without types the driver would have to prepare statements,
/// which a pooler in transaction mode loses.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Each duty has its own connections: lookups one half of the pool, all that requests write the
/// other half, and the heartbeat one outside of it. So writes that are slow, or that wait for a
/// row's lock, cost no lookup of another session and no beat.
pub(super) struct Connections {
    pub(super) pool: Pool,
    /// Whether the application made the pool, with bounds of its own or none.
    pub(super) is_foreign: bool,
    pub(super) direct: Direct,
    pub(super) bounds: Bounds,
    /// A permit for each connection of the half that is not for lookups.
    others: Semaphore,
    pub(super) reserved: Reserved,
}

impl Connections {
    /// A pool of ours, which keeps the bounds.
    pub(super) fn new(pool: Pool, reserved: Reserved, direct: Direct, bounds: Bounds) -> Self {
        let others = pool.status().max_size / 2;
        Self {
            pool,
            is_foreign: false,
            direct,
            bounds,
            // Of a single connection there is no half.
            others: Semaphore::new(others.max(1)),
            reserved,
        }
    }

    /// A pool that the application made.
    pub(super) fn foreign(pool: Pool, bounds: Bounds) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(pool, Reserved::default(), Direct::never(), bounds)
        }
    }

    /// How many of them lookups may use at once. `writes`: whether the others are for writes.
    pub(super) fn for_lookups(&self, writes: bool) -> usize {
        let most = self.pool.status().max_size;
        if writes {
            most.saturating_sub(self.others.available_permits()).max(1)
        } else {
            most
        }
    }

    /// Asks, within the overall bound.
    pub(super) async fn query(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LookupError> {
        let rows = self.detach(Statement::Ask, sql, parameters, self.deadline());
        rows.await.map_err(Failure::into_lookup_error)
    }

    /// Asks by `deadline`, in the caller's own future: for tasks, which the runtime polls.
    /// With `tells_standby`, the first column of each row says whether the server is a standby, and
    /// there is at least one row.
    ///
    /// `deadline` goes along with every step, rather than around all of them, because a timer that
    /// is set wakes another thread of the runtime: most lookups set one, for the query.
    pub(super) async fn ask(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
        tells_standby: bool,
    ) -> Result<Vec<Row>, Failure> {
        let what = if tells_standby {
            Statement::AskPrimary
        } else {
            Statement::Ask
        };
        self.attempt(what, (sql, parameters), deadline).await
    }

    /// Writes by `deadline`. What is `repeatable` (a second time, it changes nothing more) is
    /// written once more if all that failed was a connection that had been lying idle.
    pub(super) async fn write(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
        repeatable: bool,
    ) -> Result<Vec<Row>, Failure> {
        let what = Statement::Write { repeatable };
        self.detach(what, sql, parameters, deadline).await
    }

    /// Writes by `deadline` what is repeatable and should not wait long for a lock.
    pub(super) async fn claim(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        self.detach(Statement::Claim, sql, parameters, deadline)
            .await
    }

    /// Asks, within `limit`, what may take longer than a lookup. Never prepared: it is asked seldom,
    /// and a plan of its own serves it best.
    pub(super) async fn read_much(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let deadline = Instant::now() + limit;
        self.detach(Statement::AskMuch, sql, parameters, deadline)
            .await
    }

    /// Writes by `deadline` what may take longer than other queries do.
    pub(super) async fn write_much(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        self.detach(Statement::WriteMuch, sql, parameters, deadline)
            .await
    }

    /// Does it in a task of its own.
    async fn detach(
        self: &Arc<Self>,
        what: Statement,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let (connections, sql) = (Arc::clone(self), sql.to_owned());
        let parameters = Encoded::new(parameters)?;
        detached(async move {
            let parameters = parameters.parameters();
            connections
                .attempt(what, (&sql, &parameters), deadline)
                .await
        })
        .await
    }

    /// Runs statements in one transaction of at most `limit`, which waits for no lock longer than
    /// `lock`.
    pub(super) async fn execute(
        self: &Arc<Self>,
        sql: &str,
        lock: Duration,
        limit: Duration,
    ) -> Result<(), Failure> {
        let (connections, sql) = (Arc::clone(self), sql.to_owned());
        detached(async move {
            let deadline = connections.deadline();
            let _turn = connections.turn(deadline).await?;
            let lease = connections.lease(deadline).await?;
            let opening = Opening::write(limit).lock_timeout(lock);
            let done = exchange::execute(lease.client()?, opening, &sql).await;
            let done = Self::judged(lease.client()?, done, limit).await;
            lease.end(&done);
            done
        })
        .await
    }

    /// Does it, and once more if all that failed was a connection that had been lying idle: a
    /// restarted server, or a name that leads to another one by now, then costs no request an error.
    /// The failure of a fresh connection is the server's, and a second attempt would only double its
    /// load.
    async fn attempt(
        &self,
        what: Statement,
        sql: (&str, &[Parameter<'_>]),
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let _turn = match what {
            Statement::Ask | Statement::AskPrimary => None,
            _ => Some(self.turn(deadline).await?),
        };
        let began = Instant::now();
        let lease = self.lease(deadline).await?;
        let was_idle = lease.was_idle();
        match self.once(lease, what, sql, deadline).await {
            Err(failure) if was_idle && what.may_repeat(&failure) => {
                self.drop_what_is_older(began);
            }
            Err(failure) if failure.is_standby() => {
                self.drop_what_is_older(Instant::now());
                return Err(failure);
            }
            Err(failure) if matches!(what, Statement::Claim) && failure.is_of_a_moved_row() => {}
            // A statement that cannot be prepared has done nothing.
            Err(failure) if self.direct.holds() && failure.is_of_a_prepared_statement() => {
                self.direct.give_up();
            }
            answer => return answer,
        }
        let lease = self.lease(deadline).await?;
        self.once(lease, what, sql, deadline).await
    }

    /// What was opened before a connection that had died is likely to have died with it, and what
    /// leads to a standby is not the only one that does. In its place one is opened that leads to
    /// where the name leads by now.
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
        let client = lease.client()?;
        let limit = self.bounds.statement().min(left(deadline));
        let opening = match what {
            Statement::Ask | Statement::AskPrimary => Opening::read(limit),
            Statement::AskMuch => Opening::read(left(deadline)),
            Statement::Write { .. } => Opening::write(limit),
            Statement::Claim => Opening::write(limit).lock_timeout(CLAIM_LOCK),
            Statement::WriteMuch => Opening::write(left(deadline)),
        };
        let answer = match what {
            Statement::Ask | Statement::AskPrimary if self.direct.holds() => {
                exchange::ask_prepared(client, limit, sql, parameters).await
            }
            Statement::Write { .. } | Statement::Claim if self.direct.holds() => {
                exchange::transact_prepared(client, opening, sql, parameters).await
            }
            _ => exchange::transact(client, opening, sql, parameters).await,
        };
        let answer = match (what, answer) {
            (Statement::AskPrimary, Ok(rows)) => of_the_primary(rows),
            (_, answer) => Self::judged(client, answer, left(deadline)).await,
        };
        lease.end(&answer);
        answer
    }

    /// Tells a server that takes no writes because it is a standby from one that was set to be
    /// read-only: only the former is the wrong server.
    pub(super) async fn judged<T>(
        client: &ClientWrapper,
        answer: Result<T, Failure>,
        limit: Duration,
    ) -> Result<T, Failure> {
        match answer {
            Err(failure) if failure.is_of_a_read_only_server() => {
                let is_standby = exchange::is_standby(client, limit).await;
                Err(if is_standby {
                    failure.of_a_standby()
                } else {
                    failure
                })
            }
            answer => answer,
        }
    }

    /// Waits for a connection of the half that is not for lookups.
    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        let deadline = deadline.min(Instant::now() + self.bounds.pool);
        match timeout_at(deadline, self.others.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Failure::Unasked(LookupError::timeout(
                "no connection to PostgreSQL became free in time: other writes, which get half of \
                 `max_connections`, hold them",
            ))),
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let got = async {
            if !self.is_foreign {
                return self.pool.get().await.map_err(connect_error);
            }
            // A pool that the application made may have no bounds, nor a runtime to keep them by.
            let got = timeout(self.patience(), self.pool.get())
                .await
                .map_err(|elapsed| {
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

    /// How long a connection may take, of the pool or a new one.
    pub(super) fn patience(&self) -> Duration {
        let connect = self.pool.timeouts().create;
        self.bounds.pool + connect.unwrap_or(self.bounds.connect)
    }

    /// When a lookup that begins now has to have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.bounds.overall
    }

    pub(super) fn none_became_free() -> LookupError {
        LookupError::timeout("no connection to PostgreSQL became free in time")
    }

    pub(super) fn too_late() -> LookupError {
        LookupError::timeout("PostgreSQL did not answer within the lookup's time limit")
    }
}

/// What is done with a connection.
#[derive(Clone, Copy, Debug)]
enum Statement {
    Ask,
    /// What says of the server whether it is a standby, and is not believed if it is one.
    AskPrimary,
    /// What may take until the deadline, and is not worth a plan that is kept.
    AskMuch,
    Write {
        repeatable: bool,
    },
    Claim,
    WriteMuch,
}

impl Statement {
    /// Whether a fresh connection may do what one that had been lying idle did not.
    fn may_repeat(self, failure: &Failure) -> bool {
        let repeatable = match self {
            Self::Ask | Self::AskPrimary | Self::AskMuch | Self::Claim => true,
            Self::Write { repeatable } => repeatable,
            Self::WriteMuch => false,
        };
        // A standby has written nothing.
        failure.is_standby() || repeatable && failure.is_stale()
    }
}

/// The rows, whose first column says whether the server is a standby. One that says nothing is not
/// believed either.
pub(super) fn of_the_primary(rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
    match rows.first().map(|row| row.try_get(0)) {
        Some(Ok(false)) => Ok(rows),
        Some(Err(error)) => Err(Failure::Server(error)),
        Some(Ok(true)) | None => Err(Failure::Standby(None)),
    }
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's own form would show the connection's options, where people also put secrets.
        f.debug_struct("Connections")
            .field("pool", &self.pool.status())
            .field("direct", &self.direct)
            .field("bounds", &self.bounds)
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}
