//! The sessions that this machine has given up.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{SessionId, clock::Tick};

/// At so many, those that are settled are dropped, and then whenever there are twice as many as were
/// left, so that a release does not read all of the others.
const MANY: usize = 4_096;

/// No more are kept; some 6 MB.
const MOST: usize = 65_536;

/// Sessions that this machine may not serve at the epoch at which it gave them up, nor at an earlier
/// one, whatever it reads.
///
/// An unconfirmed release is never dropped, since its write may land at any time: the next owner may
/// then serve, and a read from before the write must not let this machine serve as well. The heartbeat
/// repeats them. Without one, each failed release stays, so the cap refuses new ones: the session
/// is not given up, and its owner serves on.
#[derive(Default)]
pub(super) struct Releases {
    begun: Mutex<Table>,
    /// Most machines never give one up, and should not take the lock for that.
    any: AtomicBool,
}

#[derive(Default)]
struct Table {
    by_session: HashMap<SessionId, Begun>,
    /// How many there are when the settled ones are dropped next.
    full_at: usize,
}

#[derive(Clone, Copy)]
struct Begun {
    epoch: u64,
    at: Tick,
    /// When the directory confirmed it. Before that the write may land at any time.
    confirmed: Option<Tick>,
}

impl Releases {
    /// Drops what was confirmed before `settled` if there are many. Returns whether there was room; a
    /// release that is repeated needs none.
    #[must_use]
    pub(super) fn begin(&self, id: &SessionId, epoch: u64, now: Tick, settled: Tick) -> bool {
        let mut table = self.lock();
        let Table {
            by_session,
            full_at,
        } = &mut *table;
        if by_session.len() >= MANY.max(*full_at) {
            by_session.retain(|_, one| one.confirmed.is_none_or(|at| at > settled));
            *full_at = MOST.min(2 * by_session.len());
            if by_session.len() >= MOST && !by_session.contains_key(id) {
                return false;
            }
        }
        self.any.store(true, Ordering::Release);
        let one = by_session.entry(id.clone()).or_insert(Begun {
            epoch,
            at: now,
            confirmed: None,
        });
        // Two may give it up at once, and the later one in the lock may know less.
        one.epoch = one.epoch.max(epoch);
        one.confirmed = None;
        true
    }

    pub(super) fn confirm(&self, id: &SessionId, now: Tick) {
        if let Some(one) = self.lock().by_session.get_mut(id) {
            one.confirmed = Some(now);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn contains(&self, id: &SessionId, epoch: u64) -> bool {
        !self.is_empty()
            && self
                .lock()
                .by_session
                .get(id)
                .is_some_and(|one| epoch <= one.epoch)
    }

    /// What was begun more than `age` ago and is not confirmed.
    pub(super) fn unconfirmed(&self, now: Tick, age: Duration) -> Vec<(SessionId, u64)> {
        let is_due = |one: &Begun| {
            one.confirmed.is_none() && u128::from(now.since(one.at)) >= age.as_millis()
        };
        let table = self.lock();
        let due = table.by_session.iter().filter(|(_, one)| is_due(one));
        due.map(|(id, one)| (id.clone(), one.epoch)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> SessionId {
        SessionId::from(Uuid::from_u128(number as u128))
    }

    #[test]
    fn unconfirmed_releases_are_capped_and_never_dropped() {
        let releases = Releases::default();
        let (begun, later) = (Tick(1_000), Tick(1_000_000));
        for number in 0..MOST {
            assert!(releases.begin(&id(number), 3, begun, Tick(0)), "{number}");
        }
        assert!(!releases.begin(&id(MOST), 3, later, later));
        assert!(!releases.contains(&id(MOST), 3), "its owner serves on");
        assert!(releases.contains(&id(0), 3));
        assert!(releases.begin(&id(0), 5, later, later), "it is repeated");
        assert!(releases.contains(&id(0), 5));
        releases.confirm(&id(0), later);
        assert!(!releases.begin(&id(MOST), 3, later, begun), "not settled");
        assert!(releases.begin(&id(MOST), 3, later, later));
        assert!(releases.contains(&id(MOST), 3));
        assert!(!releases.contains(&id(0), 5));
    }
}
