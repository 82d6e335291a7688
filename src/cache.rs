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
    Bound, MachineId, Right, Session, SessionId, Standing,
    directory::DynDirectory,
    lookup::{DynLookup, Refresh},
    meter,
    session::Facts,
    standing::AtomicStanding,
};

mod apart;
mod clock;
mod flights;
mod found;
mod freshness;
mod handle;
mod hold_down;
mod listeners;
mod pending;
mod reached;
mod tenures;

pub(crate) use apart::Remembered;
pub(crate) use clock::{Clock, Tick};
pub(crate) use flights::{Answer, Flight};
pub(crate) use found::Found;
pub use found::Source;
pub use freshness::Freshness;
pub(crate) use freshness::Stamp;
pub use handle::CacheHandle;
pub(crate) use pending::Pending;

use flights::{Ask, Boarding, Flights};
use hold_down::HoldDown;
use listeners::{Listeners, Listening};
use reached::Reached;
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
    directory: Option<DynDirectory>,
    clock: Clock,
    known: Table<SessionId, Entry>,
    unknown: Table<SessionId, Stamp>,
    flights: Flights,
    /// Claims under way. Whoever needs both locks takes this one's first.
    claims: Flights,
    hold_down: HoldDown,
    reached: Reached,
    tenures: Tenures,
    standing: AtomicStanding,
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
            joined_at: AtomicU64::new(0),
            alone_from: AtomicU64::new(0),
            listeners: Arc::default(),
            hold_down: HoldDown::default(),
            reached: Reached::default(),
            tenures: Tenures::new(capacity / 4, freshness.owned),
            standing: AtomicStanding::new(Standing::Serving),
            no_refresh_before: AtomicU64::new(0),
            meter: meter::Lookups::new(),
        }
    }

    /// This process has joined its fleet: it may serve what it reads from now on.
    pub(crate) fn join(&self) {
        self.joined_at.store(self.clock.now().0, Ordering::Release);
        self.invalidate_all();
        if self.standing.go_on(Standing::Serving) {
            self.meter.stands(self.standing());
        }
    }

    /// The same for a process whose machine had another one, which may still be serving.
    pub(crate) fn join_as_successor(&self) {
        let alone_from = self.clock.now().0 + self.bound().longest_wait();
        self.alone_from.store(alone_from, Ordering::Release);
        self.join();
    }

    /// Whether no other process of this machine can be serving any more.
    pub(crate) fn is_alone(&self) -> bool {
        self.clock.now().0 >= self.alone_from.load(Ordering::Acquire)
    }

    /// Takes the right to serve from this process, for good. Says whether that is news.
    pub(crate) fn worsen(&self, standing: Standing) -> bool {
        let news = self.standing.go_on(standing);
        if news {
            self.meter.stands(self.standing());
            // Whoever holds a stream open finds out now.
            self.invalidate_all();
        }
        news
    }

    /// Nothing is served before this process has joined its fleet.
    pub(crate) fn await_presence(&mut self) {
        self.standing = AtomicStanding::new(Standing::Joining);
        self.meter.stands(Standing::Joining);
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
        Pending::new(Arc::clone(self), id, true, boarding)
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
        Pending::new(Arc::clone(self), id, replayed, boarding)
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
                _ => self.hold_down.refusal(now).map(Err),
            }
        };
        let boarding = self
            .claims
            .join_or_begin(self, Ask::Claim(seen.clone()), since, first);
        Pending::new(Arc::clone(self), id, false, boarding)
    }

    /// What a read allows the session's owner.
    pub(crate) fn right(&self, found: &Found, session: &Session) -> Right {
        let bound = self.tenures.bound();
        let age = u64::try_from(found.age.as_millis()).unwrap_or(u64::MAX);
        // What was read before may have been released since, by a process of this machine whose
        // last write came late.
        let joined_at = self.joined_at.load(Ordering::Acquire);
        let asked_at = self.clock.now().before(found.age);
        if asked_at < Tick(joined_at) {
            return Right::Expired;
        }
        let alone = self.alone_from.load(Ordering::Acquire);
        let until_alone = alone.saturating_sub(asked_at.0);
        let given_up = session
            .epoch()
            .is_some_and(|epoch| self.tenures.was_given_up(session.id(), epoch));
        let wait = if given_up {
            u64::MAX
        } else {
            u64::from(session.wait()).max(until_alone)
        };
        let unbounded = session.epoch().is_none() || found.source == Source::Stale;
        // Without epochs nothing is promised; and who lets the layer use stale news of its own
        // sessions has given the promise up.
        let age = if unbounded && age >= wait { wait } else { age };
        Right::of(0, wait, age, bound)
    }

    pub(crate) fn bound(&self) -> Bound {
        self.tenures.bound()
    }

    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.get()
    }

    pub(crate) fn is_me(&self, owner: Option<&MachineId>) -> bool {
        owner == Some(&self.me)
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

    /// Keeps what a lookup came back with. Failures are for those who waited, not for later.
    fn keep(&self, id: SessionId, answer: &Answer) {
        if self.listeners.are_there()
            && answer
                .session
                .as_ref()
                .is_ok_and(|session| !self.knows(id, session.as_ref()))
        {
            self.listeners.tell(id);
        }
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

    /// Whether what was known of the owner is what is read now.
    fn knows(&self, id: SessionId, session: Option<&Session>) -> bool {
        let known = self.known.get(&id).map(|entry| entry.facts);
        let known = known
            .as_ref()
            .map(|facts| (facts.serving_owner(), facts.epoch()));
        known == session.map(|session| (session.serving_owner(), session.epoch()))
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
        self.claims.disown(id, || {
            self.flights.disown(id, || {
                self.known.remove(&id);
                self.unknown.remove(&id);
            });
        });
        self.listeners.tell(id);
    }

    fn invalidate_all(&self) {
        self.claims.disown_all(|| {
            self.flights.disown_all(|| {
                self.known.clear();
                self.unknown.clear();
            });
        });
        self.listeners.tell_all();
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
mod ownership_tests;
#[cfg(test)]
mod tests;
