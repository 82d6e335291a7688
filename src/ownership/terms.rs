//! Since when this machine knows that it owns its sessions.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use quick_cache::sync::Cache as Table;

use super::lease::{LeaseTtl, Term};
use crate::{SessionId, clock::Tick, session::SessionKey};

mod pending;

use pending::PendingTerms;

/// For how many milliseconds after its wait a term stays where nothing is evicted if no request
/// reads its session: longer than clients that were refused take to retry. The first read after the
/// wait moves it to the table.
const LINGER: u64 = 60_000;

/// The terms of sessions whose previous owner may have been serving.
///
/// Apart from the cache, because a session that is forgotten there on a change of its row must not
/// wait again.
///
/// A term that still waits is kept in a map that does not evict: evicting it would begin the wait
/// again, and a machine that waits for more sessions than the table holds would never serve the
/// rest of them. Once a term has waited out it moves to the table, which evicts; losing it there
/// costs the session another wait, during which the map keeps it again.
pub(super) struct Terms {
    pending: Mutex<PendingTerms>,
    waited_out: Table<SessionKey, Term>,
}

impl Terms {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            pending: Mutex::default(),
            waited_out: Table::new(capacity.max(1)),
        }
    }

    /// The term of the session at this epoch, which begins `now` if there is none.
    pub(super) fn begin(&self, id: &SessionId, epoch: u64, now: Tick, ttl: LeaseTtl) -> Term {
        if let Some(term) = self.waited_out.get(id).filter(|term| term.epoch == epoch) {
            return term;
        }
        // All under one lock, and into the table first: a term that moves is never in neither.
        let mut pending = self.lock();
        pending.take_due(now, |id, term| self.waited_out.insert((&id).into(), term));
        let known = pending.get(id).filter(|term| term.epoch == epoch);
        let term = known.unwrap_or(Term::new(epoch, now.0));
        if has_waited_out(term, now, ttl) {
            self.waited_out.insert(id.into(), term);
            pending.remove(id);
        } else {
            let due = Tick(now.0 + ttl.longest_wait() + LINGER);
            pending.insert(id.clone(), term, due);
        }
        term
    }

    /// The same, and begins none.
    pub(super) fn get(&self, id: &SessionId, epoch: u64) -> Option<Term> {
        let pending = self.lock().get(id);
        let term = pending.or_else(|| self.waited_out.peek(id));
        term.filter(|term| term.epoch == epoch)
    }

    pub(super) fn remove(&self, id: &SessionId) {
        self.lock().remove(id);
        self.waited_out.remove(id);
    }

    /// The sessions that have waited for their previous owner, with their epochs.
    pub(super) fn waited_out(&self, now: Tick, ttl: LeaseTtl) -> HashSet<(SessionId, u64)> {
        let pending = self.lock();
        let lingering = pending
            .iter()
            .filter(|(_, term)| has_waited_out(*term, now, ttl));
        lingering
            .chain(
                self.waited_out
                    .iter()
                    .map(|(key, term)| ((&key).into(), term)),
            )
            .map(|(id, term)| (id, term.epoch))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, PendingTerms> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_waited_out(term: Term, now: Tick, ttl: LeaseTtl) -> bool {
    term.serves_from(None, ttl) <= now.0
}
