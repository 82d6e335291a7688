//! Connections to owners: a stack of idle ones for each.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{connection::Connection, failure::Failure, target::Target, upload::Progress};

/// Idle connections are looked for no more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// All connections of a layer. The machines that it keeps are those that requests are being carried to,
/// or were a moment ago.
#[derive(Debug)]
pub(super) struct Pool {
    owners: Mutex<HashMap<Target, Arc<Owner>>>,
    is_reaping: AtomicBool,
    limits: Limits,
}

/// The task that closes idle connections. It can end with its runtime before its work is done: the next
/// connection that is kept then begins another.
struct Reaping(Weak<Pool>);

impl Drop for Reaping {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.is_reaping.store(false, Ordering::Relaxed);
        }
    }
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

/// The connections to an owner.
#[derive(Debug)]
pub(super) struct Owner {
    target: Target,
    /// The newest is used first, so that those that are not needed grow old.
    idle: Mutex<Vec<Idle>>,
    carried: AtomicUsize,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A request that is being carried to an owner.
#[derive(Debug)]
pub(super) struct Ticket {
    owner: Arc<Owner>,
    pool: Arc<Pool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let is_last = self.owner.carried.fetch_sub(1, Ordering::Relaxed) == 1;
        // One that could not be connected to leaves nothing that the reaper would find.
        if is_last && lock(&self.owner.idle).is_empty() {
            self.pool.forget(&self.owner);
        }
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
        self.admit_to(&self.owner(target))
    }

    /// The same for an owner that is [held](Self::owner).
    pub(super) fn admit_to(self: &Arc<Self>, owner: &Arc<Owner>) -> Result<Ticket, Failure> {
        if owner.carried.fetch_add(1, Ordering::Relaxed) >= self.limits.carried {
            owner.carried.fetch_sub(1, Ordering::Relaxed);
            return Err(Failure::Full(self.limits.carried));
        }
        let (owner, pool) = (Arc::clone(owner), Arc::clone(self));
        Ok(Ticket { owner, pool })
    }

    /// The connections to this owner, which are known as long as this is held.
    pub(super) fn owner(&self, target: &Target) -> Arc<Owner> {
        let mut owners = lock(&self.owners);
        if let Some(owner) = owners.get(target) {
            return Arc::clone(owner);
        }
        let owner = Arc::new(Owner {
            target: target.clone(),
            idle: Mutex::default(),
            carried: AtomicUsize::new(0),
        });
        owners.insert(target.clone(), Arc::clone(&owner));
        owner
    }

    /// Removes an owner that has neither connections nor requests, and that only one more holds.
    fn forget(&self, owner: &Arc<Owner>) {
        let mut owners = lock(&self.owners);
        let is_unused = |known: &Arc<Owner>| {
            Arc::ptr_eq(known, owner) && !known.is_used() && Arc::strong_count(known) == 2
        };
        if owners.get(&owner.target).is_some_and(is_unused) {
            owners.remove(&owner.target);
        }
    }

    /// Begins to close connections that are idle for too long, unless that has begun.
    fn reap(self: &Arc<Self>) {
        if self.is_reaping.load(Ordering::Relaxed) || self.is_reaping.swap(true, Ordering::Relaxed)
        {
            return;
        }
        // A timeout of nothing is no reason to look all the time.
        let pause = (self.limits.idle_timeout / 2).max(LEAST_PAUSE);
        let mut reaping = Reaping(Arc::downgrade(self));
        tokio::spawn(async move {
            loop {
                sleep(pause).await;
                let is_done = reaping.0.upgrade().is_none_or(|pool| pool.close_old());
                if is_done {
                    // Another task may have begun.
                    drop(std::mem::take(&mut reaping.0));
                    return;
                }
            }
        });
    }

    /// Closes what is idle for too long; `true` if nothing is left that could become so.
    fn close_old(&self) -> bool {
        let mut owners = lock(&self.owners);
        let limit = self.limits.idle_timeout;
        let mut is_done = true;
        owners.retain(|_, owner| {
            lock(&owner.idle).retain(|idle| idle.is_usable(limit));
            let is_used = owner.is_used();
            is_done &= !is_used;
            is_used || Arc::strong_count(owner) > 1
        });
        if is_done {
            // Within the lock: what comes after it begins anew.
            self.is_reaping.store(false, Ordering::Relaxed);
        }
        is_done
    }
}

impl Owner {
    /// Whether there are requests or connections; within the pool's lock.
    fn is_used(&self) -> bool {
        self.carried.load(Ordering::Relaxed) > 0 || !lock(&self.idle).is_empty()
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

    /// Closes what is idle: an owner that did not answer on one connection may be gone with all others.
    pub(super) fn close_idle(&self) {
        lock(&self.owner.idle).clear();
    }

    /// Keeps the connection for the next request, as soon as it is done with this one.
    pub(super) fn give_back(self, mut connection: Connection, upload: Option<Arc<Progress>>) {
        if connection.is_ready() && upload.as_ref().is_none_or(|upload| upload.has_ended()) {
            self.keep(connection);
        } else if !connection.is_closed() {
            // The runtime is there: the answer came through it.
            tokio::spawn(async move {
                if connection.settles(upload.as_deref()).await {
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
}

impl Idle {
    fn is_usable(&self, limit: Duration) -> bool {
        self.connection.is_ready() && self.since.elapsed() < limit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    fn pool() -> Arc<Pool> {
        Pool::new(Limits {
            carried: 10,
            idle: 10,
            idle_timeout: Duration::from_secs(1),
        })
    }

    fn target(at: &str) -> Target {
        Target::new(&at.parse::<Address>().unwrap(), false)
    }

    #[test]
    fn an_owner_without_connections_and_requests_is_forgotten() {
        let pool = pool();
        let first = target("http://10.0.0.1:1");
        let tickets = [(); 2].map(|()| pool.admit(&first).unwrap());
        for ticket in tickets {
            assert_eq!(lock(&pool.owners).len(), 1);
            drop(ticket);
        }
        assert_eq!(lock(&pool.owners).len(), 0);
        // A route that is kept holds it, and what is carried by it counts with the others.
        let held = pool.owner(&first);
        let tickets = [pool.admit(&first), pool.admit_to(&held)].map(Result::unwrap);
        assert_eq!(held.carried.load(Ordering::Relaxed), 2);
        drop(tickets);
        assert!(pool.close_old());
        assert!(Arc::ptr_eq(&held, &pool.owner(&first)));
        drop(held);
        assert!(pool.close_old());
        assert_eq!(lock(&pool.owners).len(), 0);
        for port in 2..1_000 {
            drop(pool.admit(&target(&format!("http://10.0.0.1:{port}"))));
        }
        assert_eq!(lock(&pool.owners).len(), 0);
    }
}
