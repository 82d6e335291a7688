//! What this machine remembers of the sessions it owns, whatever else is forgotten.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use quick_cache::sync::Cache as Table;

use super::Tick;
use crate::{Bound, Session, SessionId, Tenure, owner_before_may_serve};

/// By how many milliseconds a wait is longer than F: the coarse clock stands still for up to 16 ms
/// at a time (10 on Linux), at either end. And by a thousandth of F: the clocks of two machines,
/// each of which is being corrected, may run apart by that much.
const SLACK: u64 = 35;
const DRIFT: u64 = 1_000;

/// F is no shorter than this, however short the freshness of what is owned: a request that waited
/// for its lookup has to be able to use it.
const SHORTEST: u64 = 1_000;

/// How many sessions that were given up are remembered before those of which nothing more can be
/// heard are dropped.
const MANY: usize = 4_096;

/// Since when this machine knows that it owns a session, and which it has given up.
///
/// Apart from the cache, because what is forgotten there on a change of the row must not make a
/// session wait again. Losing an entry costs a wait and nothing else.
pub(super) struct Tenures {
    bound: Bound,
    since: Table<SessionId, Tenure>,
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
            bound: Bound::new(freshness).with_slack(SLACK + freshness / DRIFT),
            since: Table::new(capacity.max(1)),
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
        let known = self.since.get(&session.id());
        if let Some(begun) = self.tell(session, known, asked_at, now) {
            self.since.insert(session.id(), begun);
        }
    }

    /// Tells the session the same, and notes nothing.
    pub(super) fn preview(&self, session: &mut Session, asked_at: Tick, now: Tick) {
        let known = self.since.peek(&session.id());
        self.tell(session, known, asked_at, now);
    }

    /// Returns the tenure that begins with this read, if one does.
    fn tell(
        &self,
        session: &mut Session,
        known: Option<Tenure>,
        asked_at: Tick,
        now: Tick,
    ) -> Option<Tenure> {
        // Without epochs, the directory promises nothing.
        let epoch = session.epoch()?;
        if self.was_given_up(session.id(), epoch) {
            session.set_wait(u32::MAX);
            return None;
        }
        if !owner_before_may_serve(epoch, session.released()) {
            return None;
        }
        let known = known.filter(|tenure| tenure.epoch == epoch);
        let tenure = known.unwrap_or(Tenure::new(epoch, now.0));
        let from = tenure.serves_from(session.released(), self.bound);
        let wait = from.saturating_sub(asked_at.0);
        session.set_wait(u32::try_from(wait).unwrap_or(u32::MAX));
        known.is_none().then_some(tenure)
    }

    /// Stops serving the session at this epoch, for good; whether this machine was entitled to
    /// serve it, as far as that is known here.
    pub(super) fn give_up(&self, id: SessionId, epoch: u64, now: Tick) -> bool {
        self.any_given_up.store(true, Ordering::Release);
        let mut given_up = self.lock();
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
        if let Some(one) = self.lock().get_mut(&id) {
            one.done = Some(now);
        }
        self.since.remove(&id);
    }

    /// Those that this machine waited for and may serve now, with their epochs.
    pub(super) fn waited_out(&self, now: Tick) -> Vec<(SessionId, u64)> {
        self.since
            .iter()
            .filter(|(_, tenure)| tenure.serves_from(None, self.bound) <= now.0)
            .map(|(id, tenure)| (id, tenure.epoch))
            .collect()
    }

    fn entitled(&self, id: SessionId, epoch: u64, now: Tick) -> bool {
        let known = self.since.get(&id).filter(|tenure| tenure.epoch == epoch);
        known.is_some_and(|tenure| tenure.release_proof(None, now.0, self.bound).is_some())
    }

    /// Whether this machine may not serve the session at this epoch any more.
    pub(super) fn was_given_up(&self, id: SessionId, epoch: u64) -> bool {
        self.any_given_up.load(Ordering::Acquire)
            && self.lock().get(&id).is_some_and(|one| epoch <= one.epoch)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, GivenUp>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Right;

    /// A coarse clock: it runs a little fast or slow, and moves in ticks, of which one has lasted for
    /// `phase` when both owners read.
    #[derive(Clone, Copy, Debug)]
    struct Coarse {
        rate: f64,
        tick: f64,
        phase: f64,
    }

    impl Coarse {
        /// What it shows so long after that.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds of a few minutes"
        )]
        fn shows(self, later: f64) -> u64 {
            let ticks = ((self.phase + later * self.rate) / self.tick).floor();
            (ticks * self.tick) as u64
        }
    }

    /// Mostly at the edges of what is possible: in between, errors cancel each other out.
    fn clock() -> impl Strategy<Value = Coarse> {
        let rate = prop_oneof![Just(0.9995), Just(1.0005), 0.9995..1.0005];
        let tick = prop_oneof![Just(16.0), Just(10.0), Just(4.0)];
        let phase = prop_oneof![Just(0.0), Just(0.999), 0.0..0.999];
        (rate, tick, phase).prop_map(|(rate, tick, phase)| Coarse {
            rate,
            tick,
            phase: phase * tick,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// The new owner's read is complete when the old one's is sent, which is the worst.
        #[test]
        fn no_two_clocks_within_the_slack_let_two_machines_serve(
            (old, new) in (clock(), clock()),
            owned in prop_oneof![1_000_u32..60_000, (63_u32..3_750).prop_map(|n| 16 * n + 1)],
        ) {
            let bound = Tenures::new(1, owned).bound();
            let from = Tenure::new(2, new.shows(0.0)).serves_from(None, bound);
            let serves = |later| Right::of(old.shows(0.0), 0, old.shows(later), bound).may_serve();
            let mut last = f64::from(owned) + 100.0;
            while !serves(last) {
                last -= 0.01;
            }
            prop_assert!(new.shows(last) < from, "{old:?} {new:?} until {last}");
        }
    }
}
