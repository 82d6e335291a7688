//! What is kept of what lookups come back with.

use std::time::Duration;

use super::{Answer, Cache, Stamp, known::Entry, plain::Usual};
use crate::{OwnerStatus, Session, SessionId, clock::Tick};

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
                    let usual = self.usual(session, answer.asked_at);
                    self.known.insert(id, Entry { facts, stamp }, usual);
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

    fn usual(&self, session: &Session, read_at: Tick) -> Usual {
        let is_away = [OwnerStatus::Lost, OwnerStatus::NeverSeen].contains(&session.owner_status());
        let is_over = session.is_over(Duration::ZERO);
        match session.serving_owner().filter(|_| !is_over) {
            Some(owner) if *owner != self.me && !is_away => Usual::HandsOver,
            Some(_) if self.on_read.serves_at_once(session, read_at) => Usual::Serves,
            _ => Usual::Neither,
        }
    }
}
