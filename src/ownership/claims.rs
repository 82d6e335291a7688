//! Claims under way.

use std::sync::Arc;

use super::claim_pause::ClaimPauses;
use crate::{
    LookupError, Session, SessionId,
    cache::{Answer, Cache, Call, Caller, Pending, SingleFlight},
    clock::Clock,
    directory::DynDirectory,
    meter::{Outcome, Stopwatch},
};

/// Makes this machine the owner of sessions: one claim for a session at a time, however many requests
/// wait for it.
pub(super) struct Claims {
    cache: Arc<Cache>,
    directory: Option<DynDirectory>,
    /// The lock of the claims under way is taken before that of the lookups.
    under_way: SingleFlight,
    pauses: ClaimPauses,
}

impl Claims {
    pub(super) fn new(cache: Arc<Cache>, directory: Option<DynDirectory>) -> Self {
        Self {
            cache,
            directory,
            under_way: SingleFlight::default(),
            pauses: ClaimPauses::new(),
        }
    }

    /// Becomes the owner of a session that is as it was `seen`, together with all requests here that
    /// want to; what comes back says who the owner is then.
    pub(super) fn claim(self: &Arc<Self>, seen: &Session) -> Pending {
        let id = seen.id();
        let now = self.cache.clock().now();
        let since = self.cache.joined_since(now, false);
        let first = || {
            let is_news = |session: &Session| {
                session.owner() != seen.owner() || session.epoch() != seen.epoch()
            };
            // Another request's claim may have landed since this request looked.
            match self.cache.fresh(id) {
                Some(found)
                    if found
                        .session
                        .as_ref()
                        .is_ok_and(|s| s.as_ref().is_some_and(is_news)) =>
                {
                    Some(Ok(found))
                }
                // Not the lookups' pause: one session whose claims fail must not end all lookups.
                _ => self.pauses.refusal(id, now).map(Err),
            }
        };
        let takes_over = !seen.is_unassigned();
        let (claims, seen) = (Arc::clone(self), seen.clone());
        let send = async move {
            match &claims.directory {
                Some(directory) => directory.claim(seen, claims.cache.machine().clone()).await,
                None => Err(LookupError::unavailable(
                    "there is no directory to claim a session in",
                )),
            }
        };
        let claim = SingleFlight::join_or_begin(self, (id.clone(), takes_over), since, first, send);
        // The entry that led to the claim is no answer to it: it would hide why the claim failed.
        Pending::new(Arc::clone(&self.cache), id.clone(), false, claim)
    }

    /// Keeps nothing of the claim that is under way for this session. `then` runs before it can land.
    pub(super) fn detach(&self, id: &SessionId, then: impl FnOnce()) {
        self.under_way.detach(id, then);
    }

    pub(super) fn detach_all(&self, then: impl FnOnce()) {
        self.under_way.detach_all(then);
    }
}

impl Caller for Claims {
    /// Whether the session is taken over from another machine.
    type Note = bool;

    fn single_flight(&self) -> &SingleFlight {
        &self.under_way
    }

    fn clock(&self) -> &Clock {
        self.cache.clock()
    }

    fn landed(&self, call: &Call<bool>, answer: &mut Answer) {
        let now = self.clock().exact();
        self.pauses.note(&call.id, &answer.session, now);
        // A claim that fails says something about its session: a constraint may refuse it, or a lock
        // hold it up, while the directory answers all else.
        if answer.session.is_ok() {
            self.cache.note_answer(&answer.session, now);
        }
        self.cache.note_read(answer, now);
        let mut is_news = false;
        self.under_way.end(call, || {
            // A lookup that began before the claim would tell what was true before it.
            is_news = self.cache.replace(&call.id, answer);
        });
        // Not under the lock: a request that is woken may look something up.
        if is_news {
            self.cache.notify(&call.id);
        }
    }

    fn ended(&self, call: &Call<bool>, _: Stopwatch, outcome: Outcome<'_>) {
        let won = match outcome {
            Outcome::Answered(Ok(Some(session))) => session.owner() == Some(self.cache.machine()),
            _ => false,
        };
        self.cache.meter.claimed(call.note, outcome, won);
    }
}
