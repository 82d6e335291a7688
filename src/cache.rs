//! What is known of sessions for the moment, and who is asking for what is not.
//!
//! Two tables of [`quick_cache`], which keep what is used and make room for what is new: one for
//! sessions, and a smaller one for ids that nobody knows, so that made-up ids can push out each
//! other and nothing else. A hit takes one shard's read lock for the length of a hash probe.
//!
//! Why `quick_cache`: beside moka it was measured (`benches/RESULTS.md`) at a sixth of the time for
//! a hit on one thread and a quarter of the memory for an entry; what is as fast, such as papaya or
//! a sharded map, has no bound. What it lacks is built here: an expiry (a stamp in the value,
//! compared on reading), and single flight in which a failure reaches all who waited at once (its
//! own lets waiters try one after the other).

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_timer::Delay;
use futures_util::{FutureExt, future::select};
use quick_cache::sync::Cache as Table;

use crate::{
    MachineId, Session, SessionId,
    lookup::{DynLookup, Refresh},
    session::Facts,
    standing::AtomicStanding,
};

mod clock;
mod flights;
mod found;
mod freshness;
mod handle;
mod hold_down;
mod pending;
mod tenures;

pub(crate) use clock::{Clock, Tick};
pub(crate) use flights::{Answer, Flight};
pub(crate) use found::Found;
pub use found::Source;
pub use freshness::Freshness;
pub(crate) use freshness::Stamp;
pub use handle::CacheHandle;
pub(crate) use pending::Pending;

use flights::{Boarding, Flights};
use hold_down::HoldDown;
use tenures::Tenures;

/// One part in so many of the capacity is for ids that nobody knows.
const UNKNOWN_SHARE: usize = 8;

/// How many machine ids are kept to be shared; beyond that, sessions have their own copies.
const SHARED_OWNERS: usize = 16_384;

/// For how many milliseconds no refresh is tried after one that was dropped.
const NO_REFRESH: u64 = 1_000;

pub(crate) struct Cache {
    me: MachineId,
    freshness: Freshness,
    timeout: Duration,
    lookup: DynLookup,
    clock: Clock,
    known: Table<SessionId, Entry>,
    unknown: Table<SessionId, Stamp>,
    flights: Flights,
    hold_down: HoldDown,
    tenures: Tenures,
    standing: AtomicStanding,
    no_refresh_before: AtomicU64,
    owners: RwLock<HashSet<MachineId>>,
}

#[derive(Clone)]
struct Entry {
    facts: Facts,
    stamp: Stamp,
}

struct Peeked {
    found: Found,
    ageing: bool,
}

impl Cache {
    pub(crate) fn new(
        me: MachineId,
        lookup: DynLookup,
        timeout: Duration,
        freshness: Freshness,
        capacity: usize,
        clock: Clock,
    ) -> Self {
        let unknown = (capacity / UNKNOWN_SHARE).max(1);
        Self {
            owners: RwLock::new(HashSet::from([me.clone()])),
            me,
            freshness,
            timeout,
            lookup,
            clock,
            known: Table::new(capacity.saturating_sub(unknown).max(1)),
            unknown: Table::new(unknown),
            flights: Flights::default(),
            hold_down: HoldDown::default(),
            tenures: Tenures::new(capacity / 4, freshness.owned),
            standing: AtomicStanding::default(),
            no_refresh_before: AtomicU64::new(0),
        }
    }

    /// What is known of the session and fresh enough to be used; for a request that was replayed,
    /// only what was read a moment ago.
    pub(crate) fn get(self: &Arc<Self>, id: SessionId, replayed: bool) -> Option<Found> {
        let found = self.peek(id, replayed)?;
        if found.ageing {
            self.refresh(id);
        }
        Some(found.found)
    }

    fn peek(&self, id: SessionId, replayed: bool) -> Option<Peeked> {
        let (session, stamp) = match self.known.get(&id) {
            Some(Entry { facts, stamp }) => (Some(facts), stamp),
            None => (None, self.unknown.get(&id)?),
        };
        let age = self.clock.now().since(stamp.asked_at());
        let bound = stamp.bound();
        if age >= bound || (replayed && age >= u64::from(self.freshness.recheck)) {
            return None;
        }
        Some(Peeked {
            // Read again while it may still be used, so that a busy session never waits for it.
            ageing: age >= bound - bound / 5 && session.is_some(),
            found: Found {
                session: Ok(session.map(|facts| Session::from_facts(id, facts))),
                age: Duration::from_millis(age),
                source: Source::Cache,
            },
        })
    }

    /// Asks, together with whoever else is asking.
    pub(crate) fn load(self: &Arc<Self>, id: SessionId, replayed: bool) -> Pending {
        let now = self.clock.now();
        let since = self.joined_since(now, replayed);
        let boarding = self.flights.join_or_begin(self, id, since, || {
            // Somebody's lookup may have landed since this request looked.
            match self.peek(id, replayed) {
                Some(peeked) => Some(Ok(peeked.found)),
                None => self.hold_down.refusal(now).map(Err),
            }
        });
        Pending::new(Arc::clone(self), id, replayed, boarding)
    }

    /// When a lookup has to have begun to be worth joining.
    ///
    /// Within the time limit of the one who began it: for as long as others came, one that hangs
    /// would keep them all waiting, and one that comes back in the end would tell old news. For a
    /// replayed request, which may rely only on a read that was sent a moment ago, within that.
    fn joined_since(&self, now: Tick, replayed: bool) -> Tick {
        let limit = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let recheck = u64::from(self.freshness.recheck);
        let longest = if replayed { limit.min(recheck) } else { limit };
        Tick(now.0.saturating_sub(longest))
    }

    /// What may be used in the place of a lookup that failed.
    fn rescue(&self, id: SessionId) -> Option<Found> {
        let Entry { facts, stamp } = self.known.get(&id)?;
        let age = self.clock.now().since(stamp.asked_at());
        let grace = self.freshness.grace(&facts, &self.me);
        // Nobody can say whether the end of its life was put off.
        let lives = facts.remaining().is_none_or(|life| age < life);
        (lives && age < stamp.bound() + u64::from(grace)).then(|| Found {
            session: Ok(Some(Session::from_facts(id, facts))),
            age: Duration::from_millis(age),
            source: Source::Stale,
        })
    }

    /// Reads a session again in the background, unless somebody does so already.
    fn refresh(self: &Arc<Self>, id: SessionId) {
        let now = self.clock.now();
        if now.0 < self.no_refresh_before.load(Ordering::Relaxed) {
            return;
        }
        let since = self.joined_since(now, false);
        let refusal = || self.hold_down.refusal(now);
        let Boarding::Began(flight) = self.flights.join_or_begin(self, id, since, refusal) else {
            return;
        };
        let begun = flight.downgrade();
        let in_time = select(flight, Delay::new(self.timeout)).map(drop);
        self.lookup.spawn(Refresh::new(in_time));
        // A lookup that has nowhere to run it drops it, and would do so at every request.
        let was_dropped = begun.is_none_or(|begun| begun.upgrade().is_none());
        if was_dropped && self.peek(id, false).is_some_and(|peeked| peeked.ageing) {
            self.no_refresh_before
                .store(now.0 + NO_REFRESH, Ordering::Relaxed);
        }
    }

    /// Keeps what a lookup came back with. Failures are for those who waited, not for later.
    fn keep(&self, id: SessionId, answer: &Answer) {
        match &answer.session {
            Ok(Some(session)) => {
                let facts = session.clone().into_facts();
                let bound = self.freshness.of(&facts, &self.me);
                self.unknown.remove(&id);
                if bound > 0 {
                    let stamp = Stamp::new(id, answer.asked_at, bound);
                    self.known.insert(id, Entry { facts, stamp });
                } else {
                    // It may not be used again, and what it replaces even less.
                    self.known.remove(&id);
                }
            }
            Ok(None) => {
                self.known.remove(&id);
                if self.freshness.unknown > 0 {
                    self.unknown
                        .insert(id, Stamp::new(id, answer.asked_at, self.freshness.unknown));
                }
            }
            Err(_) => {}
        }
    }

    /// Lets sessions of one owner share its id, in memory.
    fn share_owner(&self, session: Session) -> Session {
        let id = session.id();
        let mut facts = session.into_facts();
        facts.share_owner(|owner| {
            let shared = self
                .owners
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(owner)
                .cloned();
            shared.unwrap_or_else(|| {
                let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
                if owners.len() >= SHARED_OWNERS {
                    owners.clear();
                    owners.insert(self.me.clone());
                }
                owners.insert(owner.clone());
                owner.clone()
            })
        });
        Session::from_facts(id, facts)
    }

    fn invalidate(&self, id: SessionId) {
        self.flights.disown(id, || {
            self.known.remove(&id);
            self.unknown.remove(&id);
        });
    }

    fn invalidate_all(&self) {
        self.flights.disown_all(|| {
            self.known.clear();
            self.unknown.clear();
        });
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("known", &self.known.len())
            .field("unknown", &self.unknown.len())
            .field("under_way", &self.flights.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
