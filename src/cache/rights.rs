//! What this process may do with what is known.

use std::sync::atomic::Ordering;

use super::{Cache, Found, Source, Tick};
use crate::{Bound, MachineId, Right, Session, Standing, standing::AtomicStanding};

impl Cache {
    /// This process has joined its fleet: it may serve what it reads from now on.
    pub(crate) fn join(&self) {
        self.joined_at.store(self.clock.now().0, Ordering::Release);
        self.invalidate_all();
        if self.standing.go_on(Standing::Serving) {
            self.meter.stands(self.standing());
        }
    }

    /// The same for a process whose machine had another one, which may still be serving.
    pub(crate) fn join_as_successor(&self) {
        let alone_from = self.clock.now().0 + self.bound().longest_wait();
        self.alone_from.store(alone_from, Ordering::Release);
        self.join();
    }

    /// Whether no other process of this machine can be serving any more.
    pub(crate) fn is_alone(&self) -> bool {
        self.clock.now().0 >= self.alone_from.load(Ordering::Acquire)
    }

    /// Another process is this machine, says what was asked for at `asked_at`. That is believed only
    /// if it was asked after this process had joined: before, it is the one before that is told.
    pub(super) fn superseded(&self, asked_at: Tick) {
        let joined_at = self.joined_at.load(Ordering::Acquire);
        if joined_at > 0 && asked_at >= Tick(joined_at) {
            self.worsen(Standing::Duplicate);
        }
    }

    /// Takes the right to serve from this process, for good. Says whether that is news.
    pub(crate) fn worsen(&self, standing: Standing) -> bool {
        let news = self.standing.go_on(standing);
        if news {
            self.meter.stands(self.standing());
            // Whoever holds a stream open finds out now.
            self.invalidate_all();
        }
        news
    }

    /// Nothing is served before this process has joined its fleet.
    pub(crate) fn await_presence(&mut self) {
        self.standing = AtomicStanding::new(Standing::Joining);
        self.meter.stands(Standing::Joining);
    }

    /// What a read allows this machine, if it is the session's owner: nothing otherwise.
    pub(crate) fn right(&self, found: &Found, session: &Session) -> Right {
        let (bound, asked_at) = (self.tenures.bound(), found.asked_at);
        // What was read before may have been released since, by a process of this machine whose
        // last write came late.
        let joined_at = self.joined_at.load(Ordering::Acquire);
        if asked_at < Tick(joined_at) || !self.is_me(session.owner()) {
            return Right::Expired;
        }
        let age = self.clock.now().since(asked_at);
        let alone = self.alone_from.load(Ordering::Acquire);
        let until_alone = alone.saturating_sub(asked_at.0);
        let given_up = session
            .epoch()
            .is_some_and(|epoch| self.tenures.was_given_up(session.id(), epoch));
        let wait = if given_up {
            u64::MAX
        } else {
            u64::from(session.wait()).max(until_alone)
        };
        let unbounded = session.epoch().is_none() || found.source == Source::Stale;
        // Without epochs nothing is promised; and who lets the layer use stale news of its own
        // sessions has given the promise up.
        let age = if unbounded && age >= wait { wait } else { age };
        Right::of(0, wait, age, bound)
    }

    pub(crate) fn bound(&self) -> Bound {
        self.tenures.bound()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.get()
    }

    pub(crate) fn is_me(&self, owner: Option<&MachineId>) -> bool {
        owner == Some(&self.me)
    }
}
