//! What is kept of what lookups come back with.

use std::sync::PoisonError;

use super::{Answer, Cache, Entry, Stamp};
use crate::{Session, SessionId};

/// How many machine ids are kept to be shared; beyond that, sessions have their own copies.
const SHARED_OWNERS: usize = 16_384;

impl Cache {
    /// Keeps what a call came back with, except for failures, which are only for the requests that
    /// waited. Returns whether listeners have to be notified.
    pub(super) fn keep(&self, id: &SessionId, answer: &Answer) -> bool {
        let is_news = self.listeners.are_there()
            && answer
                .session
                .as_ref()
                .is_ok_and(|session| self.is_news(id, session.as_ref()));
        match &answer.session {
            Ok(Some(session)) => {
                let facts = session.clone().into_facts();
                let bound = self.freshness.of(&facts, &self.me);
                self.unknown.remove(id);
                if bound > 0 && self.budget.has_room(&facts) {
                    let stamp = Stamp::new(id, answer.asked_at, bound);
                    self.known.insert(id.into(), Entry { facts, stamp });
                } else {
                    // It may not be used again, or is too large, and what it replaces is outdated.
                    self.known.remove(id);
                }
            }
            Ok(None) => {
                self.known.remove(id);
                if self.freshness.unknown > 0 {
                    self.unknown.insert(
                        id.into(),
                        Stamp::new(id, answer.asked_at, self.freshness.unknown),
                    );
                }
            }
            Err(_) => {}
        }
        is_news
    }

    /// Whether another owner was known than is read now. Sessions that are not cached were announced
    /// when they were forgotten; those too large to be cached are read again by their listeners.
    fn is_news(&self, id: &SessionId, session: Option<&Session>) -> bool {
        let known = self.known.get(id).map(|entry| entry.facts);
        let read = session.map(|session| (session.serving_owner(), session.epoch()));
        known.is_some_and(|known| Some((known.serving_owner(), known.epoch())) != read)
    }

    /// Lets sessions of one owner share its id, in memory.
    pub(super) fn share_owner(&self, session: Session) -> Session {
        let id = session.id().clone();
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
}
