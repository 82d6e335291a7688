//! Connections to owners: a stack of idle ones for each.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::client::conn::{http1, http2};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{failure::Failure, target::Target, upload::Upload};

/// How long a connection may take to be done with a request whose answer is complete: an owner that
/// answered early may still read the body.
const SETTLING_TIMEOUT: Duration = Duration::from_secs(5);

/// Streams of one connection of HTTP/2. RFC 9113 (section 6.5.2) recommends that a server takes no fewer.
const MAX_STREAMS: usize = 100;

/// All connections of a layer. The machines that it keeps are those that requests are being carried to,
/// or were a moment ago.
#[derive(Debug)]
pub(super) struct Pool {
    owners: Mutex<HashMap<Target, Arc<Owner>>>,
    is_reaping: AtomicBool,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests and tunnels to one owner at a time.
    pub(super) carried: usize,
    /// Idle connections to one owner.
    pub(super) idle: usize,
    /// How long a connection may be idle.
    pub(super) idle_timeout: Duration,
}

#[derive(Debug, Default)]
struct Owner {
    /// The newest is used first, so that those that are not needed grow old.
    idle: Mutex<Vec<Idle>>,
    /// Locked while one is made, so that requests which come at once share it.
    http2: tokio::sync::Mutex<Vec<Shared>>,
    carried: AtomicUsize,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection of HTTP/1.1, which carries one request at a time. Dropped, it is closed at once.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: http1::SendRequest<Upload>,
    pub(super) _driver: Driver,
}

/// The task that reads and writes a connection; it ends with this.
#[derive(Debug)]
pub(super) struct Driver(pub(super) JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<Upload>,
    /// One reference for each stream.
    streams: Arc<()>,
    used: Instant,
}

/// One stream of a connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) sender: http2::SendRequest<Upload>,
    _counted: Arc<()>,
}

/// A request that is being carried to an owner.
#[derive(Debug)]
pub(super) struct Ticket {
    owner: Arc<Owner>,
    pool: Arc<Pool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.owner.carried.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            owners: Mutex::default(),
            is_reaping: AtomicBool::new(false),
            limits,
        })
    }

    /// Counts a request to this owner, or says that there are too many.
    pub(super) fn admit(self: &Arc<Self>, target: &Target) -> Result<Ticket, Failure> {
        let mut owners = lock(&self.owners);
        let owner = match owners.get(target) {
            Some(owner) => Arc::clone(owner),
            None => Arc::clone(owners.entry(target.clone()).or_default()),
        };
        // Within the lock: an owner that is counted for is not removed.
        if owner.carried.fetch_add(1, Ordering::Relaxed) >= self.limits.carried {
            owner.carried.fetch_sub(1, Ordering::Relaxed);
            return Err(Failure::Full(self.limits.carried));
        }
        drop(owners);
        let pool = Arc::clone(self);
        Ok(Ticket { owner, pool })
    }

    /// Begins to close connections that are idle for too long, unless that has begun.
    fn reap(self: &Arc<Self>) {
        if self.is_reaping.load(Ordering::Relaxed) || self.is_reaping.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let (pool, pause) = (Arc::downgrade(self), self.limits.idle_timeout / 2);
        tokio::spawn(async move {
            loop {
                sleep(pause).await;
                let Some(pool) = Weak::upgrade(&pool) else {
                    return;
                };
                if pool.close_old() {
                    return;
                }
            }
        });
    }

    /// Closes what is idle for too long; `true` if nothing is left that could become so.
    fn close_old(&self) -> bool {
        let mut owners = lock(&self.owners);
        let limit = self.limits.idle_timeout;
        owners.retain(|_, owner| {
            let mut idle = lock(&owner.idle);
            idle.retain(|idle| idle.is_usable(limit));
            let Ok(mut shared) = owner.http2.try_lock() else {
                return true;
            };
            shared.retain(|shared| !shared.sender.is_closed() && !shared.is_idle(limit));
            let is_used = owner.carried.load(Ordering::Relaxed) > 0;
            is_used || !idle.is_empty() || !shared.is_empty()
        });
        let is_empty = owners.is_empty();
        if is_empty {
            // Within the lock: what comes after it begins anew.
            self.is_reaping.store(false, Ordering::Relaxed);
        }
        is_empty
    }
}

impl Ticket {
    /// An idle connection that has not been closed, as far as this side knows.
    pub(super) fn idle(&self) -> Option<Connection> {
        let limit = self.pool.limits.idle_timeout;
        let mut idle = lock(&self.owner.idle);
        while let Some(next) = idle.pop() {
            if next.is_usable(limit) {
                return Some(next.connection);
            }
        }
        None
    }

    /// Keeps the connection for the next request, as soon as it is done with this one.
    pub(super) fn give_back(self, mut connection: Connection) {
        if connection.sender.is_ready() {
            self.keep(connection);
        } else if !connection.sender.is_closed() {
            // The runtime is there: the answer came through it.
            tokio::spawn(async move {
                let settled = timeout(SETTLING_TIMEOUT, connection.sender.ready()).await;
                if let Ok(Ok(())) = settled {
                    self.keep(connection);
                }
            });
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = lock(&self.owner.idle);
        if idle.len() >= self.pool.limits.idle {
            return;
        }
        idle.push(Idle {
            connection,
            since: Instant::now(),
        });
        drop(idle);
        self.pool.reap();
    }

    /// A stream of a connection that is there, or of one that `connect` makes.
    pub(super) async fn stream(
        &self,
        is_new: bool,
        connect: impl Future<Output = Result<http2::SendRequest<Upload>, Failure>>,
    ) -> Result<Stream, Failure> {
        let mut shared = self.owner.http2.lock().await;
        shared.retain(|shared| !shared.sender.is_closed());
        let has_room = |shared: &&mut Shared| Arc::strong_count(&shared.streams) <= MAX_STREAMS;
        if !is_new && let Some(shared) = shared.iter_mut().find(has_room) {
            shared.used = Instant::now();
            return Ok(shared.stream());
        }
        let made = Shared {
            sender: connect.await?,
            streams: Arc::default(),
            used: Instant::now(),
        };
        let stream = made.stream();
        shared.push(made);
        drop(shared);
        self.pool.reap();
        Ok(stream)
    }
}

impl Idle {
    fn is_usable(&self, limit: Duration) -> bool {
        self.connection.sender.is_ready() && self.since.elapsed() < limit
    }
}

impl Shared {
    fn stream(&self) -> Stream {
        Stream {
            sender: self.sender.clone(),
            _counted: Arc::clone(&self.streams),
        }
    }

    fn is_idle(&self, limit: Duration) -> bool {
        Arc::strong_count(&self.streams) == 1 && self.used.elapsed() >= limit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
