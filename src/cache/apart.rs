//! Reading without leaving a trace, for explanations and health checks.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_timer::Delay;
use futures_util::{
    FutureExt,
    future::{Either, select},
};

use super::{Cache, CacheStatus, Found, reached::LastReached, single_flight::about};
use crate::{
    LookupError, MachineId, Refresh, Session, SessionId, SessionIds, directory::DirectoryId,
};

/// What is remembered of a session, whether or not it may still be used.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) found: Found,
    /// How old it may be.
    pub(crate) bound: Duration,
    /// How much older, while the directory fails.
    pub(crate) grace: Duration,
}

impl Remembered {
    /// For how long it may still be used.
    pub(crate) fn left(&self) -> Duration {
        self.bound.saturating_sub(self.found.age)
    }

    /// Whether it may be used in the place of a lookup that failed.
    pub(crate) fn rescues(&self) -> bool {
        let session = self.found.session.as_ref().ok().and_then(Option::as_ref);
        // Whether the end of its life was put off is not known.
        session.is_some_and(|session| {
            session.remaining().is_none_or(|life| self.found.age < life)
                && self.found.age < self.bound + self.grace
        })
    }
}

impl Cache {
    /// What is remembered of the session. Nothing is refreshed by it, and what is forgotten next
    /// does not change.
    pub(crate) fn remembered(&self, id: &SessionId) -> Option<Remembered> {
        let (facts, stamp) = match self.known.peek(id) {
            Some(entry) => (Some(entry.facts), entry.stamp),
            None => (None, self.unknown.peek(id)?),
        };
        let grace = facts
            .as_ref()
            .map_or(0, |facts| self.freshness.grace(facts, &self.me));
        let session = facts.map(|facts| Session::from_facts(id.clone(), facts));
        let age = self.clock.now().since(stamp.asked_at());
        Some(Remembered {
            found: Found {
                session: Ok(session),
                asked_at: stamp.asked_at(),
                age: Duration::from_millis(age),
                cache_status: CacheStatus::Hit,
                waited: None,
            },
            bound: Duration::from_millis(stamp.bound()),
            grace: Duration::from_millis(grace.into()),
        })
    }

    /// Whether what was read that long ago is recent enough for a request that was replayed.
    pub(crate) fn is_recheck(&self, age: Duration) -> bool {
        age < Duration::from_millis(self.freshness.recheck.into())
    }

    /// Asks the directory for this caller alone: no other lookup is joined, a pause after failures is not
    /// kept, and nothing is remembered of the answer. It takes no longer than `limit`.
    pub(crate) fn ask_apart(
        self: &Arc<Self>,
        id: SessionId,
        limit: Duration,
    ) -> impl Future<Output = Found> + Send + 'static {
        let cache = Arc::clone(self);
        async move {
            let asked_at = cache.clock.stamp();
            let asking = async { cache.lookup.session(id.clone()).await };
            let asking = AssertUnwindSafe(asking).catch_unwind().boxed();
            let session = match select(asking, Delay::new(limit)).await {
                Either::Left((Ok(answer), _)) => answer.and_then(|session| about(&id, session)),
                Either::Left((Err(_), _)) => {
                    Err(LookupError::unavailable("the session lookup panicked"))
                }
                Either::Right(_) => Err(LookupError::timeout(
                    "the session directory did not answer within the time limit",
                )),
            };
            let now = cache.clock.exact();
            Found {
                session,
                asked_at,
                age: Duration::from_millis(now.since(asked_at)),
                cache_status: CacheStatus::Miss,
                waited: Some(Duration::from_millis(now.since(asked_at))),
            }
        }
    }

    /// When the directory was last reached.
    pub(crate) fn last_reached(&self) -> LastReached {
        self.reached.last(self.clock.now())
    }

    /// Runs work in the background where the lookup can.
    pub(crate) fn spawn(&self, work: Refresh) {
        self.lookup.spawn(work);
    }

    /// Which ids the directory's sessions can have.
    pub(crate) fn session_ids(&self) -> SessionIds {
        self.lookup.session_ids()
    }

    /// Which directory is read.
    pub(crate) fn directory_id(&self) -> Option<DirectoryId> {
        self.lookup.directory_id()
    }

    /// This machine.
    pub(crate) fn machine(&self) -> &MachineId {
        &self.me
    }

    /// The longest wait for a lookup.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}
