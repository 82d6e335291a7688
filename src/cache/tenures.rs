//! What this machine remembers of the sessions it owns, whatever else is forgotten.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pending::PendingTerms;

use quick_cache::sync::Cache as Table;

use super::Tick;
use crate::{Bound, Session, SessionId, Tenure};

mod pending;

/// How much longer than F a wait is, in three parts. Milliseconds, since either end is rounded to
/// whole ones, and so are the other parts.
const ROUNDING: u64 = 4;

/// A thousandth of F: the clocks of two machines, each of which is being corrected, may run apart by
/// that much.
const DRIFT: u64 = 1_000;

/// A fifth of F, and no more than a second (1 s at the default F of 5 s): while a live migration
/// stops the old owner's machine, commonly for 0.1 to 1 s, the clock of a KVM guest does not move,
/// so its reads live longer by as much. It costs as much of each change of owner without a proof;
/// first owners, and those after a release, do not wait. A fixed second was rejected, since it would
/// double the wait of a fleet with an F of 1 s.
const STOPPED_PART: u64 = 5;
const LONGEST_STOP: u64 = 1_000;

/// An age that the coarse clock tells counts only if a quarter of F is left, so this clock may lag
/// by up to that (1.25 s by default) without a wait being longer for it. A busy session is read
/// again before, so requests for it do not pay for the exact clock.
const MARGIN_PART: u64 = 4;

/// Whether an age that a coarse clock tells is so far from both ends that its lag does not matter.
/// Where there is something to wait for, it is not.
pub(super) const fn is_clear_of(bound: Bound, age: u64, wait: u64) -> bool {
    wait == 0 && age < bound.freshness - bound.freshness / MARGIN_PART
}

/// What is added to every wait for this F.
const fn slack(freshness: u64) -> u64 {
    let stopped = freshness / STOPPED_PART;
    let stopped = if stopped < LONGEST_STOP {
        stopped
    } else {
        LONGEST_STOP
    };
    ROUNDING + freshness / DRIFT + stopped
}

/// F is no shorter than this, however short the freshness of what is owned: a request that waited
/// for its lookup has to be able to use it.
const SHORTEST: u64 = 1_000;

/// For how many milliseconds after its wait a term stays where nothing is evicted if no request
/// reads its session: longer than clients that were refused take to retry. The first read after the
/// wait moves it to the table.
const LINGER: u64 = 60_000;

/// How many sessions that were given up are remembered before those of which nothing more can be
/// heard are dropped.
const MANY: usize = 4_096;

/// Since when this machine knows that it owns a session, and which it has given up.
///
/// Apart from the cache, because what is forgotten there on a change of the row must not make a
/// session wait again.
///
/// A term that still waits is kept in a map that does not evict: evicting it would begin the wait
/// again, and a machine that waits for more sessions than the table holds would never serve the
/// rest of them. Once a term has waited out it moves to the table, which evicts; losing it there
/// costs the session another wait, during which the map keeps it again.
pub(super) struct Tenures {
    bound: Bound,
    pending: Mutex<PendingTerms>,
    waited_out: Table<SessionId, Tenure>,
    given_up: Mutex<HashMap<SessionId, GivenUp>>,
    /// Most machines never give one up, and should not take the lock for that.
    any_given_up: AtomicBool,
}

/// A session that this machine may not serve at this epoch or an earlier one, whatever it reads.
#[derive(Clone, Copy)]
struct GivenUp {
    epoch: u64,
    /// When the directory said that it is done. Before that it may happen at any time.
    done: Option<Tick>,
}

impl Tenures {
    pub(super) fn new(capacity: usize, owned: u32) -> Self {
        let freshness = u64::from(owned).max(SHORTEST);
        Self {
            bound: Bound::new(freshness).with_slack(slack(freshness)),
            pending: Mutex::default(),
            waited_out: Table::new(capacity.max(1)),
            given_up: Mutex::default(),
            any_given_up: AtomicBool::new(false),
        }
    }

    pub(super) fn bound(&self) -> Bound {
        self.bound
    }

    /// Notes what a read that names this machine, and was completed `now`, says; tells the session
    /// how long it has to wait, counted from when the read was sent.
    pub(super) fn note(&self, session: &mut Session, asked_at: Tick, now: Tick) {
        let id = session.id();
        let Some(term) = self.tell(session, || self.known(id), asked_at, now) else {
            return;
        };
        // All under one lock, and into the table first: a term that moves is never in neither.
        let mut pending = lock(&self.pending);
        pending.take_due(now, |id, term| self.waited_out.insert(id, term));
        if self.has_waited_out(term, now) {
            self.waited_out.insert(id, term);
            pending.remove(id);
        } else {
            let due = Tick(now.0 + self.bound.longest_wait() + LINGER);
            pending.insert(id, term, due);
        }
    }

    /// Tells the session the same, and notes nothing.
    pub(super) fn preview(&self, session: &mut Session, asked_at: Tick, now: Tick) {
        let id = session.id();
        let known = || {
            let pending = lock(&self.pending).get(id);
            pending.or_else(|| self.waited_out.peek(&id))
        };
        self.tell(session, known, asked_at, now);
    }

    /// Returns the term that this read confirms or begins, if the session needs one.
    fn tell(
        &self,
        session: &mut Session,
        known: impl FnOnce() -> Option<Tenure>,
        asked_at: Tick,
        now: Tick,
    ) -> Option<Tenure> {
        // Without epochs, the directory promises nothing.
        let epoch = session.epoch()?;
        if self.was_given_up(session.id(), epoch) {
            session.set_wait(u32::MAX);
            return None;
        }
        // Only the first epoch never has to wait. One with a proof is noted, since the row may lose
        // it while the owner stays: an UPDATE that moves it to another partition inserts it there.
        // Judged from then on, the owner would refuse for a whole wait what it has served for hours.
        if epoch <= 1 {
            return None;
        }
        let known = known().filter(|tenure| tenure.epoch == epoch);
        let tenure = known.unwrap_or(Tenure::new(epoch, now.0));
        let from = tenure.serves_from(session.released(), self.bound);
        let wait = from.saturating_sub(asked_at.0);
        session.set_wait(u32::try_from(wait).unwrap_or(u32::MAX));
        Some(tenure)
    }

    fn known(&self, id: SessionId) -> Option<Tenure> {
        let pending = lock(&self.pending).get(id);
        pending.or_else(|| self.waited_out.get(&id))
    }

    fn has_waited_out(&self, term: Tenure, now: Tick) -> bool {
        term.serves_from(None, self.bound) <= now.0
    }

    /// Stops serving the session at this epoch, for good; whether this machine was entitled to
    /// serve it, as far as that is known here.
    pub(super) fn give_up(&self, id: SessionId, epoch: u64, now: Tick) -> bool {
        self.any_given_up.store(true, Ordering::Release);
        let mut given_up = lock(&self.given_up);
        if given_up.len() >= MANY {
            let settled = now.0.saturating_sub(2 * self.bound.freshness + 60_000);
            given_up.retain(|_, one| one.done.is_none_or(|done| done.0 > settled));
        }
        // Two may give it up at once, and the later one in the lock may know less.
        let known = given_up.get(&id).map_or(0, |one| one.epoch);
        let epoch_now = epoch.max(known);
        given_up.insert(
            id,
            GivenUp {
                epoch: epoch_now,
                done: None,
            },
        );
        drop(given_up);
        self.entitled(id, epoch, now)
    }

    /// The directory says that it is done.
    pub(super) fn gave_up(&self, id: SessionId, now: Tick) {
        if let Some(one) = lock(&self.given_up).get_mut(&id) {
            one.done = Some(now);
        }
        lock(&self.pending).remove(id);
        self.waited_out.remove(&id);
    }

    /// Those that this machine waited for and may serve now, with their epochs.
    pub(super) fn waited_out(&self, now: Tick) -> Vec<(SessionId, u64)> {
        let pending = lock(&self.pending);
        let lingering = pending
            .iter()
            .filter(|(_, term)| self.has_waited_out(*term, now));
        let settled = self.waited_out.iter();
        lingering
            .chain(settled)
            .map(|(id, term)| (id, term.epoch))
            .collect()
    }

    fn entitled(&self, id: SessionId, epoch: u64, now: Tick) -> bool {
        self.known(id).is_some_and(|term| {
            term.epoch == epoch && term.release_proof(None, now.0, self.bound).is_some()
        })
    }

    /// Whether this machine has ever given a session up.
    pub(super) fn gave_any_up(&self) -> bool {
        self.any_given_up.load(Ordering::Acquire)
    }

    /// Whether this machine may not serve the session at this epoch any more.
    pub(super) fn was_given_up(&self, id: SessionId, epoch: u64) -> bool {
        self.gave_any_up()
            && lock(&self.given_up)
                .get(&id)
                .is_some_and(|one| epoch <= one.epoch)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Right;

    /// The clock of a machine: it runs a little fast or slow, tells whole milliseconds of which
    /// `phase` had passed at first, and stands still for `stopped` at some time after.
    #[derive(Clone, Copy, Debug)]
    struct Guest {
        rate: f64,
        phase: f64,
        stopped: f64,
        stops_after: f64,
    }

    impl Guest {
        /// What it shows so long after that.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds of a few minutes"
        )]
        fn shows(self, later: f64) -> u64 {
            let standing = (later - self.stops_after).clamp(0.0, self.stopped);
            (1_000.0 + self.phase + (later - standing) * self.rate).floor() as u64
        }
    }

    /// Mostly at the edges of what is possible: in between, errors cancel each other out.
    fn clock(longest_stop: u64) -> impl Strategy<Value = Guest> {
        let rate = prop_oneof![Just(0.9995), Just(1.0005), 0.9995..1.0005];
        let phase = prop_oneof![Just(0.0), Just(0.999), 0.0..0.999];
        #[expect(clippy::cast_precision_loss, reason = "a second at most")]
        let longest = longest_stop as f64;
        let stopped = prop_oneof![Just(0.0), Just(longest), 0.0..=longest];
        (rate, phase, stopped, 0.0..2_000.0).prop_map(|(rate, phase, stopped, stops_after)| Guest {
            rate,
            phase,
            stopped,
            stops_after,
        })
    }

    /// F, the clocks of the old and the new owner, and by how much the old one's coarse clock lags.
    fn cases() -> impl Strategy<Value = (u32, Guest, Guest, u64)> {
        let owned = prop_oneof![Just(1_000_u32), Just(5_000), 1_000_u32..60_000];
        owned.prop_flat_map(|owned| {
            let stop = (u64::from(owned) / STOPPED_PART).min(LONGEST_STOP);
            let margin = u64::from(owned) / MARGIN_PART;
            let lag = prop_oneof![Just(0), Just(margin), 0..=margin];
            (Just(owned), clock(stop), clock(0), lag)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The new owner's read is complete when the old one's is sent, which is the worst.
        #[test]
        fn no_two_clocks_within_the_slack_let_two_machines_serve(
            (owned, old, new, lag) in cases(),
        ) {
            let bound = Tenures::new(1, owned).bound();
            let from = Tenure::new(2, new.shows(0.0)).serves_from(None, bound);
            let serves = |later| {
                let exact = old.shows(later) - old.shows(0.0);
                let coarse = exact.saturating_sub(lag);
                let age = if is_clear_of(bound, coarse, 0) { coarse } else { exact };
                Right::of(0, 0, age, bound).may_serve()
            };
            let mut last = f64::from(owned) + old.stopped + 100.0;
            while !serves(last) {
                last -= 0.05;
            }
            prop_assert!(new.shows(last) < from, "{old:?} {new:?} until {last}");
        }
    }
}
