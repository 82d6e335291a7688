//! Changes of owner that lookups find, for the log.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Answer, Cache, table::Key};
use crate::{MachineId, Session, SessionId, ownership::events, session::Facts};

/// How many forgotten sessions are remembered; if there are more, the log misses changes of owner.
const MOST: usize = 4_096;

/// Whose sessions were that the cache has forgotten, because the change feed announced that they changed, or
/// has to connect again. The next lookup tells what the change was.
#[derive(Default)]
pub(super) struct Moves {
    forgotten: Mutex<HashMap<Key, Before>>,
    /// Lookups of a machine without a change feed should not take the lock.
    any: AtomicBool,
}

#[derive(Clone)]
pub(super) struct Before {
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
    pub(super) fn take(&self, key: Key) -> Option<Before> {
        if self.any.load(Ordering::Acquire) {
            self.lock().remove(&key)
        } else {
            None
        }
    }

    fn keep(&self, key: Key, before: Before) {
        let mut forgotten = self.lock();
        if forgotten.len() >= MOST {
            forgotten.clear();
        }
        forgotten.insert(key, before);
        self.any.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Before>> {
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
            self.moves.keep(self.known.key(id), entry.facts.into());
        }
    }

    /// Forgets all sessions. Those of other machines may have come to this one, but there are many, and that one's
    /// log has it.
    pub(super) fn forget_known(&self) {
        let are_logged = events::are_logged();
        self.known.clear(|key, facts| {
            if are_logged && facts.owner.as_ref() == Some(&self.me) {
                self.moves.keep(key, facts.into());
            }
        });
    }

    /// An answer came back that is not kept, because the change feed has announced a change meanwhile; perhaps
    /// the very write that it answers.
    pub(crate) fn note_unkept(&self, answer: &Answer) {
        if events::are_logged()
            && let Ok(Some(session)) = &answer.session
        {
            let key = self.known.key(session.id());
            self.moves.keep(key, session.facts().clone().into());
        }
    }

    /// A lookup has read the session, and what was known of it before is still there.
    pub(super) fn note_move(&self, session: &Session) {
        if !events::are_logged() {
            return;
        }
        let id = session.id();
        let forgotten = self.moves.take(self.known.key(id));
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
