//! The replay cache: later requests go straight to a target that an earlier replay named.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache_order::Pattern;
use super::instruction::Target;
use super::session_cache::SessionKey;

/// Entries by host and path prefix, or by host and session, at most `capacity` of them.
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

/// A cached replay, and what it was asked for with.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) target: Target,
    pub(super) allow_bypass: bool,
    /// The app of the machine that asked for the replay: what the target is relative to.
    pub(super) app: String,
    /// The machine that asked for the replay, which `elsewhere` leaves out.
    pub(super) emitter: String,
}

#[derive(Debug)]
struct Entry {
    cached: Cached,
    host: String,
    covers: Covers,
    expires: Instant,
}

/// Which later requests an entry answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Covers {
    Path(Pattern),
    Session(SessionKey),
}

/// A request, as far as an entry is found by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) session: Option<&'a SessionKey>,
}

impl ReplayCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// The entry that covers this request: of its session, or else with the longest prefix. Which comes
    /// first is not documented.
    pub(super) fn find(&self, asked: Asked<'_>) -> Option<Cached> {
        let mut state = self.state();
        state.expire();
        state
            .entries
            .iter()
            .filter(|entry| entry.covers(asked))
            .max_by_key(|entry| match &entry.covers {
                Covers::Session(_) => usize::MAX,
                Covers::Path(pattern) => pattern.prefix.len(),
            })
            .map(|entry| entry.cached.clone())
    }

    pub(super) fn store(&self, host: &str, covers: Covers, ttl: Duration, cached: Cached) {
        if self.capacity == 0 {
            return;
        }
        let mut state = self.state();
        state.expire();
        let Some(expires) = state.now().checked_add(ttl) else {
            return;
        };
        let host = match &covers {
            Covers::Path(pattern) => pattern.host.as_deref().unwrap_or(host),
            Covers::Session(_) => host,
        };
        let host = host.to_owned();
        state
            .entries
            .retain(|entry| entry.host != host || !entry.covers.is_replaced_by(&covers));
        if state.entries.len() >= self.capacity {
            // The oldest goes: an entry is an optimisation, its loss costs one replay.
            state.entries.remove(0);
        }
        state.entries.push(Entry {
            cached,
            host,
            covers,
            expires,
        });
    }

    /// Forgets every entry that covers this request.
    pub(super) fn invalidate(&self, asked: Asked<'_>) {
        self.state().entries.retain(|entry| !entry.covers(asked));
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
    fn covers(&self, asked: Asked<'_>) -> bool {
        self.host == asked.host
            && match &self.covers {
                Covers::Path(pattern) => pattern.matches(asked.host, asked.path),
                Covers::Session(key) => asked.session == Some(key),
            }
    }
}

impl Covers {
    fn is_replaced_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(old), Self::Path(new)) => old.prefix == new.prefix,
            _ => self == other,
        }
    }
}
