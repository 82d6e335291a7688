//! Changes of owner that lookups find, for the log.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Answer, Cache};
use crate::{
    MachineId, Session, SessionId,
    ownership::events,
    session::{Facts, SessionKey},
};

/// How many forgotten sessions are remembered; if there are more, the log misses changes of owner.
const MOST: usize = 4_096;

/// Whose sessions were that the cache has forgotten, because the change feed announced that they changed.
/// The next lookup tells what the change was.
#[derive(Default)]
pub(super) struct Moves {
    forgotten: Mutex<HashMap<SessionKey, Before>>,
    /// Lookups of a machine without a change feed should not take the lock.
    any: AtomicBool,
}

#[derive(Clone)]
struct Before {
    owner: Option<MachineId>,
    epoch: Option<u64>,
}

impl From<Facts> for Before {
    fn from(facts: Facts) -> Self {
        Self {
            epoch: facts.epoch(),
            owner: facts.owner,
        }
    }
}

impl Moves {
    /// A write has told what the session is now.
    pub(super) fn settle(&self, id: &SessionId) {
        self.take(id);
    }

    fn take(&self, id: &SessionId) -> Option<Before> {
        if self.any.load(Ordering::Acquire) {
            self.lock().remove(&SessionKey::from(id))
        } else {
            None
        }
    }

    fn keep(&self, id: &SessionId, before: Before) {
        let mut forgotten = self.lock();
        if forgotten.len() >= MOST {
            forgotten.clear();
        }
        forgotten.insert(id.into(), before);
        self.any.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Before>> {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// The session is about to be forgotten.
    pub(super) fn note_forgotten(&self, id: &SessionId) {
        if events::are_logged()
            && let Some(entry) = self.known.peek(id)
        {
            self.moves.keep(id, entry.facts.into());
        }
    }

    /// An answer came back that is not kept, because the change feed has announced a change meanwhile; perhaps
    /// the very write that it answers.
    pub(crate) fn note_unkept(&self, answer: &Answer) {
        if events::are_logged()
            && let Ok(Some(session)) = &answer.session
        {
            self.moves
                .keep(session.id(), session.facts().clone().into());
        }
    }

    /// A lookup has read the session, and what was known of it before is still there.
    pub(super) fn note_move(&self, session: &Session) {
        if !events::are_logged() {
            return;
        }
        let id = session.id();
        let forgotten = self.moves.take(id);
        let known = || self.known.peek(id).map(|entry| entry.facts.into());
        let Some(before) = forgotten.or_else(known) else {
            return;
        };
        let [was_mine, is_mine] =
            [before.owner.as_ref(), session.owner()].map(|it| it == Some(&self.me));
        if was_mine && !is_mine && !self.on_read.gave_up(id, before.epoch) {
            events::lost(&self.me, session);
        } else if is_mine && !was_mine {
            events::moved_here(&self.me, before.owner.as_ref(), session);
        }
    }
}
