//! The pool, and one bounded question to it.

use std::{fmt, sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use tokio::{sync::Semaphore, time::Instant};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::LookupError;

use super::{
    bounds::Bounds,
    detached::{Encoded, detached},
    direct::Direct,
    exchange::{self, Question},
    failure::{Asked, Failure},
    lease::Lease,
    mode::{Duty, Mode},
    place::Place,
    reserved::Reserved,
};

/// A value and the type it is sent as: without types the driver would have to prepare statements,
/// which a pooler in transaction mode loses.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The connections of each [`Duty`].
pub(super) struct Connections {
    pub(super) pool: Pool,
    /// Whether the application made the pool, with bounds of its own or none.
    pub(super) is_foreign: bool,
    pub(super) direct: Direct,
    pub(super) bounds: Bounds,
    /// A permit for each connection of the half that is not for lookups.
    pub(super) others: Semaphore,
    pub(super) reserved: Reserved,
    pub(super) place: Place,
}

impl Connections {
    /// A pool of ours, which keeps the bounds.
    pub(super) fn new(
        pool: Pool,
        reserved: Reserved,
        direct: Direct,
        bounds: Bounds,
        place: Place,
    ) -> Self {
        let others = pool.status().max_size / 2;
        Self {
            pool,
            is_foreign: false,
            direct,
            bounds,
            // Of a single connection there is no half.
            others: Semaphore::new(others.max(1)),
            reserved,
            place,
        }
    }

    /// A pool that the application made.
    pub(super) fn foreign(pool: Pool, bounds: Bounds) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(
                pool,
                Reserved::default(),
                Direct::never(),
                bounds,
                Place::unknown(),
            )
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
        self.run(Mode::READ, sql, parameters, self.deadline()).await
    }

    /// Runs a statement by `deadline`, in a task of its own.
    pub(super) fn run(
        self: &Arc<Self>,
        mode: Mode,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Row>, LookupError>> + use<> {
        self.run_shared(mode, &Arc::from(sql), parameters, deadline)
    }

    /// The same for a statement that is kept: its text is not copied.
    pub(super) fn run_shared(
        self: &Arc<Self>,
        mode: Mode,
        sql: &Arc<str>,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Row>, LookupError>> + use<> {
        self.run_in_order(mode, &[], sql, parameters, deadline)
    }

    /// The same with statements before it, in the same transaction and with the same parameters.
    pub(super) fn run_in_order(
        self: &Arc<Self>,
        mode: Mode,
        before: &[Arc<str>],
        sql: &Arc<str>,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Row>, LookupError>> + use<> {
        let (connections, sql) = (Arc::clone(self), Arc::clone(sql));
        let before = before.to_vec();
        let rows = Encoded::new(parameters).map(|parameters| {
            detached(async move {
                let question = Question {
                    before: &before,
                    sql: &sql,
                    parameters: &parameters.parameters(),
                };
                connections.attempt(mode, question, deadline).await
            })
        });
        async move {
            let rows = match rows {
                Ok(rows) => rows.await,
                Err(failure) => Err(failure),
            };
            rows.map_err(|failure| failure.into_error(mode.asked))
        }
    }

    /// Asks by `deadline`, in the caller's own future: for tasks, which the runtime polls.
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
        let mode = Mode {
            tells_standby,
            ..Mode::READ
        };
        let question = Question {
            before: &[],
            sql,
            parameters,
        };
        self.attempt(mode, question, deadline).await
    }

    /// Runs it, and once more if all that failed was a connection that had been lying idle: a
    /// restarted server, or a name that leads to another one by now, then costs no request an error.
    /// The failure of a fresh connection is the server's, and a second attempt would only double its
    /// load.
    async fn attempt(
        &self,
        mode: Mode,
        question: Question<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let _turn = self.turn(mode.duty, deadline).await?;
        let is_of_pool = mode.duty != Duty::Heartbeat;
        let began = Instant::now();
        let idle = if is_of_pool {
            None
        } else {
            self.reserved.take()
        };
        let lease = self.lease(mode.duty, idle, deadline).await?;
        let was_idle = lease.was_idle();
        let is_direct = self.direct.holds();
        match self.once(lease, mode, question, deadline).await {
            // A standby has written nothing.
            Err(failure)
                if was_idle
                    && (failure.is_standby() || mode.is_repeatable && failure.is_stale()) =>
            {
                if is_of_pool {
                    self.drop_what_is_older(began);
                }
            }
            Err(failure) if failure.is_standby() && is_of_pool => {
                self.drop_what_is_older(Instant::now());
                return Err(failure);
            }
            // Nothing was written, and the row can be found in its new partition.
            Err(failure)
                if matches!(mode.asked, Asked::Claim | Asked::Create)
                    && failure.is_of_a_moved_row() => {}
            // A statement that cannot be prepared has done nothing.
            Err(failure) if is_direct && failure.is_of_a_prepared_statement() => {
                self.direct.give_up();
            }
            answer => return answer,
        }
        let lease = self.lease(mode.duty, None, deadline).await?;
        self.once(lease, mode, question, deadline).await
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
        lease: Lease<'_>,
        mode: Mode,
        question: Question<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let client = lease.client()?;
        let limit = if mode.is_long {
            left(deadline)
        } else {
            self.bounds.statement().min(left(deadline))
        };
        let is_direct = self.direct.holds();
        let answer = match exchange::run(client, mode, limit, is_direct, question).await {
            Ok(rows) if mode.tells_standby => of_the_primary(rows),
            // Tells a server that takes no writes because it is a standby from one that was set to be
            // read-only: only the former is the wrong server.
            Err(failure)
                if failure.is_of_a_read_only_server()
                    && exchange::is_standby(client, left(deadline)).await =>
            {
                Err(failure.of_a_standby())
            }
            answer => answer,
        };
        lease.end(&answer);
        answer
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

/// The rows, whose first column says whether the server is a standby. One that says nothing is not
/// believed either.
fn of_the_primary(rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
    match rows.first().map(|row| row.try_get(0)) {
        Some(Ok(false)) => Ok(rows),
        Some(Err(error)) => Err(Failure::Server(error)),
        Some(Ok(true)) | None => Err(Failure::Standby(None)),
    }
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
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}
