//! A connection outside of the pool, for the machine's row.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deadpool_postgres::{ClientWrapper, Connect, Object, PoolError, TimeoutType};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_postgres::{Config, Row};

use super::{
    connections::{Connections, Parameter, left, of_the_primary},
    detached::{Encoded, detached},
    exchange::{self, Opening},
    failure::{Failure, connect_error},
};

/// How many there may be.
const MOST: usize = 2;

/// The connection of the heartbeat.
///
/// A machine whose beats are late is taken for lost, so nothing that requests do may delay them.
/// Their own share of the pool would not be enough: the application may use the pool, too. The
/// connection is opened with the first write, kept while it answers, and closed with the first
/// error. There is a second one for a beat that comes while something slower is written, as at the
/// begin of a drain.
pub(super) struct Reserved {
    idle: Mutex<Vec<ClientWrapper>>,
    /// One for each connection that there may be. Each is held by a task, within its deadline.
    permits: Semaphore,
    /// `None`: one of the application's pool, which does not tell how it connects, is taken out of
    /// it for good, so that the pool opens another one in its place.
    opener: Option<Opener>,
}

/// What opens a connection.
struct Opener {
    connector: Box<dyn Connect>,
    config: Config,
}

/// Whether a write survives a crash of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// As the server is configured, so that a failover may keep it.
    Durable,
    /// The commit does not wait for the disk or for a synchronous standby. Where a standby does
    /// not answer, a durable commit waits without a limit, also after its client has gone, and each
    /// beat would leave a server process behind.
    Lossy,
}

/// What is done over the connection.
#[derive(Clone, Copy, Debug)]
enum Duty {
    Read,
    Write(Durability),
}

impl Default for Reserved {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            permits: Semaphore::new(MOST),
            opener: None,
        }
    }
}

impl Reserved {
    pub(super) fn new(connector: Box<dyn Connect>, config: Config) -> Self {
        Self {
            opener: Some(Opener { connector, config }),
            ..Self::default()
        }
    }

    fn take(&self) -> Option<ClientWrapper> {
        let client = self.lock().pop();
        client.filter(|client| !client.is_closed())
    }

    fn keep(&self, client: ClientWrapper) {
        self.lock().push(client);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ClientWrapper>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Writes the machine's row by `deadline`, over the heartbeat's connection. The statement may
    /// be sent twice: a connection that died while it was idle is replaced.
    pub(super) async fn write_presence(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
        durability: Durability,
    ) -> Result<Vec<Row>, Failure> {
        self.detach_reserved(Duty::Write(durability), sql, parameters, deadline)
            .await
    }

    /// Asks by `deadline`, over the heartbeat's connection, what has to be true: the first column
    /// of the rows, of which there is at least one, says whether the server is a standby.
    pub(super) async fn read_presence(
        self: &Arc<Self>,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        self.detach_reserved(Duty::Read, sql, parameters, deadline)
            .await
    }

    async fn detach_reserved(
        self: &Arc<Self>,
        duty: Duty,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let (connections, sql) = (Arc::clone(self), sql.to_owned());
        let parameters = Encoded::new(parameters)?;
        detached(async move {
            let parameters = parameters.parameters();
            let exchanged = connections.on_reserved(duty, &sql, &parameters, deadline);
            exchanged.await
        })
        .await
    }

    async fn on_reserved(
        &self,
        duty: Duty,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let Ok(Ok(_permit)) = timeout_at(deadline, self.reserved.permits.acquire()).await else {
            return Err(Failure::Unasked(Self::none_became_free()));
        };
        let mut idle = self.reserved.take();
        loop {
            let was_idle = idle.is_some();
            let client = match idle.take() {
                Some(client) => client,
                None => self.open_reserved(deadline).await?,
            };
            let prepares = self.direct.holds();
            let limit = self.bounds.statement().min(left(deadline));
            let opening = match duty {
                Duty::Read => Opening::read(limit),
                Duty::Write(Durability::Durable) => Opening::write(limit),
                // A beat has a bound of its own, and no other.
                Duty::Write(Durability::Lossy) => Opening::write(left(deadline)).lossy(),
            };
            let answer = if prepares {
                exchange::transact_prepared(&client, opening, sql, parameters).await
            } else {
                exchange::transact(&client, opening, sql, parameters).await
            };
            let answer = match duty {
                Duty::Read => answer.and_then(of_the_primary),
                Duty::Write(_) => Self::judged(&client, answer, left(deadline)).await,
            };
            match answer {
                Ok(rows) => {
                    self.reserved.keep(client);
                    return Ok(rows);
                }
                Err(failure) if was_idle && failure.is_of_the_connection() => {}
                // A statement that cannot be prepared has done nothing.
                Err(failure) if prepares && failure.is_of_a_prepared_statement() => {
                    self.direct.give_up();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn open_reserved(&self, deadline: Instant) -> Result<ClientWrapper, Failure> {
        let opened = async {
            let Some(Opener { connector, config }) = &self.reserved.opener else {
                return self.pool.get().await.map(Object::take);
            };
            let (client, task) = connector.connect(config).await?;
            Ok(ClientWrapper::new(client, task))
        };
        let deadline = deadline.min(Instant::now() + self.patience());
        timeout_at(deadline, opened)
            .await
            .unwrap_or(Err(PoolError::Timeout(TimeoutType::Create)))
            .map_err(connect_error)
            .map_err(Failure::Unasked)
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.lock().len();
        f.debug_struct("Reserved")
            .field("idle", &idle)
            .finish_non_exhaustive()
    }
}
