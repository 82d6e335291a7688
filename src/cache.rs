//! What is known of sessions for the moment, and who is asking for what is not.
//!
//! Sessions are in a [table of our own](table), which is read without a lock, as long as they are
//! [plain], and in `quick_cache` else; [`known`] hides which. Ids that are unknown have a smaller table, so
//! that made-up ids can push out each other and nothing else.
//!
//! Why `quick_cache` for the rest: beside moka it was measured (`benches/RESULTS.md`) at a sixth of the time
//! for a hit on one thread and a quarter of the memory for an entry; what is as fast, such as papaya or
//! a sharded map, has no bound. What both tables lack is built here: an expiry (a stamp in the value,
//! compared on reading), and single flight in which a failure reaches all who waited at once
//! (that of `quick_cache` lets waiters try one after the other).

use std::{
    fmt,
    sync::{
        Arc,
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
    session::SessionKey,
};

mod apart;
mod budget;
mod found;
mod freshness;
mod hold_down;
mod kept;
mod known;
mod listeners;
mod lookups;
mod moves;
mod owners;
mod pending;
mod plain;
mod reached;
mod set;
mod single_flight;
mod sync;
mod table;

pub(crate) use apart::Remembered;
pub use found::CacheStatus;
pub(crate) use found::{Found, Glance, Hit};
pub use freshness::CachePolicy;
pub(crate) use freshness::Stamp;
pub(crate) use pending::Pending;
pub(crate) use plain::Usual;
pub(crate) use single_flight::{Answer, Call, Caller, Flight, Join, SingleFlight};

use budget::Budget;
use hold_down::HoldDown;
use known::{Entry, Known};
use listeners::{Listeners, Listening};
use moves::Moves;
use reached::Reached;

/// One part in so many of the capacity is for unknown ids.
const UNKNOWN_SHARE: usize = 8;

/// For how many milliseconds no refresh is tried after one that was dropped.
const NO_REFRESH: u64 = 1_000;

/// What is to be known of each session that was read, when it was.
pub(crate) trait OnRead: Send + Sync {
    /// The read was sent at `read_at` and completed `now`.
    fn on_read(&self, session: &Session, read_at: Tick, now: Tick);

    /// Whether this machine owns the session, and may serve it by this read without a wait for the owner
    /// before it. It does not begin such a wait, and says nothing about how long the read may be used.
    fn serves_at_once(&self, session: &Session, read_at: Tick) -> bool;

    /// Whether this machine has given the session up at this epoch itself, or gives up all of its sessions.
    fn gave_up(&self, session: &SessionId, epoch: Option<u64>) -> bool;

    /// For how many milliseconds a read lets its session's owner serve.
    fn lease_ttl(&self) -> u64;
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
    known: Known,
    budget: Budget,
    unknown: Table<SessionKey, Stamp>,
    lookups: SingleFlight,
    hold_down: HoldDown,
    reached: Reached,
    on_read: Box<dyn OnRead>,
    listeners: Arc<Listeners>,
    moves: Moves,
    no_refresh_before: AtomicU64,
    pub(crate) meter: meter::Lookups,
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
            me,
            freshness: part.freshness,
            timeout: part.timeout,
            lookup: part.lookup,
            clock,
            known: Known::new(known, &budget),
            budget,
            unknown: Table::new(unknown),
            lookups: SingleFlight::default(),
            on_read,
            listeners: Arc::default(),
            moves: Moves::default(),
            hold_down: HoldDown::default(),
            reached: Reached::default(),
            no_refresh_before: AtomicU64::new(0),
            meter: meter::Lookups::new(),
        }
    }

    /// What is known of most sessions that are there, if it is fresh enough to be used. It writes nothing
    /// that another thread reads, and waits for nothing.
    #[inline]
    pub(crate) fn glance(&self, id: &SessionId) -> Option<Glance> {
        let (plain, stamp) = self.known.glance(id)?;
        Glance::of(plain, stamp, self.clock.now())
    }

    /// The session that was glanced at.
    pub(crate) fn session(&self, id: &SessionId, glance: &Glance) -> Session {
        Session::from_facts(id.clone(), self.known.facts(glance.plain))
    }

    /// The number of the session's owner, as it is [glanced](Self::glance) at.
    pub(crate) fn owner_number(&self, session: &Session) -> Option<u16> {
        self.known.owner_number(session.facts())
    }

    /// What is known of a session that is there, if it is fresh enough to be used.
    pub(crate) fn hit(&self, id: &SessionId) -> Option<Hit> {
        let Entry { facts, stamp } = self.known.get(id)?;
        let age = self.clock.now().since(stamp.asked_at());
        stamp.is_fresh(age).then(|| Hit {
            session: Session::from_facts(id.clone(), facts),
            asked_at: stamp.asked_at(),
            age: Duration::from_millis(age),
            ageing: stamp.is_ageing(age),
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
    /// Within the [time limit](Self::begun_in_time), and half of the lease, which counts from when it was sent:
    /// a stream reads its session now and then, and does not go on with that while its client does not read,
    /// so that requests got an answer too old to serve by. For a replayed request, which may rely only
    /// on a read that was sent a moment ago, within that.
    fn joined_since(&self, now: Tick, replayed: bool) -> Tick {
        let useful = self.on_read.lease_ttl() / 2;
        let recheck = u64::from(self.freshness.recheck);
        let longest = if replayed {
            useful.min(recheck)
        } else {
            useful
        };
        Tick(now.0.saturating_sub(longest)).max(self.begun_in_time(now))
    }

    /// When a call has to have begun to be within the time limit of the request that began it. For as long as
    /// others came, one that hangs would keep them all waiting, and one that comes back in the end would
    /// tell what is no longer true.
    pub(crate) fn begun_in_time(&self, now: Tick) -> Tick {
        let limit = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        Tick(now.0.saturating_sub(limit))
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
mod table_tests;
#[cfg(test)]
mod tests;
