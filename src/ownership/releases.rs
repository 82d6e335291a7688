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

/// So many are kept before those of which nothing more can be heard are dropped.
const MANY: usize = 4_096;

/// Sessions that this machine may not serve at the epoch at which it gave them up, nor at an earlier
/// one, whatever it reads.
#[derive(Default)]
pub(super) struct Releases {
    begun: Mutex<HashMap<SessionId, Begun>>,
    /// Most machines never give one up, and should not take the lock for that.
    any: AtomicBool,
}

#[derive(Clone, Copy)]
struct Begun {
    epoch: u64,
    at: Tick,
    /// When the directory confirmed it. Before that the write may land at any time.
    confirmed: Option<Tick>,
}

impl Releases {
    /// Drops what was confirmed before `settled` if there are many.
    pub(super) fn begin(&self, id: SessionId, epoch: u64, now: Tick, settled: Tick) {
        self.any.store(true, Ordering::Release);
        let mut begun = self.lock();
        if begun.len() >= MANY {
            begun.retain(|_, one| one.confirmed.is_none_or(|at| at > settled));
        }
        let one = begun.entry(id).or_insert(Begun {
            epoch,
            at: now,
            confirmed: None,
        });
        // Two may give it up at once, and the later one in the lock may know less.
        one.epoch = one.epoch.max(epoch);
        one.confirmed = None;
    }

    pub(super) fn confirm(&self, id: SessionId, now: Tick) {
        if let Some(one) = self.lock().get_mut(&id) {
            one.confirmed = Some(now);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn contains(&self, id: SessionId, epoch: u64) -> bool {
        !self.is_empty() && self.lock().get(&id).is_some_and(|one| epoch <= one.epoch)
    }

    /// What was begun more than `age` ago and is not confirmed.
    pub(super) fn unconfirmed(&self, now: Tick, age: Duration) -> Vec<(SessionId, u64)> {
        let is_due = |one: &Begun| {
            one.confirmed.is_none() && u128::from(now.since(one.at)) >= age.as_millis()
        };
        let begun = self.lock();
        let due = begun.iter().filter(|(_, one)| is_due(one));
        due.map(|(id, one)| (*id, one.epoch)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
