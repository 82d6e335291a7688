//! Ends under way: sessions whose process is gone.

use std::sync::Arc;

use super::claim_pause::ClaimPauses;
use crate::{
    LookupError, OwnerStatus, Session, SessionId, SessionStatus,
    cache::{Answer, Cache, Call, Caller, Pending, SingleFlight},
    clock::Clock,
    directory::{DynDirectory, EndIf},
    meter::{Outcome, Stopwatch},
};

/// Ends sessions whose owner is lost: one end for a session at a time, however many requests wait for it.
pub(super) struct Ends {
    cache: Arc<Cache>,
    directory: Option<DynDirectory>,
    /// The lock of the ends under way is taken before that of the lookups.
    under_way: SingleFlight,
    pauses: ClaimPauses,
}

impl Ends {
    pub(super) fn new(cache: Arc<Cache>, directory: Option<DynDirectory>) -> Self {
        Self {
            cache,
            directory,
            under_way: SingleFlight::default(),
            pauses: ClaimPauses::new(),
        }
    }

    /// Ends a session whose owner was `seen` to be lost, together with all requests here that want to;
    /// what comes back is the session as it is then.
    pub(super) fn end(self: &Arc<Self>, seen: &Session) -> Pending {
        let id = seen.id();
        let now = self.cache.clock().now();
        let since = self.cache.joined_since(now, false);
        let first = || {
            let is_news = |session: &Session| {
                session.status() == SessionStatus::Over
                    || session.owner() != seen.owner()
                    || session.epoch() != seen.epoch()
            };
            // Another request's end may have landed since this request looked.
            match self.cache.fresh(id) {
                Some(found)
                    if found
                        .session
                        .as_ref()
                        .is_ok_and(|s| s.as_ref().is_some_and(is_news)) =>
                {
                    Some(Ok(found))
                }
                // Not the lookups' pause: one session whose ends fail must not end all lookups.
                _ => self.pauses.refusal(id, now).map(Err),
            }
        };
        let (ends, asked) = (Arc::clone(self), id.clone());
        let send = async move { ends.send(asked).await };
        let end = SingleFlight::join_or_begin(self, (id.clone(), ()), since, first, send);
        // The entry that led to the end is no answer to it.
        Pending::new(Arc::clone(&self.cache), id.clone(), false, end)
    }

    /// Reads the session and ends it, if its owner is lost.
    ///
    /// The read that led here may be half a minute old, and its owner back since. A claim is judged by
    /// the directory once more, an end is not, so the session is read again first.
    async fn send(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        let Some(now) = self.cache.read(&id).await? else {
            return Ok(None);
        };
        let owner = match now.owner() {
            Some(owner)
                if now.owner_status() == OwnerStatus::Lost
                    && now.status() != SessionStatus::Over
                    && owner != self.cache.machine() =>
            {
                owner.clone()
            }
            _ => return Ok(Some(now)),
        };
        let directory = self
            .directory
            .as_ref()
            .ok_or_else(|| LookupError::unavailable("there is no directory to end a session in"))?;
        let condition = EndIf::Owner {
            machine: owner,
            // A row that has an owner and no epoch is at its first.
            epoch: now.epoch().unwrap_or(1),
        };
        match directory.end(id.clone(), condition).await? {
            Some(_) => Ok(Some(now.with_status(SessionStatus::Over))),
            // Its owner changed meanwhile.
            None => self.cache.read(&id).await,
        }
    }

    /// Keeps nothing of the end that is under way for this session. `then` runs before it can land.
    pub(super) fn detach(&self, id: &SessionId, then: impl FnOnce()) {
        self.under_way.detach(id, then);
    }

    pub(super) fn detach_all(&self, then: impl FnOnce()) {
        self.under_way.detach_all(then);
    }
}

impl Caller for Ends {
    type Note = ();

    fn single_flight(&self) -> &SingleFlight {
        &self.under_way
    }

    fn clock(&self) -> &Clock {
        self.cache.clock()
    }

    fn landed(&self, call: &Call<()>, answer: &mut Answer) {
        let now = self.clock().exact();
        self.pauses.note(&call.id, &answer.session, now);
        // As with a claim, a failure says something about this session.
        if answer.session.is_ok() {
            self.cache.note_answer(&answer.session, now);
        }
        self.cache.note_read(answer, now);
        let mut is_news = false;
        self.under_way.end(call, || {
            is_news = self.cache.replace(&call.id, answer);
        });
        // Not under the lock: a request that is woken may look something up.
        if is_news {
            self.cache.notify(&call.id);
        }
    }

    fn ended(&self, _: &Call<()>, _: Stopwatch, _: Outcome<'_>) {}
}
