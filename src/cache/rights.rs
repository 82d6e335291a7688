//! What this process may do with what is known.

use std::sync::atomic::Ordering;

use super::{Cache, Found, Source, Tick, tenures::is_clear_of};
use crate::{Bound, MachineId, Presence, Right, Session, Standing, standing::AtomicStanding};

impl Cache {
    /// This process has joined its fleet: it may serve what it reads from now on.
    pub(crate) fn join(&self) {
        let from = self.trust_reads_from_now_on();
        self.joined_at.store(from.0, Ordering::Release);
        self.invalidate_all();
        if self.standing.go_on(Standing::Serving) {
            self.meter.stands(self.standing());
        }
    }

    /// The same for a process whose machine had another one, which may still be serving.
    pub(crate) fn join_as_successor(&self) {
        // One more, since a read counts as sent up to a millisecond after it was; see `asking_at`.
        let alone_from = self.clock.exact().0 + 1 + self.bound().longest_wait();
        self.alone_from.store(alone_from, Ordering::Release);
        self.join();
    }

    /// This machine was suspended: for how long, no clock here may know.
    pub(crate) fn resume(&self) {
        self.trust_reads_from_now_on();
        self.invalidate_all();
    }

    /// Reads that were sent before now prove nothing any more, nor do those under way.
    fn trust_reads_from_now_on(&self) -> Tick {
        // The next millisecond: a read that was sent in this one may have been sent before.
        let from = self.clock.exact().0 + 1;
        self.trusted_from.fetch_max(from, Ordering::AcqRel);
        Tick(from)
    }

    /// When a question that is sent next counts as sent: now, or up to a millisecond later where
    /// reads have just begun to count.
    pub(super) fn asking_at(&self) -> Tick {
        let now = self.clock.exact();
        now.max(Tick(self.trusted_from.load(Ordering::Acquire)))
    }

    /// Whether no other process of this machine can be serving any more.
    pub(crate) fn is_alone(&self) -> bool {
        self.clock.exact().0 >= self.alone_from.load(Ordering::Acquire)
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
        self.right_now(session, found.asked_at, found.source)
    }

    /// The same, of a read that was sent at `asked_at`.
    #[inline]
    pub(crate) fn right_now(&self, session: &Session, asked_at: Tick, source: Source) -> Right {
        let bound = self.tenures.bound();
        // What was read before may have been released since, by a process of this machine whose
        // last write came late; or the machine was suspended since.
        if !self.is_trusted(asked_at) || !self.is_me(session.owner()) {
            return Right::Expired;
        }
        let alone = self.alone_from.load(Ordering::Acquire);
        let until_alone = alone.saturating_sub(asked_at.0);
        let given_up = session
            .epoch()
            .is_some_and(|epoch| self.tenures.was_given_up(session.id(), epoch));
        // The directory has lost the machine's row, by which it tells this process from another one.
        let is_unknown =
            session.presence() == Presence::NeverSeen && self.joined_at.load(Ordering::Acquire) > 0;
        let wait = if given_up || is_unknown {
            u64::MAX
        } else {
            u64::from(session.wait()).max(until_alone)
        };
        let age = self.age(asked_at, wait);
        let unbounded = session.epoch().is_none() || source == Source::Stale;
        // Without epochs nothing is promised; and who lets the layer use stale news of its own
        // sessions has given the promise up.
        let age = if unbounded && age >= wait { wait } else { age };
        Right::of(0, wait, age, bound)
    }

    /// Whether a read that allowed this machine to serve a moment ago does so for certain still.
    ///
    /// What may have changed since is looked at, and nothing else: a wait that was over is over. Not
    /// the whole of [`right_now`](Self::right_now), which every request would pay for twice; where
    /// this cannot tell, that decides.
    #[inline]
    pub(crate) fn still_serves(&self, read_at: Tick) -> bool {
        self.standing() == Standing::Serving
            && self.is_trusted(read_at)
            && !self.tenures.gave_any_up()
            && is_clear_of(self.bound(), self.clock.now().since(read_at), 0)
    }

    /// For how many milliseconds a read that was sent at `read_at` still proves anything.
    pub(crate) fn proved_for(&self, read_at: Tick) -> u64 {
        if !self.is_trusted(read_at) {
            return 0;
        }
        self.bound().freshness.saturating_sub(self.age(read_at, 0))
    }

    /// Whether what was read then may be relied on at all.
    pub(crate) fn is_trusted(&self, asked_at: Tick) -> bool {
        asked_at >= Tick(self.trusted_from.load(Ordering::Acquire))
    }

    fn age(&self, asked_at: Tick, wait: u64) -> u64 {
        let coarse = self.clock.now().since(asked_at);
        if is_clear_of(self.bound(), coarse, wait) {
            coarse
        } else {
            self.clock.exact().since(asked_at)
        }
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
