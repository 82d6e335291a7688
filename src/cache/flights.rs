//! Lookups under way: one per session, whoever waits for it.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{FutureExt, Shared, WeakShared};

use super::{Cache, Tick};
use crate::{
    LookupError, Presence, Session, SessionId,
    meter::{Outcome, Stopwatch},
};

/// What a lookup came back with.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) session: Result<Option<Session>, LookupError>,
    /// Before the question was sent.
    pub(crate) asked_at: Tick,
}

/// A lookup that any number of requests wait for. Whoever polls drives it, so it goes on as long
/// as one of them is left, and is dropped with the last one.
pub(crate) type Flight = Shared<Pin<Box<dyn Future<Output = Answer> + Send>>>;

/// What is asked of the directory.
pub(super) enum Ask {
    /// Who owns this session.
    Look(SessionId),
    /// To own it, as it was seen.
    Claim(Session),
}

impl Ask {
    fn session(&self) -> SessionId {
        match self {
            Self::Look(id) => *id,
            Self::Claim(seen) => seen.id(),
        }
    }

    fn claims(&self) -> Option<Claims> {
        match self {
            Self::Look(_) => None,
            Self::Claim(seen) if seen.is_unassigned() => Some(Claims::OfNobody),
            Self::Claim(_) => Some(Claims::OfAnother),
        }
    }

    async fn put(self, cache: &Cache) -> Result<Option<Session>, LookupError> {
        match (self, &cache.directory) {
            (Self::Look(id), _) => cache.lookup.session(id).await,
            (Self::Claim(seen), Some(directory)) => directory.claim(seen, cache.me.clone()).await,
            (Self::Claim(_), None) => Err(LookupError::unavailable(
                "there is no directory to claim a session in",
            )),
        }
    }
}

/// Whose session is claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claims {
    OfNobody,
    OfAnother,
}

/// How a request came by a lookup.
pub(super) enum Boarding<T> {
    Joined(Flight),
    Began(Flight),
    NoNeed(T),
}

#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    flights: HashMap<SessionId, Numbered>,
    last: u64,
}

struct Numbered {
    number: u64,
    flight: WeakShared<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    began: Tick,
}

impl Flights {
    /// Joins the lookup of this session that is under way, unless it began before `since`; begins
    /// one otherwise. In between, and before anything can land, `first` may find that there is
    /// nothing to look up.
    pub(super) fn join_or_begin<T>(
        &self,
        cache: &Arc<Cache>,
        ask: Ask,
        since: Tick,
        first: impl FnOnce() -> Option<T>,
    ) -> Boarding<T> {
        let id = ask.session();
        let mut under_way = self.lock();
        let joined = under_way
            .flights
            .get(&id)
            .filter(|numbered| numbered.began >= since);
        if let Some(flight) = joined.and_then(|numbered| numbered.flight.upgrade()) {
            return Boarding::Joined(flight);
        }
        if let Some(found) = first() {
            return Boarding::NoNeed(found);
        }
        under_way.last += 1;
        let number = under_way.last;
        let mut landing = Landing {
            cache: Arc::clone(cache),
            id,
            number,
            claims: ask.claims(),
            asked: None,
            landed: false,
        };
        let flight = async move {
            landing.asked = Some(Stopwatch::start());
            let asked_at = landing.cache.asking_at();
            // One that panics must not take along all who wait for it.
            let session = AssertUnwindSafe(ask.put(&landing.cache))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(LookupError::unavailable("the session lookup panicked")))
                .and_then(|session| about(id, session));
            landing.land(Answer { session, asked_at })
        };
        let flight = flight.boxed().shared();
        // The future was made in this very call, so it has not ended.
        if let Some(weak) = flight.downgrade() {
            let began = cache.clock.now();
            under_way.flights.insert(
                id,
                Numbered {
                    number,
                    flight: weak,
                    began,
                },
            );
        }
        Boarding::Began(flight)
    }

    /// Lets what is under way for this session come back to those who wait, and to nobody else.
    /// `then` runs before any other lookup can begin or land.
    pub(super) fn disown(&self, id: SessionId, then: impl FnOnce()) {
        let mut under_way = self.lock();
        let disowned = under_way.flights.remove(&id);
        then();
        drop(under_way);
        drop(disowned);
    }

    /// The same for all sessions.
    pub(super) fn disown_all(&self, then: impl FnOnce()) {
        let mut under_way = self.lock();
        let disowned = std::mem::take(&mut under_way.flights);
        then();
        drop(under_way);
        drop(disowned);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().flights.len()
    }

    /// Ends a flight; `then` runs, under the lock, only if nobody disowned or replaced it.
    fn end(&self, id: SessionId, number: u64, then: impl FnOnce()) {
        let mut under_way = self.lock();
        if let Entry::Occupied(entry) = under_way.flights.entry(id)
            && entry.get().number == number
        {
            let ended = entry.remove();
            then();
            drop(under_way);
            drop(ended);
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a session that is not the one that was asked for: what is judged and what is served
/// have to be one.
pub(super) fn about(
    id: SessionId,
    session: Option<Session>,
) -> Result<Option<Session>, LookupError> {
    match session {
        Some(other) if other.id() != id => Err(LookupError::corrupt(
            "the session directory answered with another session",
        )),
        asked => Ok(asked),
    }
}

/// Ends a flight, whether it landed or was dropped on its way.
struct Landing {
    cache: Arc<Cache>,
    id: SessionId,
    number: u64,
    claims: Option<Claims>,
    asked: Option<Stopwatch>,
    landed: bool,
}

impl Landing {
    fn flights(&self) -> &Flights {
        if self.claims.is_some() {
            &self.cache.claims
        } else {
            &self.cache.flights
        }
    }

    fn land(mut self, mut answer: Answer) -> Answer {
        let cache = &self.cache;
        let now = cache.clock.exact();
        if self.claims.is_some() {
            cache.claim_pauses.note(self.id, &answer.session, now);
        } else {
            cache.hold_down.note(&answer.session, now);
        }
        // A claim that fails says something about its session: a constraint may refuse it, or a lock
        // hold it up, while the directory answers all else.
        if self.claims.is_none() || answer.session.is_ok() {
            cache.reached.note(&answer.session, now);
        }
        if let Ok(Some(session)) = &mut answer.session {
            *session = cache.share_owner(session.clone());
            if cache.is_me(session.owner()) {
                cache.tenures.note(session, answer.asked_at, now);
                if session.presence() == Presence::Superseded {
                    cache.superseded(answer.asked_at);
                }
            }
        }
        let mut is_news = false;
        self.flights().end(self.id, self.number, || {
            let mut keep = || is_news = cache.keep(self.id, &answer);
            if self.claims.is_some() {
                // A lookup that began before the claim would tell what was true before it.
                cache.flights.disown(self.id, keep);
            } else {
                keep();
            }
        });
        // Not under the lock: whoever is woken may look something up.
        if is_news {
            cache.listeners.tell(self.id);
        }
        self.landed = true;
        self.count(Outcome::Answered(&answer.session));
        answer
    }

    fn count(&self, outcome: Outcome<'_>) {
        let (cache, Some(began)) = (&self.cache, self.asked) else {
            return;
        };
        if let Some(claims) = self.claims {
            let won = match outcome {
                Outcome::Answered(Ok(Some(session))) => cache.is_me(session.owner()),
                _ => false,
            };
            let takes_over = claims == Claims::OfAnother;
            cache.meter.claimed(takes_over, outcome, won);
        } else {
            cache.meter.looked_up(began, outcome);
        }
        let (known, unknown) = (|| cache.known.len(), || cache.unknown.len());
        cache.meter.holds(known, unknown);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights().end(self.id, self.number, || {});
        if !self.landed {
            self.count(Outcome::Abandoned);
        }
        if self.asked.is_none() && self.claims.is_none() {
            self.cache.hold_down.pass_on(self.cache.clock.now());
        }
    }
}
