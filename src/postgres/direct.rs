//! Whether there is nothing between us and the server that shares its connections.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Error, SimpleQueryMessage, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use super::hosts::Hosts;

/// Whether connections have a server process of their own, so that settings and prepared
/// statements last as long as they do.
///
/// A pooler in transaction mode gives every transaction another one. So each connection asks, as
/// it is opened, for settings that bound and restrict what is sent on it, and for a mark that no
/// other connection has; and then looks whether the server at its end has them. If that is not so
/// once, it is not so: a fleet of servers behind one name may be reached either way.
#[derive(Clone)]
pub(super) struct Direct(Arc<State>);

struct State {
    shared: AtomicBool,
    limit: Duration,
    writes: bool,
}

impl Direct {
    /// `limit` is how long the server may work on one statement. Without `writes`, a
    /// connection can only read.
    ///
    /// A directory writes over the same connections. They keep the server's own default, because a
    /// transaction that is opened as `READ WRITE` past a default of ours would also pass that of an
    /// operator or a provider who has stopped all writers (`default_transaction_read_only`).
    pub(super) fn new(limit: Duration, writes: bool) -> Self {
        Self(Arc::new(State {
            shared: AtomicBool::new(false),
            limit,
            writes,
        }))
    }

    /// For connections that others opened, of which nothing is known.
    pub(super) fn never() -> Self {
        let direct = Self::new(Duration::ZERO, true);
        direct.give_up();
        direct
    }

    /// Whether all connections so far have a server process of their own.
    pub(super) fn holds(&self) -> bool {
        !self.0.shared.load(Ordering::Acquire)
    }

    /// Something between us and the server shares its connections.
    pub(super) fn give_up(&self) {
        self.0.shared.store(true, Ordering::Release);
    }

    pub(super) fn connector<T>(&self, tls: T, hosts: Hosts) -> DirectConnector<T> {
        DirectConnector {
            tls,
            hosts,
            direct: self.clone(),
        }
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.holds()).finish()
    }
}

/// What `statement_timeout` is to be for a query that may take `limit`, in milliseconds: a little
/// less, because a connection on which the server gave up can be used again, and one on which we
/// gave up cannot.
pub(super) fn statement_timeout(limit: Duration) -> u128 {
    /// What the setting can hold.
    const MOST: u128 = i32::MAX as u128;
    (limit * 9 / 10).as_millis().clamp(1, MOST)
}

/// Opens connections, and finds out.
pub(super) struct DirectConnector<T> {
    tls: T,
    hosts: Hosts,
    direct: Direct,
}

type Opened = Result<Connected, Error>;

type Connected = (Client, JoinHandle<()>);

struct Reached {
    opened: Connected,
    /// Whether the server follows another one.
    follows: bool,
}

impl<T> Connect for DirectConnector<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    /// Tries the hosts one after another; the pool's own configuration names all of them. Where
    /// ownership is kept, a standby is only what is left when no host is a primary: the lookups
    /// that meet it say what is wrong.
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>> {
        Box::pin(async move {
            let (mut failed, mut standby) = (None, None);
            for attempt in self.hosts.in_turn() {
                let connecting = async { self.connect_to(&*attempt.config().await?).await };
                match attempt.connect(connecting).await {
                    Some(Ok(Reached { opened, follows })) if follows && self.direct.0.writes => {
                        standby = Some(opened);
                    }
                    Some(Ok(Reached { opened, .. })) => {
                        attempt.answered();
                        return Ok(opened);
                    }
                    Some(Err(error)) => failed = Some(error),
                    None => {}
                }
            }
            match (failed, standby) {
                (_, Some(standby)) => Ok(standby),
                (Some(error), None) => Err(error),
                // There is at least one host, and the last has no bound of its own.
                (None, None) => std::future::pending().await,
            }
        })
    }
}

impl<T> DirectConnector<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    async fn connect_to(&self, config: &Config) -> Result<Reached, Error> {
        if self.direct.holds() {
            match self.connect_directly(config).await {
                Err(error) if is_refused(&error) => {}
                reached => return reached,
            }
        }
        let opened = self.open(config).await?;
        self.direct.give_up();
        // What is behind a pooler may be another server with each transaction.
        let follows = false;
        Ok(Reached { opened, follows })
    }

    async fn connect_directly(&self, config: &Config) -> Result<Reached, Error> {
        let mark = RandomState::new().build_hasher().finish();
        let mark = format!("{mark:016x}");
        // A stricter default would fail the loser of a race for a row.
        let options = format!(
            "{} -c statement_timeout={} -c default_transaction_isolation=read\\ committed -c {MARK}={mark}",
            config.get_options().unwrap_or_default(),
            statement_timeout(self.direct.0.limit)
        );
        // Among the options, the read-only default would make every primary fail the driver's check
        // of `target_session_attrs`. It is set only on a connection that has the mark: what is
        // behind a pooler is used by others, too.
        let set = if self.direct.0.writes {
            "NULL"
        } else {
            "set_config('default_transaction_read_only', 'on', false)"
        };
        let look = format!(
            "SELECT mark, pg_is_in_recovery(), CASE WHEN mark = '{mark}' THEN {set} END \
             FROM current_setting('{MARK}', true) AS mark"
        );
        let mut config = config.clone();
        let (client, task) = self.open(config.options(options)).await?;
        let (marked, follows) = match client.simple_query(&look).await {
            Ok(messages) => {
                let mut rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let told = rows.next();
                let told = told.map(|row| (row.get(0) == Some(&mark), row.get(1) == Some("t")));
                told.unwrap_or_default()
            }
            Err(error) if is_refused(&error) => (false, false),
            // A connection that ends as soon as it is there tells nothing of the next.
            Err(error) => return Err(error),
        };
        if !marked {
            self.direct.give_up();
        }
        let opened = (client, task);
        Ok(Reached { opened, follows })
    }

    async fn open(&self, config: &Config) -> Opened {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let task = tokio::spawn(async move {
            // The exchange that waits for an answer fails, too.
            if let Err(error) = connection.await {
                tracing::debug!(target: "tower_ownership", "a connection to PostgreSQL ended: {error}");
            }
        });
        Ok((client, task))
    }
}

/// A setting that means nothing to the server.
const MARK: &str = "tower_ownership.connection";

/// Whether the other end did not want the settings. `PgBouncer` answers that it knows no such
/// parameter; others may have other words, so everything counts that is no answer to a connection
/// without them: who we are (28), which database (3D), too many (53), not now (57).
fn is_refused(error: &Error) -> bool {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    code.is_some_and(|code| {
        !["28", "3D", "53", "57"]
            .iter()
            .any(|class| code.starts_with(class))
    })
}
