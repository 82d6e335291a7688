//! A connection outside of the pool, for the machine's row.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use deadpool_postgres::{ClientWrapper, Connect, Object, PoolError, TimeoutType};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Config, Row};

use super::{
    connections::{Connections, Parameter, left},
    exchange::{self, Opening},
    failure::{Failure, connect_error},
};

/// The connection of the heartbeat.
///
/// A machine whose beats are late is taken for lost, so nothing that requests do may delay them.
/// Their own share of the pool would not be enough: the application may use the pool, too. The
/// connection is opened with the first write, kept while it answers, and closed with the first
/// error. A second writer does not wait for the first but opens another connection, of which one
/// is kept.
#[derive(Default)]
pub(super) struct Reserved {
    idle: Mutex<Option<ClientWrapper>>,
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

impl Reserved {
    pub(super) fn new(connector: Box<dyn Connect>, config: Config) -> Self {
        Self {
            idle: Mutex::default(),
            opener: Some(Opener { connector, config }),
        }
    }

    fn take(&self) -> Option<ClientWrapper> {
        let client = self.lock().take();
        client.filter(|client| !client.is_closed())
    }

    fn keep(&self, client: ClientWrapper) {
        let superfluous = self.lock().replace(client);
        // Not under the lock.
        drop(superfluous);
    }

    fn lock(&self) -> MutexGuard<'_, Option<ClientWrapper>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Writes the machine's row by `deadline`, over the heartbeat's connection. The statement may
    /// be sent twice: a connection that died while it was idle is replaced.
    pub(super) async fn write_presence(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
        durability: Durability,
    ) -> Result<Vec<Row>, Failure> {
        let mut idle = self.reserved.take();
        loop {
            let was_idle = idle.is_some();
            let client = match idle.take() {
                Some(client) => client,
                None => self.open_reserved(deadline).await?,
            };
            let prepares = self.direct.holds();
            let opening = match durability {
                Durability::Durable => Opening::write(self.bounds.statement().min(left(deadline))),
                // A beat has a bound of its own, and no other.
                Durability::Lossy => Opening::write(left(deadline)).lossy(),
            };
            let written = if prepares {
                exchange::transact_prepared(&client, opening, sql, parameters).await
            } else {
                exchange::transact(&client, opening, sql, parameters).await
            };
            match Self::judged(&client, written, left(deadline)).await {
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
        let is_open = self.lock().is_some();
        f.debug_tuple("Reserved").field(&is_open).finish()
    }
}
