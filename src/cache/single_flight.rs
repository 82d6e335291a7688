//! Calls to the directory under way: one per session, however many requests wait for it.

use std::{
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{FutureExt, Shared, WeakShared};

use crate::{
    LookupError, Session, SessionId,
    clock::{Clock, Tick},
    meter::{Outcome, Stopwatch},
};

/// What a call came back with.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) session: Result<Option<Session>, LookupError>,
    /// Before the question was sent.
    pub(crate) asked_at: Tick,
}

/// A call that any number of requests wait for. Each of them drives it when it is polled, so the call
/// goes on as long as one of them is left, and is dropped with the last one.
pub(crate) type Flight = Shared<Pin<Box<dyn Future<Output = Answer> + Send>>>;

/// How a request came by a call.
pub(crate) enum Join<T> {
    Joined(Flight),
    Began(Flight),
    /// It found that no call is needed, or that none may be made now.
    NoNeed(T),
}

/// Makes the calls of one kind.
pub(crate) trait Caller: Send + Sync + 'static {
    /// What the caller has to know of a call when it ends.
    type Note: Send + Sync + 'static;

    fn single_flight(&self) -> &SingleFlight;

    fn clock(&self) -> &Clock;

    /// Keeps what a call came back with, before a request sees it. It ends the call.
    fn landed(&self, call: &Call<Self::Note>, answer: &mut Answer);

    /// The call ended, was sent, and was waited for or not.
    fn ended(&self, call: &Call<Self::Note>, sent: Stopwatch, outcome: Outcome<'_>);

    /// The call was dropped before it was sent.
    fn never_sent(&self) {}
}

/// One call.
pub(crate) struct Call<N> {
    pub(crate) id: SessionId,
    pub(crate) note: N,
    number: u64,
}

#[derive(Default)]
pub(crate) struct SingleFlight {
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    calls: HashMap<SessionId, Numbered>,
    last: u64,
}

struct Numbered {
    number: u64,
    flight: WeakShared<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    began: Tick,
}

impl SingleFlight {
    /// Joins the call for this session that is under way, unless it began before `since`; begins
    /// one otherwise. In between, and before anything can land, `first` may find that no call is
    /// needed.
    pub(crate) fn join_or_begin<C: Caller, T>(
        caller: &Arc<C>,
        (id, note): (SessionId, C::Note),
        since: Tick,
        first: impl FnOnce() -> Option<T>,
        send: impl Future<Output = Result<Option<Session>, LookupError>> + Send + 'static,
    ) -> Join<T> {
        let mut under_way = caller.single_flight().lock();
        let joined = under_way
            .calls
            .get(&id)
            .filter(|numbered| numbered.began >= since);
        if let Some(flight) = joined.and_then(|numbered| numbered.flight.upgrade()) {
            return Join::Joined(flight);
        }
        if let Some(found) = first() {
            return Join::NoNeed(found);
        }
        under_way.last += 1;
        let number = under_way.last;
        let mut landing = Landing {
            caller: Arc::clone(caller),
            call: Call {
                id: id.clone(),
                note,
                number,
            },
            sent: None,
            landed: false,
        };
        let flight = async move {
            landing.sent = Some(Stopwatch::start());
            let asked_at = landing.caller.clock().stamp();
            // One that panics must not take along all who wait for it.
            let session = AssertUnwindSafe(send)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(LookupError::unavailable("the session lookup panicked")))
                .and_then(|session| about(&landing.call.id, session));
            landing.land(Answer { session, asked_at })
        };
        let flight = flight.boxed().shared();
        // The future was made in this very call, so it has not ended.
        if let Some(weak) = flight.downgrade() {
            let began = caller.clock().now();
            under_way.calls.insert(
                id,
                Numbered {
                    number,
                    flight: weak,
                    began,
                },
            );
        }
        Join::Began(flight)
    }

    /// Lets the call that is under way for this session come back to the requests that wait for it,
    /// without being kept. `then` runs before any other call can begin or land.
    pub(crate) fn detach(&self, id: &SessionId, then: impl FnOnce()) {
        let mut under_way = self.lock();
        let detached = under_way.calls.remove(id);
        then();
        drop(under_way);
        drop(detached);
    }

    /// The same for all sessions.
    pub(crate) fn detach_all(&self, then: impl FnOnce()) {
        let mut under_way = self.lock();
        let detached = std::mem::take(&mut under_way.calls);
        then();
        drop(under_way);
        drop(detached);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    /// Ends a call; `then` runs, under the lock, only if the call was not detached or replaced.
    pub(crate) fn end<N>(&self, call: &Call<N>, then: impl FnOnce()) {
        let mut under_way = self.lock();
        let is_current = |numbered: &Numbered| numbered.number == call.number;
        if under_way.calls.get(&call.id).is_some_and(is_current) {
            let ended = under_way.calls.remove(&call.id);
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
    id: &SessionId,
    session: Option<Session>,
) -> Result<Option<Session>, LookupError> {
    match session {
        Some(other) if other.id() != id => Err(LookupError::corrupt(
            "the session directory answered with another session",
        )),
        asked => Ok(asked),
    }
}

/// Ends a call, whether it landed or was dropped on its way.
struct Landing<C: Caller> {
    caller: Arc<C>,
    call: Call<C::Note>,
    sent: Option<Stopwatch>,
    landed: bool,
}

impl<C: Caller> Landing<C> {
    fn land(mut self, mut answer: Answer) -> Answer {
        self.caller.landed(&self.call, &mut answer);
        self.landed = true;
        self.ended(Outcome::Answered(&answer.session));
        answer
    }

    fn ended(&self, outcome: Outcome<'_>) {
        if let Some(sent) = self.sent {
            self.caller.ended(&self.call, sent, outcome);
        }
    }
}

impl<C: Caller> Drop for Landing<C> {
    fn drop(&mut self) {
        self.caller.single_flight().end(&self.call, || {});
        if !self.landed {
            self.ended(Outcome::Abandoned);
        }
        if self.sent.is_none() {
            self.caller.never_sent();
        }
    }
}
