//! Terms that have not waited out, or have not been read since.

use std::collections::{HashMap, VecDeque};

use crate::{SessionId, clock::Tick, ownership::lease::Term};

/// Terms that no eviction may take.
///
/// Bounded by time instead of by number: an entry leaves when it is due, which is a fixed time
/// after the directory first named this machine. So the map holds at most the sessions whose rows
/// came to this machine within that time, at some 100 bytes each. Clients cannot add to it: an
/// entry needs a row that names this machine.
#[derive(Default)]
pub(super) struct PendingTerms {
    terms: HashMap<SessionId, Term>,
    /// In the order in which they were named, which is the order in which they are due.
    due: VecDeque<(Tick, SessionId, u64)>,
}

impl PendingTerms {
    pub(super) fn get(&self, id: &SessionId) -> Option<Term> {
        self.terms.get(id).copied()
    }

    /// Keeps the term until `due`; a term that is kept already stays due when it was.
    pub(super) fn insert(&mut self, id: SessionId, term: Term, due: Tick) {
        if self.terms.insert(id.clone(), term) != Some(term) {
            self.due.push_back((due, id, term.epoch));
        }
    }

    pub(super) fn remove(&mut self, id: &SessionId) {
        self.terms.remove(id);
    }

    /// Lets go of the terms that are due by `now`, each after `moved`.
    pub(super) fn take_due(&mut self, now: Tick, mut moved: impl FnMut(SessionId, Term)) {
        while let Some((due, id, epoch)) = self.due.front().cloned()
            && due <= now
        {
            self.due.pop_front();
            // The session may have left the map since, or have come back at another epoch.
            if let Some(term) = self.get(&id).filter(|term| term.epoch == epoch) {
                self.terms.remove(&id);
                moved(id, term);
            }
        }
        if self.terms.capacity() > 4 * self.terms.len().max(256) {
            self.terms.shrink_to_fit();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, Term)> + '_ {
        self.terms.iter().map(|(id, term)| (id.clone(), *term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> SessionId {
        SessionId::new(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_pending_term_stays_until_it_is_due() {
        let mut pending = PendingTerms::default();
        for n in 0..1_000 {
            pending.insert(id(n), Term::new(2, 0), Tick(100));
            pending.insert(id(n), Term::new(2, 0), Tick(200));
        }
        pending.take_due(Tick(99), |_, _| panic!("before it is due"));
        assert_eq!(pending.iter().count(), 1_000);
        let mut moved = 0;
        pending.take_due(Tick(100), |_, _| moved += 1);
        assert_eq!(moved, 1_000);
        assert_eq!(pending.iter().count(), 0);
        assert!(pending.due.is_empty() && pending.terms.capacity() < 1_000);
    }

    #[test]
    fn a_later_epoch_is_not_taken_when_the_earlier_is_due() {
        let mut pending = PendingTerms::default();
        pending.insert(id(1), Term::new(2, 0), Tick(100));
        pending.insert(id(1), Term::new(4, 50), Tick(150));
        pending.take_due(Tick(100), |_, _| panic!("the session came back"));
        assert_eq!(pending.get(&id(1)), Some(Term::new(4, 50)));
    }
}
