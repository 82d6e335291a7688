//! What a read of a session allows this machine.

use std::sync::atomic::Ordering;

use super::Node;
use crate::{
    CacheStatus, NodeState, OwnerStatus, Session, SessionId,
    cache::OnRead,
    clock::Tick,
    ownership::lease::{Lease, LeaseTtl, previous_owner_may_serve},
};

impl Node {
    /// What a read of the session allows this machine. A read that names it begins its term.
    #[inline]
    pub(crate) fn lease(
        &self,
        session: &Session,
        read_at: Tick,
        cache_status: CacheStatus,
    ) -> Lease {
        let named_at = |id: &SessionId, epoch| {
            let now = self.0.clock.exact();
            self.0.terms.begin(id, epoch, now, self.ttl()).named_at
        };
        self.lease_of(session, read_at, cache_status, named_at)
    }

    /// The same, and begins no term.
    pub(crate) fn preview_lease(
        &self,
        session: &Session,
        read_at: Tick,
        cache_status: CacheStatus,
    ) -> Lease {
        let named_at = |id: &SessionId, epoch| match self.0.terms.get(id, epoch) {
            Some(term) => term.named_at,
            None => self.0.clock.exact().0,
        };
        self.lease_of(session, read_at, cache_status, named_at)
    }

    #[inline]
    fn lease_of(
        &self,
        session: &Session,
        read_at: Tick,
        cache_status: CacheStatus,
        named_at: impl FnOnce(&SessionId, u64) -> u64,
    ) -> Lease {
        let ttl = self.ttl();
        // What was read before a cut may have been released since, by a process of this machine whose
        // last write came late; or the machine was suspended since.
        if !self.0.clock.is_after_cut(read_at) || session.owner() != Some(self.machine()) {
            return Lease::Expired;
        }
        let mut from = self.0.alone_from.load(Ordering::Acquire);
        if let Some(epoch) = session.epoch() {
            if self.0.releases.contains(session.id(), epoch) {
                return Lease::Released;
            }
            if previous_owner_may_serve(epoch, session.released()) {
                from = from.max(named_at(session.id(), epoch) + ttl.longest_wait());
            }
        }
        // The directory has lost the machine's row, by which it tells this process from another one.
        // The next heartbeat restores it, after which this process waits like a successor.
        if session.owner_status() == OwnerStatus::NeverSeen && self.has_joined() {
            return Lease::Pending {
                left: ttl.longest_wait(),
            };
        }
        let wait = from.saturating_sub(read_at.0);
        let age = self.age(read_at, wait, ttl);
        // Without epochs nothing is promised; and a layer that may use stale reads of its own
        // sessions has given the promise up.
        let unbounded = session.epoch().is_none() || cache_status == CacheStatus::Stale;
        let age = if unbounded && age >= wait { wait } else { age };
        Lease::of(0, wait, age, ttl)
    }

    /// Whether a read that allowed this machine to serve a moment ago does so for certain still.
    ///
    /// What may have changed since is looked at, and nothing else: a wait that was over is over. Not
    /// the whole of [`lease`](Self::lease), which every request would pay for twice; where this
    /// cannot tell, that decides.
    #[inline]
    pub(crate) fn still_serves(&self, read_at: Tick) -> bool {
        self.state() == NodeState::Serving
            && self.0.clock.is_after_cut(read_at)
            && self.0.releases.is_empty()
            && self.ttl().is_clear_of(self.now().since(read_at), 0)
    }

    /// Whether this machine serves by a read that [allowed it](OnRead::serves_at_once) to. `is_bounded`: the
    /// directory keeps epochs. Where it says no, [`lease`](Self::lease) decides.
    #[inline]
    pub(crate) fn serves_by(&self, read_at: Tick, now: Tick, is_bounded: bool) -> bool {
        self.state() == NodeState::Serving
            && self.0.clock.is_after_cut(read_at)
            && self.0.releases.is_empty()
            && self.0.alone_from.load(Ordering::Acquire) <= read_at.0
            && (!is_bounded || self.ttl().is_clear_of(now.since(read_at), 0))
    }

    /// For how many milliseconds a read that was sent at `read_at` still proves anything.
    pub(crate) fn proves_for(&self, read_at: Tick) -> u64 {
        if !self.is_trusted(read_at) {
            return 0;
        }
        let ttl = self.ttl();
        ttl.ttl.saturating_sub(self.age(read_at, 0, ttl))
    }

    /// Whether what was read then may be relied on at all.
    pub(crate) fn is_trusted(&self, read_at: Tick) -> bool {
        self.0.clock.is_after_cut(read_at)
    }

    /// Another process registered this machine, says what was read at `read_at`. That counts only if
    /// it was read after this process had joined: before, the row told of the process before it.
    pub(in crate::ownership) fn superseded(&self, read_at: Tick) {
        if self.has_joined() && read_at.0 >= self.0.joined_at.load(Ordering::Acquire) {
            self.advance(NodeState::Fenced);
        }
    }

    fn age(&self, read_at: Tick, wait: u64, ttl: LeaseTtl) -> u64 {
        let coarse = self.now().since(read_at);
        if ttl.is_clear_of(coarse, wait) {
            coarse
        } else {
            self.0.clock.exact().since(read_at)
        }
    }
}

impl OnRead for Node {
    fn lease_ttl(&self) -> u64 {
        self.ttl().ttl
    }

    fn on_read(&self, session: &Session, read_at: Tick, now: Tick) {
        if !self.is_me(session.owner()) {
            return;
        }
        if let Some(epoch) = session.epoch().filter(|epoch| *epoch > 1) {
            // Also one with a proof, since the row may lose it while the owner stays: an UPDATE that
            // moves it to another partition inserts it there. Judged from then on, the owner would
            // refuse for a whole wait what it has served for hours.
            if !self.0.releases.contains(session.id(), epoch) {
                self.0.terms.begin(session.id(), epoch, now, self.ttl());
            }
        }
        if session.owner_status() == OwnerStatus::Superseded {
            self.superseded(read_at);
        }
    }

    fn gave_up(&self, session: &SessionId, epoch: Option<u64>) -> bool {
        let epoch = epoch.unwrap_or_default();
        self.state() != NodeState::Serving || self.0.releases.contains(session, epoch)
    }

    fn serves_at_once(&self, session: &Session, read_at: Tick) -> bool {
        let away = [OwnerStatus::NeverSeen, OwnerStatus::Superseded];
        if !self.is_me(session.serving_owner()) || away.contains(&session.owner_status()) {
            return false;
        }
        let Some(epoch) = session.epoch() else {
            return true;
        };
        let begun = |epoch| self.0.terms.get(session.id(), epoch);
        !previous_owner_may_serve(epoch, session.released())
            || begun(epoch).is_some_and(|term| {
                let wait = self.ttl().longest_wait();
                term.named_at.saturating_add(wait) <= read_at.0
            })
    }
}
