//! Lookups under way, and what becomes of their answers.

use std::sync::Arc;

use super::{Answer, Cache, Call, Caller, Join, SingleFlight};
use crate::{
    LookupError, SessionId,
    clock::{Clock, Tick},
    meter::{Outcome, Stopwatch},
};

impl Cache {
    /// Joins the lookup of this session that is under way, unless it began before `since`; begins one
    /// otherwise, unless `first` says that there is no need.
    pub(super) fn look_up<T>(
        self: &Arc<Self>,
        id: &SessionId,
        since: Tick,
        first: impl FnOnce() -> Option<T>,
    ) -> Join<T> {
        let cache = Arc::clone(self);
        let asked = id.clone();
        let send = async move { cache.lookup.session(asked).await };
        SingleFlight::join_or_begin(self, (id.clone(), ()), since, first, send)
    }

    /// Notes that the directory answered, or that it did not.
    pub(crate) fn note_answer<T>(&self, answer: &Result<T, LookupError>, now: Tick) {
        self.reached.note(answer, now);
    }

    /// Reads a session for a caller that acts by the answer and keeps what comes of it. Without single
    /// flight, since an answer that is under way may be older.
    pub(crate) async fn read(&self, id: &SessionId) -> Result<Option<crate::Session>, LookupError> {
        super::single_flight::about(id, self.lookup.session(id.clone()).await?)
    }

    /// Notes what was read, before a request sees it.
    pub(crate) fn note_read(&self, answer: &Answer, now: Tick) {
        if let Ok(Some(session)) = &answer.session {
            self.on_read.on_read(session, answer.asked_at, now);
            self.budget.check(session);
        }
    }

    /// Keeps an answer in the place of those of the lookups under way. Returns whether listeners have
    /// to be notified.
    pub(crate) fn replace(&self, id: &SessionId, answer: &Answer) -> bool {
        self.moves.take(self.known.key(id));
        let mut is_news = false;
        self.lookups.detach(id, || is_news = self.keep(id, answer));
        is_news
    }

    /// Forgets a session, also that it was unknown, and keeps nothing of its lookup under way. The
    /// caller has to [notify](Self::notify) the listeners.
    pub(crate) fn invalidate(&self, id: &SessionId) {
        self.note_forgotten(id);
        self.lookups.detach(id, || {
            self.known.remove(id);
            self.unknown.remove(id);
        });
    }

    /// The same for all sessions.
    pub(crate) fn invalidate_all(&self) {
        self.lookups.detach_all(|| {
            self.forget_known();
            self.unknown.clear();
        });
    }

    /// The directory is down.
    #[cfg(test)]
    pub(crate) fn hold_down_for_test(&self) {
        let down = Err::<(), _>(LookupError::unavailable("down"));
        self.hold_down.note(&down, self.clock.now());
    }

    pub(crate) fn notify(&self, id: &SessionId) {
        self.listeners.tell(id);
    }

    pub(crate) fn notify_all(&self) {
        self.listeners.tell_all();
    }
}

impl Caller for Cache {
    type Note = ();

    fn single_flight(&self) -> &SingleFlight {
        &self.lookups
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn landed(&self, call: &Call<()>, answer: &mut Answer) {
        let now = self.clock.exact();
        self.hold_down.note(&answer.session, now);
        self.note_answer(&answer.session, now);
        self.note_read(answer, now);
        if let Ok(Some(session)) = &answer.session {
            self.note_move(session);
        }
        let (mut is_kept, mut is_news) = (false, false);
        self.lookups.end(call, || {
            is_kept = true;
            is_news = self.keep(&call.id, answer);
        });
        if !is_kept {
            self.note_unkept(answer);
        }
        // Not under the lock: a request that is woken may look something up.
        if is_news {
            self.notify(&call.id);
        }
    }

    fn ended(&self, _: &Call<()>, sent: Stopwatch, outcome: Outcome<'_>) {
        self.meter.looked_up(sent, outcome);
        let (known, unknown) = (|| self.known.len(), || self.unknown.len());
        self.meter.holds(known, unknown);
    }

    fn never_sent(&self) {
        self.hold_down.pass_on(self.clock.now());
    }
}
