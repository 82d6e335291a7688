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
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_timer::Delay;
use futures_util::{FutureExt, future::select};
use quick_cache::sync::Cache as Table;

use crate::{
    MachineId, Session, SessionId, Standing,
    directory::DynDirectory,
    lookup::{DynLookup, Refresh},
    meter,
    session::Facts,
    standing::AtomicStanding,
};

mod apart;
mod claim_pause;
mod clock;
mod flights;
mod found;
mod freshness;
mod handle;
mod hold_down;
mod kept;
mod listeners;
mod pending;
mod reached;
mod rights;
mod tenures;

pub(crate) use apart::Remembered;
pub(crate) use clock::{Clock, Tick};
pub(crate) use flights::{Answer, Flight};
pub(crate) use found::Found;
pub use found::Source;
pub use freshness::Freshness;
pub(crate) use freshness::Stamp;
pub use handle::CacheHandle;
#[cfg(feature = "postgres")]
pub(crate) use handle::WeakCacheHandle;
pub(crate) use pending::Pending;

use claim_pause::ClaimPauses;
use flights::{Ask, Boarding, Flights};
use hold_down::HoldDown;
use listeners::{Listeners, Listening};
use reached::Reached;
use tenures::Tenures;

/// One part in so many of the capacity is for ids that nobody knows.
const UNKNOWN_SHARE: usize = 8;

/// For how many milliseconds no refresh is tried after one that was dropped.
const NO_REFRESH: u64 = 1_000;

pub(crate) struct Cache {
    me: MachineId,
    freshness: Freshness,
    timeout: Duration,
    lookup: DynLookup,
    directory: Option<DynDirectory>,
    clock: Clock,
    known: Table<SessionId, Entry>,
    unknown: Table<SessionId, Stamp>,
    flights: Flights,
    /// Claims under way. Whoever needs both locks takes this one's first.
    claims: Flights,
    claim_pauses: ClaimPauses,
    hold_down: HoldDown,
    reached: Reached,
    tenures: Tenures,
    standing: AtomicStanding,
    /// From when on a read has to have been sent to prove anything, in milliseconds.
    trusted_from: AtomicU64,
    /// When this process joined its fleet, in milliseconds; zero if it never did.
    joined_at: AtomicU64,
    /// When no other process of this machine can be serving any more, in milliseconds.
    alone_from: AtomicU64,
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

struct Peeked {
    found: Found,
    ageing: bool,
}

impl Cache {
    pub(crate) fn new(
        me: MachineId,
        lookup: DynLookup,
        directory: Option<DynDirectory>,
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
            directory,
            clock,
            known: Table::new(capacity.saturating_sub(unknown).max(1)),
            unknown: Table::new(unknown),
            flights: Flights::default(),
            claims: Flights::default(),
            claim_pauses: ClaimPauses::new(),
            trusted_from: AtomicU64::new(0),
            joined_at: AtomicU64::new(0),
            alone_from: AtomicU64::new(0),
            listeners: Arc::default(),
            hold_down: HoldDown::default(),
            reached: Reached::default(),
            tenures: Tenures::new(capacity, freshness.owned),
            standing: AtomicStanding::new(Standing::Serving),
            no_refresh_before: AtomicU64::new(0),
            meter: meter::Lookups::new(),
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
                asked_at: stamp.asked_at(),
                age: Duration::from_millis(age),
                source: Source::Cache,
                waited: None,
            },
        })
    }

    /// Asks, together with whoever else is asking, unless what is known was read less than `within`
    /// milliseconds ago.
    pub(crate) fn read_within(self: &Arc<Self>, id: SessionId, within: u64) -> Pending {
        let now = self.clock.now();
        let since = self.joined_since(now, false);
        let boarding = self.flights.join_or_begin(self, Ask::Look(id), since, || {
            let age = Duration::from_millis(within);
            match self.peek(id, false).filter(|peeked| peeked.found.age < age) {
                Some(peeked) => Some(Ok(peeked.found)),
                None => self.hold_down.refusal(now).map(Err),
            }
        });
        // Not even a stale answer is of use to somebody who wants a newer one than it has.
        Pending::new(Arc::clone(self), id, false, boarding)
    }

    /// Asks, together with whoever else is asking.
    pub(crate) fn load(self: &Arc<Self>, id: SessionId, replayed: bool) -> Pending {
        let now = self.clock.now();
        let since = self.joined_since(now, replayed);
        let boarding = self.flights.join_or_begin(self, Ask::Look(id), since, || {
            // Somebody's lookup may have landed since this request looked.
            match self.peek(id, replayed) {
                Some(peeked) => Some(Ok(peeked.found)),
                None => self.hold_down.refusal(now).map(Err),
            }
        });
        match &boarding {
            Boarding::Joined(_) => self.meter.joined(),
            Boarding::NoNeed(Err(_)) => self.meter.refused(),
            Boarding::Began(_) | Boarding::NoNeed(Ok(_)) => {}
        }
        // What is asked for because a replay cast doubt on it may not be stale.
        Pending::new(Arc::clone(self), id, !replayed, boarding)
    }

    /// Becomes the owner of a session that is as it was `seen`, together with whoever else here
    /// wants to; what comes back says who the owner is then.
    pub(crate) fn claim(self: &Arc<Self>, seen: &Session) -> Pending {
        let id = seen.id();
        let now = self.clock.now();
        let since = self.joined_since(now, false);
        let first = || {
            let is_news = |session: &Session| {
                session.owner() != seen.owner() || session.epoch() != seen.epoch()
            };
            // Somebody's claim may have landed since this request looked.
            match self.peek(id, false).map(|peeked| peeked.found) {
                Some(found)
                    if found
                        .session
                        .as_ref()
                        .is_ok_and(|s| s.as_ref().is_some_and(is_news)) =>
                {
                    Some(Ok(found))
                }
                // Not the lookups' pause: one session whose claims fail must not end all lookups.
                _ => self.claim_pauses.refusal(id, now).map(Err),
            }
        };
        let boarding = self
            .claims
            .join_or_begin(self, Ask::Claim(seen.clone()), since, first);
        // The entry that led to the claim is no answer to it: it would hide why the claim failed.
        Pending::new(Arc::clone(self), id, false, boarding)
    }

    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// Completes when something changes about the session from now on.
    pub(crate) fn listen(&self, id: SessionId) -> Listening {
        self.listeners.listen(id)
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
        let remembered = self.remembered(id).filter(Remembered::rescues)?;
        Some(Found {
            source: Source::Stale,
            ..remembered.found
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
        let Boarding::Began(flight) =
            self.flights
                .join_or_begin(self, Ask::Look(id), since, refusal)
        else {
            return;
        };
        self.meter.refreshed();
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
mod claim_tests;
#[cfg(test)]
mod ownership_tests;
#[cfg(test)]
mod taken_over_tests;
#[cfg(test)]
mod tests;
