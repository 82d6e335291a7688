//! The replay cache: later requests go straight to a target that an earlier replay named.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache_order::Pattern;
use super::instruction::Target;

/// Entries by host and path prefix, at most `capacity` of them.
#[derive(Debug)]
pub(super) struct ReplayCache {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    /// How far [`ReplayCache::advance`] moved the clock.
    ahead: Duration,
}

/// One cached replay.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) allow_bypass: bool,
    /// The app of the machine that asked for the replay: what the target is relative to.
    pub(super) app: String,
    /// The machine that asked for the replay, which `elsewhere` leaves out.
    pub(super) emitter: String,
    host: String,
    pattern: Pattern,
    expires: Instant,
}

impl ReplayCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// The entry with the longest prefix that covers this request.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<Entry> {
        let mut state = self.state();
        state.expire();
        state
            .entries
            .iter()
            .filter(|entry| entry.covers(host, path))
            .max_by_key(|entry| entry.pattern.prefix.len())
            .cloned()
    }

    pub(super) fn store(
        &self,
        host: &str,
        pattern: Pattern,
        target: Target,
        app: &str,
        emitter: &str,
    ) {
        if self.capacity == 0 {
            return;
        }
        let mut state = self.state();
        state.expire();
        let Some(expires) = state.now().checked_add(pattern.ttl) else {
            return;
        };
        let host = pattern.host.clone().unwrap_or_else(|| host.to_owned());
        state
            .entries
            .retain(|entry| entry.host != host || entry.pattern.prefix != pattern.prefix);
        if state.entries.len() >= self.capacity {
            // The oldest goes: an entry is an optimisation, its loss costs one replay.
            state.entries.remove(0);
        }
        state.entries.push(Entry {
            target,
            allow_bypass: pattern.allow_bypass,
            app: app.to_owned(),
            emitter: emitter.to_owned(),
            host,
            pattern,
            expires,
        });
    }

    /// Forgets every entry that covers this request.
    pub(super) fn invalidate(&self, host: &str, path: &str) {
        self.state()
            .entries
            .retain(|entry| !entry.covers(host, path));
    }

    pub(super) fn len(&self) -> usize {
        let mut state = self.state();
        state.expire();
        state.entries.len()
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.ahead = state.ahead.saturating_add(by);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.ahead).unwrap_or(now)
    }

    fn expire(&mut self) {
        let now = self.now();
        self.entries.retain(|entry| entry.expires > now);
    }
}

impl Entry {
    fn covers(&self, host: &str, path: &str) -> bool {
        self.host == host && self.pattern.matches(host, path)
    }
}
