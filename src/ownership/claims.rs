//! Claims and ends under way.

use std::sync::Arc;

use super::{claim_pause::ClaimPauses, events};
use crate::{
    LookupError, OwnerStatus, Session, SessionId, SessionStatus,
    cache::{Answer, Cache, Call, Caller, Pending, SingleFlight},
    clock::Clock,
    directory::{DynDirectory, EndIf},
    meter::{Outcome, Stopwatch},
};

/// What is written of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Claim,
    TakeOver,
    /// Its owner is lost, and it ends with it.
    End,
}

/// Makes this machine the owner of sessions, or ends those whose process is gone: one write for a
/// session at a time, however many requests wait for it. A layer does one or the other.
pub(super) struct Claims {
    cache: Arc<Cache>,
    directory: Option<DynDirectory>,
    /// The lock of the writes under way is taken before that of the lookups.
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
        let write = if seen.is_unassigned() {
            Write::Claim
        } else {
            Write::TakeOver
        };
        self.begin(seen, write)
    }

    /// Ends a session whose owner was `seen` to be lost, likewise; what comes back is the session as it
    /// is then.
    pub(super) fn end(self: &Arc<Self>, seen: &Session) -> Pending {
        self.begin(seen, Write::End)
    }

    fn begin(self: &Arc<Self>, seen: &Session, write: Write) -> Pending {
        let id = seen.id();
        let now = self.cache.clock().now();
        let since = self.cache.begun_in_time(now);
        let first = || {
            let is_news = |session: &Session| {
                session.status() == SessionStatus::Over
                    || session.owner() != seen.owner()
                    || session.epoch() != seen.epoch()
            };
            // Another request's write may have landed since this request looked.
            match self.cache.fresh(id) {
                Some(found)
                    if found
                        .session
                        .as_ref()
                        .is_ok_and(|s| s.as_ref().is_some_and(is_news)) =>
                {
                    Some(Ok(found))
                }
                // Not the lookups' pause: one session whose writes fail must not end all lookups.
                _ => self.pauses.refusal(id, now).map(Err),
            }
        };
        let (claims, seen) = (Arc::clone(self), seen.clone());
        let send = async move {
            let Some(directory) = &claims.directory else {
                return Err(LookupError::unavailable(
                    "there is no directory to write the session in",
                ));
            };
            match write {
                Write::Claim | Write::TakeOver => {
                    let me = claims.cache.machine();
                    let claimed = directory.claim(seen.clone(), me.clone()).await?;
                    Ok(claimed.map(|claimed| {
                        events::claimed(me, &seen, &claimed);
                        claimed.session
                    }))
                }
                Write::End => {
                    let after = end(&claims.cache, directory, seen.id()).await?;
                    if let Some(after) = &after {
                        events::ended_with_owner(claims.cache.machine(), after);
                    }
                    Ok(after)
                }
            }
        };
        let begun = SingleFlight::join_or_begin(self, (id.clone(), write), since, first, send);
        // The entry that led to the write is no answer to it: it would hide why the write failed.
        Pending::new(Arc::clone(&self.cache), id.clone(), false, begun)
    }

    /// Keeps nothing of the write that is under way for this session. `then` runs before it can land.
    pub(super) fn detach(&self, id: &SessionId, then: impl FnOnce()) {
        self.under_way.detach(id, then);
    }

    pub(super) fn detach_all(&self, then: impl FnOnce()) {
        self.under_way.detach_all(then);
    }
}

impl Caller for Claims {
    type Note = Write;

    fn single_flight(&self) -> &SingleFlight {
        &self.under_way
    }

    fn clock(&self) -> &Clock {
        self.cache.clock()
    }

    fn landed(&self, call: &Call<Write>, answer: &mut Answer) {
        let now = self.clock().exact();
        self.pauses.note(&call.id, &answer.session, now);
        // A write that fails says something about its session: a constraint may refuse it, or a lock
        // hold it up, while the directory answers all else.
        if answer.session.is_ok() {
            self.cache.note_answer(&answer.session, now);
        }
        self.cache.note_read(answer, now);
        let (mut is_kept, mut is_news) = (false, false);
        self.under_way.end(call, || {
            is_kept = true;
            // A lookup that began before the write would tell what was true before it.
            is_news = self.cache.replace(&call.id, answer);
        });
        if !is_kept {
            self.cache.note_unkept(answer);
        }
        // Not under the lock: a request that is woken may look something up.
        if is_news {
            self.cache.notify(&call.id);
        }
    }

    fn ended(&self, call: &Call<Write>, _: Stopwatch, outcome: Outcome<'_>) {
        let takes_over = match call.note {
            Write::Claim => false,
            Write::TakeOver => true,
            Write::End => return,
        };
        let won = match outcome {
            Outcome::Answered(Ok(Some(session))) => session.owner() == Some(self.cache.machine()),
            _ => false,
        };
        self.cache.meter.claimed(takes_over, outcome, won);
    }
}

/// Reads the session and ends it, if its owner is lost.
///
/// The read that led here may be half a minute old, and its owner back since. A claim is judged by the
/// directory once more, an end is not, so the session is read again first.
async fn end(
    cache: &Cache,
    directory: &DynDirectory,
    id: &SessionId,
) -> Result<Option<Session>, LookupError> {
    let Some(now) = cache.read(id).await? else {
        return Ok(None);
    };
    let machine = match now.owner() {
        Some(owner)
            if now.owner_status() == OwnerStatus::Lost
                && now.status() != SessionStatus::Over
                && owner != cache.machine() =>
        {
            owner.clone()
        }
        _ => return Ok(Some(now)),
    };
    let epoch = now.owned_epoch();
    let condition = EndIf::Owner { machine, epoch };
    match directory.end(id.clone(), condition).await? {
        Some(_) => Ok(Some(now.with_status(SessionStatus::Over))),
        // Its owner changed meanwhile.
        None => cache.read(id).await,
    }
}
