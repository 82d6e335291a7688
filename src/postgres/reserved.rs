//! Connections outside of the pool, for the machine's row.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use deadpool_postgres::{ClientWrapper, Connect, Object, Pool, PoolError};
use tokio::sync::Semaphore;
use tokio_postgres::Config;

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
    pub(super) permits: Semaphore,
    /// `None`: one of the application's pool, which does not tell how it connects, is taken out of
    /// it for good, so that the pool opens another one in its place.
    opener: Option<Opener>,
}

/// What opens a connection.
struct Opener {
    connector: Box<dyn Connect>,
    config: Config,
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

    pub(super) fn take(&self) -> Option<ClientWrapper> {
        let client = self.lock().pop();
        client.filter(|client| !client.is_closed())
    }

    pub(super) fn keep(&self, client: ClientWrapper) {
        self.lock().push(client);
    }

    pub(super) async fn open(&self, pool: &Pool) -> Result<ClientWrapper, PoolError> {
        let Some(Opener { connector, config }) = &self.opener else {
            return pool.get().await.map(Object::take);
        };
        let (client, task) = connector.connect(config).await?;
        Ok(ClientWrapper::new(client, task))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ClientWrapper>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
