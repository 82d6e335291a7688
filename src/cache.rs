//! What is known of sessions for the moment, and who is asking for what is not.
//!
//! Two tables of [`quick_cache`], which keep what is used and make room for what is new: one for
//! sessions, and a smaller one for ids that are unknown, so that made-up ids can push out each
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
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_timer::Delay;
use futures_util::{FutureExt, future::select};
use quick_cache::sync::Cache as Table;

use crate::{
    MachineId, Session, SessionId,
    clock::{Clock, Tick},
    directory::lookup::{DynLookup, Refresh},
    meter,
    session::{Facts, SessionKey},
};

mod apart;
mod budget;
mod found;
mod freshness;
mod hold_down;
mod kept;
mod listeners;
mod lookups;
mod pending;
mod reached;
mod single_flight;

pub(crate) use apart::Remembered;
pub use found::CacheStatus;
pub(crate) use found::{Found, Hit};
pub use freshness::CachePolicy;
pub(crate) use freshness::Stamp;
pub(crate) use pending::Pending;
pub(crate) use single_flight::{Answer, Call, Caller, Flight, Join, SingleFlight};

use budget::{Budget, Weight};
use hold_down::HoldDown;
use listeners::{Listeners, Listening};
use reached::Reached;

/// One part in so many of the capacity is for unknown ids.
const UNKNOWN_SHARE: usize = 8;

/// For how many milliseconds no refresh is tried after one that was dropped.
const NO_REFRESH: u64 = 1_000;

/// What is to be known of each session that was read, when it was.
pub(crate) trait OnRead: Send + Sync {
    /// The read was sent at `read_at` and completed `now`.
    fn on_read(&self, session: &Session, read_at: Tick, now: Tick);
}

/// What a layer's cache is made of.
pub(crate) struct CachePart {
    pub(crate) lookup: DynLookup,
    pub(crate) timeout: Duration,
    pub(crate) freshness: CachePolicy,
    pub(crate) capacity: usize,
}

pub(crate) struct Cache {
    me: MachineId,
    freshness: CachePolicy,
    timeout: Duration,
    lookup: DynLookup,
    clock: Clock,
    known: Table<SessionKey, Entry, Weight>,
    budget: Budget,
    unknown: Table<SessionKey, Stamp>,
    lookups: SingleFlight,
    hold_down: HoldDown,
    reached: Reached,
    on_read: Box<dyn OnRead>,
    listeners: Arc<Listeners>,
    no_refresh_before: AtomicU64,
    owners: RwLock<HashSet<MachineId>>,
    pub(crate) meter: meter::Lookups,
}

#[derive(Clone)]
struct Entry {
    facts: Facts,
    stamp: Stamp,
}

impl Cache {
    /// `me`: whose sessions count as [owned](CachePolicy::owned).
    pub(crate) fn new(
        me: MachineId,
        clock: Clock,
        part: CachePart,
        on_read: Box<dyn OnRead>,
    ) -> Self {
        let unknown = (part.capacity / UNKNOWN_SHARE).max(1);
        let known = part.capacity.saturating_sub(unknown).max(1);
        let budget = Budget::new(part.freshness.max_attribute_bytes);
        Self {
            owners: RwLock::new(HashSet::from([me.clone()])),
            me,
            freshness: part.freshness,
            timeout: part.timeout,
            lookup: part.lookup,
            clock,
            known: budget.table(known),
            budget,
            unknown: Table::new(unknown),
            lookups: SingleFlight::default(),
            on_read,
            listeners: Arc::default(),
            hold_down: HoldDown::default(),
            reached: Reached::default(),
            no_refresh_before: AtomicU64::new(0),
            meter: meter::Lookups::new(),
        }
    }

    /// What is known of a session that is there, if it is fresh enough to be used.
    #[inline]
    pub(crate) fn hit(&self, id: &SessionId) -> Option<Hit> {
        let Entry { facts, stamp } = self.known.get(id)?;
        let (age, bound) = (self.clock.now().since(stamp.asked_at()), stamp.bound());
        (age < bound).then(|| Hit {
            session: Session::from_facts(id.clone(), facts),
            asked_at: stamp.asked_at(),
            age: Duration::from_millis(age),
            // Read again while it may still be used, so that a busy session never waits for it.
            ageing: age >= bound - bound / 5,
        })
    }

    /// What is known of the session and fresh enough to be used; for a request that was replayed,
    /// only what was read a moment ago. `hit`: what was found in the cache just now.
    pub(crate) fn get(
        self: &Arc<Self>,
        id: &SessionId,
        hit: Option<Hit>,
        replayed: bool,
    ) -> Option<Found> {
        let ageing = hit.as_ref().is_some_and(|hit| hit.ageing);
        let found = self.usable(id, hit, replayed)?;
        if ageing {
            self.refresh(id);
        }
        Some(found)
    }

    fn usable(&self, id: &SessionId, hit: Option<Hit>, replayed: bool) -> Option<Found> {
        let found = match hit {
            Some(hit) => hit.found(),
            None => self.is_unknown(id)?,
        };
        (!replayed || self.is_recheck(found.age)).then_some(found)
    }

    fn is_unknown(&self, id: &SessionId) -> Option<Found> {
        let stamp = self.unknown.get(id)?;
        let age = self.clock.now().since(stamp.asked_at());
        (age < stamp.bound()).then(|| Found {
            session: Ok(None),
            asked_at: stamp.asked_at(),
            age: Duration::from_millis(age),
            cache_status: CacheStatus::Hit,
            waited: None,
        })
    }

    /// What is known of the session and fresh enough to be used. Refreshes nothing.
    pub(crate) fn fresh(&self, id: &SessionId) -> Option<Found> {
        self.usable(id, self.hit(id), false)
    }

    /// Asks, together with all requests that are asking, unless what is known was read less than
    /// `within` milliseconds ago.
    pub(crate) fn read_within(self: &Arc<Self>, id: &SessionId, within: u64) -> Pending {
        let now = self.clock.now();
        let since = self.joined_since(now, false);
        let age = Duration::from_millis(within);
        let join = self.look_up(id, since, || {
            match self.fresh(id).filter(|found| found.age < age) {
                Some(found) => Some(Ok(found)),
                None => self.hold_down.refusal(now).map(Err),
            }
        });
        // Not even a stale answer is of use to a caller that wants a newer one than it has.
        Pending::new(Arc::clone(self), id.clone(), false, join)
    }

    /// Asks, together with all requests that are asking.
    pub(crate) fn load(self: &Arc<Self>, id: &SessionId, replayed: bool) -> Pending {
        let now = self.clock.now();
        let since = self.joined_since(now, replayed);
        let join = self.look_up(id, since, || {
            // Another request's lookup may have landed since this request looked.
            match self.usable(id, self.hit(id), replayed) {
                Some(found) => Some(Ok(found)),
                None => self.hold_down.refusal(now).map(Err),
            }
        });
        match &join {
            Join::Joined(_) => self.meter.joined(),
            Join::NoNeed(Err(_)) => self.meter.refused(),
            Join::Began(_) | Join::NoNeed(Ok(_)) => {}
        }
        // What is asked for because a replay cast doubt on it may not be stale.
        Pending::new(Arc::clone(self), id.clone(), !replayed, join)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Completes when something changes about the session from now on.
    pub(crate) fn listen(&self, id: &SessionId) -> Listening {
        self.listeners.listen(id.clone())
    }

    /// When a lookup has to have begun to be worth joining.
    ///
    /// Within the time limit of the one who began it: for as long as others came, one that hangs
    /// would keep them all waiting, and one that comes back in the end would tell what is no longer true. For a
    /// replayed request, which may rely only on a read that was sent a moment ago, within that.
    pub(crate) fn joined_since(&self, now: Tick, replayed: bool) -> Tick {
        let limit = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let recheck = u64::from(self.freshness.recheck);
        let longest = if replayed { limit.min(recheck) } else { limit };
        Tick(now.0.saturating_sub(longest))
    }

    /// What may be used in the place of a lookup that failed.
    fn rescue(&self, id: &SessionId) -> Option<Found> {
        let remembered = self.remembered(id).filter(Remembered::rescues)?;
        Some(Found {
            cache_status: CacheStatus::Stale,
            ..remembered.found
        })
    }

    /// Reads a session again in the background, unless that is under way.
    #[cold]
    pub(crate) fn refresh(self: &Arc<Self>, id: &SessionId) {
        let now = self.clock.now();
        if now.0 < self.no_refresh_before.load(Ordering::Relaxed) {
            return;
        }
        let since = self.joined_since(now, false);
        let refusal = || self.hold_down.refusal(now);
        let Join::Began(flight) = self.look_up(id, since, refusal) else {
            return;
        };
        self.meter.refreshed();
        let begun = flight.downgrade();
        let in_time = select(flight, Delay::new(self.timeout)).map(drop);
        self.lookup.spawn(Refresh::new(in_time));
        // A lookup that has nowhere to run it drops it, and would do so at every request.
        let was_dropped = begun.is_none_or(|begun| begun.upgrade().is_none());
        if was_dropped && self.hit(id).is_some_and(|hit| hit.ageing) {
            self.no_refresh_before
                .store(now.0 + NO_REFRESH, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("known", &self.known.len())
            .field("unknown", &self.unknown.len())
            .field("under_way", &self.lookups.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Cache {
    /// What a request gets without waiting.
    pub(crate) fn get_now(self: &Arc<Self>, id: &SessionId, replayed: bool) -> Option<Found> {
        self.get(id, self.hit(id), replayed)
    }
}

#[cfg(test)]
mod tests;
