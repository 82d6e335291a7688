//! The layers of one machine in this process.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{CacheHandle, MachineId, SessionId, Standing, WeakCacheHandle};

/// Every layer by which this process may serve the sessions of one machine.
///
/// The rows that a process writes speak for all of its layers: a proof of a release says that none
/// of them serves the session any more. A layer that the heartbeat or a drain does not know would
/// make it untrue. So a layer is added when it is built, by the lookup that it is built on, and one
/// that is built later takes over what the others were told. The layers are held weakly: a layer
/// owns its lookup.
pub(super) struct Layers {
    machine: MachineId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    caches: Vec<WeakCacheHandle>,
    has_joined: bool,
    standing: Option<Standing>,
    /// Sessions that were given up, with their epochs, while the directory has not confirmed it.
    given_up: HashMap<SessionId, GivenUp>,
}

#[derive(Clone, Copy)]
struct GivenUp {
    epoch: u64,
    at: Instant,
}

impl Layers {
    pub(super) fn of(machine: MachineId) -> Self {
        Self {
            machine,
            state: Mutex::default(),
        }
    }

    pub(super) fn machine(&self) -> &MachineId {
        &self.machine
    }

    /// Adds a layer, which takes over what the others were told.
    pub(super) fn add(&self, cache: &CacheHandle) {
        let is_alone = self.is_alone();
        let mut state = self.lock();
        state.caches.retain(WeakCacheHandle::is_there);
        if state.caches.iter().any(|other| other.is_of(cache)) {
            return;
        }
        // Without another layer, it is not known whether this process is alone.
        let is_alone = is_alone && !state.caches.is_empty();
        state.caches.push(cache.downgrade());
        let (has_joined, standing) = (state.has_joined, state.standing);
        let given_up: Vec<_> = state
            .given_up
            .iter()
            .map(|(session, one)| (*session, one.epoch))
            .collect();
        drop(state);
        if has_joined {
            join(cache, !is_alone);
        }
        for (session, epoch) in given_up {
            cache.give_up(session, epoch);
        }
        if let Some(standing) = standing {
            cache.worsen(standing);
        }
    }

    /// Whether a layer is left.
    pub(super) fn is_used(&self) -> bool {
        self.lock().caches.iter().any(WeakCacheHandle::is_there)
    }

    pub(super) fn all(&self) -> Vec<CacheHandle> {
        let state = self.lock();
        state
            .caches
            .iter()
            .filter_map(WeakCacheHandle::upgrade)
            .collect()
    }

    /// The process has registered the machine. `took_over`: from one that may be running.
    pub(super) fn join(&self, took_over: bool) {
        let mut state = self.lock();
        state.has_joined = true;
        // What a presence before this one was told ended with it.
        state.standing = None;
        drop(state);
        for cache in self.all() {
            join(&cache, took_over);
        }
    }

    /// The machine's row was lost and is this process's again. Another process may be running.
    pub(super) fn join_again(&self) {
        for cache in self.all() {
            join(&cache, true);
        }
    }

    pub(super) fn worsen(&self, standing: Standing) {
        let mut state = self.lock();
        let before = state.standing.unwrap_or_default();
        state.standing = Some(before.max(standing));
        drop(state);
        for cache in self.all() {
            cache.worsen(standing);
        }
    }

    /// Whether no other process of this machine can be serving any more.
    pub(super) fn is_alone(&self) -> bool {
        self.all().iter().all(CacheHandle::is_alone)
    }

    /// Stops serving the session at this epoch and before. Says whether the machine has waited for
    /// the owner before: one layer that has is enough, since that owner has stopped then, however
    /// lately another layer read the row.
    pub(super) fn give_up(&self, session: SessionId, epoch: u64) -> bool {
        let at = Instant::now();
        let mut state = self.lock();
        let one = state.given_up.entry(session);
        let one = one.or_insert(GivenUp { epoch, at });
        one.epoch = one.epoch.max(epoch);
        drop(state);
        let all = self.all();
        let waited = all.iter().map(|cache| cache.give_up(session, epoch));
        waited.fold(false, |any, has_waited| any | has_waited)
    }

    /// The directory says that the session is not this machine's any more.
    pub(super) fn gave_up(&self, session: SessionId) {
        self.lock().given_up.remove(&session);
        for cache in self.all() {
            cache.gave_up(session);
        }
    }

    /// What was given up before `age` ago and is not known to be written.
    pub(super) fn unwritten(&self, age: Duration) -> Vec<(SessionId, u64)> {
        let state = self.lock();
        let old = state
            .given_up
            .iter()
            .filter(|(_, one)| one.at.elapsed() >= age);
        old.map(|(session, one)| (*session, one.epoch)).collect()
    }

    /// The sessions for whose owner before this machine has waited, with their epochs.
    pub(super) fn waited_out(&self) -> HashSet<(SessionId, u64)> {
        self.all()
            .iter()
            .flat_map(CacheHandle::waited_out)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(cache: &CacheHandle, took_over: bool) {
    if took_over {
        cache.joined_as_successor();
    } else {
        cache.joined();
    }
}
