//! This process as a member of its fleet.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    lease::LeaseTtl,
    releases::Releases,
    state::{AtomicNodeState, NodeState},
    terms::Terms,
};
use crate::{
    MachineId, SessionId,
    clock::{Clock, Tick},
    meter,
};

mod boot_ids;
mod judge;
mod release;
mod volatile;

pub use release::Release;

use boot_ids::BootIds;

/// The lease TTL is no shorter than this, however short the freshness of what is owned: a request
/// that waited for its lookup has to be able to use it.
const SHORTEST_TTL: u64 = 1_000;

/// This process as a member of its fleet: whether it may serve at all, since when it owns its
/// sessions, and which it has given up.
///
/// The rows that a process writes speak for all of its layers: a proof of a release says that none
/// of them serves the session any more. So the layers of one machine in a process share one node. A
/// layer gets its node from its lookup ([`SessionLookup::node`](crate::SessionLookup::node)), or
/// from [`OwnershipLayerBuilder::node`](crate::OwnershipLayerBuilder::node), and otherwise has one of
/// its own. A clone is the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

/// What a node does with its layers.
pub(super) trait Layer: Send + Sync {
    /// Forgets one session. What is under way is not kept.
    fn forget(&self, id: &SessionId);

    fn forget_all(&self);
}

struct Inner {
    machine: MachineId,
    clock: Clock,
    ttl: AtomicU64,
    state: AtomicNodeState,
    /// When this process joined its fleet, in milliseconds; zero if it never did.
    joined_at: AtomicU64,
    /// When no other process of this machine can be serving any more, in milliseconds.
    alone_from: AtomicU64,
    serves_stale: AtomicBool,
    /// Whether sessions end with their process; unset before the first layer is built.
    volatile: OnceLock<bool>,
    terms: Terms,
    releases: Releases,
    boot_ids: RwLock<BootIds>,
    layers: Mutex<Vec<Weak<dyn Layer>>>,
    meter: meter::Node,
}

impl Node {
    /// `capacity`: for how many sessions it remembers that their wait is over.
    pub(crate) fn new(machine: MachineId, capacity: usize, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            machine,
            clock,
            ttl: AtomicU64::new(SHORTEST_TTL),
            state: AtomicNodeState::new(NodeState::Serving),
            joined_at: AtomicU64::new(0),
            alone_from: AtomicU64::new(0),
            serves_stale: AtomicBool::new(false),
            volatile: OnceLock::new(),
            terms: Terms::new(capacity),
            releases: Releases::default(),
            boot_ids: RwLock::default(),
            layers: Mutex::default(),
            meter: meter::Node::new(),
        }))
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.0.machine
    }

    /// What this process may do.
    #[must_use]
    #[inline]
    pub fn state(&self) -> NodeState {
        self.0.state.get()
    }

    /// For how long a read of an owned session may be relied on: the longest
    /// [`CachePolicy::owned`](crate::CachePolicy::owned) of its layers, and 1 s at least.
    #[must_use]
    pub fn lease_ttl(&self) -> Duration {
        Duration::from_millis(self.ttl().ttl)
    }

    /// Whether a layer goes on serving what it owned once while the directory fails, which two
    /// machines may then do at once.
    #[must_use]
    pub fn serves_stale_owned(&self) -> bool {
        self.0.serves_stale.load(Ordering::Acquire)
    }

    /// Lets a process serve that [waited for its
    /// membership](crate::OwnershipLayerBuilder::require_membership), from what it reads from now on.
    pub fn joined(&self) {
        let from = self.0.clock.cut();
        self.0.joined_at.store(from.0, Ordering::Release);
        self.forget_all();
        if self.0.state.advance(NodeState::Serving) {
            self.0.meter.is(self.state());
        }
    }

    /// The same for a process that took its machine's id from another one, which may be running and
    /// not know it yet. Until that one's last read is too old to be relied on, which is one
    /// [TTL](Self::lease_ttl) from now on, this process serves nothing, and proves no release.
    pub fn joined_after_takeover(&self) {
        // One more, since a read counts as sent up to a millisecond after it was; see `Clock::stamp`.
        let alone_from = self.0.clock.exact().0 + 1 + self.ttl().longest_wait();
        self.0.alone_from.store(alone_from, Ordering::Release);
        self.joined();
    }

    /// Whether no other process of this machine can be serving any more.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.clock.exact().0 >= self.0.alone_from.load(Ordering::Acquire)
    }

    /// Forgets every session, and relies on nothing that was read before now, nor on lookups that are
    /// under way; streams that wait for a [loss](crate::Owned::lost) read their session again.
    ///
    /// For a hook that runs when the machine was resumed (a snapshot that was restored, Fly's
    /// `suspend`, a laptop's lid): its monotonic clock did not count the time, so what was read
    /// before looks younger than it is. It has to be called before requests are served again. Unlike
    /// [`CacheHandle::forget_all`](crate::CacheHandle::forget_all), it also covers requests that
    /// waited for a lookup meanwhile.
    ///
    /// ```
    /// # fn on_resume(layer: &tower_ownership::OwnershipLayer) {
    /// layer.node().resumed();
    /// # }
    /// ```
    pub fn resumed(&self) {
        self.0.clock.cut();
        self.forget_all();
    }

    /// Takes the right to serve from this process, for good: to a later state and never back.
    /// Returns whether the state changed.
    #[allow(
        clippy::must_use_candidate,
        reason = "the effect matters more than the answer"
    )]
    pub fn advance(&self, to: NodeState) -> bool {
        let changed = self.0.state.advance(to);
        if changed {
            self.0.meter.is(self.state());
            // Open streams look at the state now.
            self.forget_all();
        }
        changed
    }

    pub(crate) fn is_me(&self, owner: Option<&MachineId>) -> bool {
        owner == Some(self.machine())
    }

    #[inline]
    pub(crate) fn ttl(&self) -> LeaseTtl {
        LeaseTtl::in_milliseconds(self.0.ttl.load(Ordering::Relaxed))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn now(&self) -> Tick {
        self.0.clock.now()
    }

    pub(crate) fn has_joined(&self) -> bool {
        self.0.joined_at.load(Ordering::Acquire) > 0
    }

    /// Lets nothing be served before this process has joined its fleet, unless it has. That holds for all
    /// of its layers.
    pub(crate) fn await_membership(&self) {
        if !self.has_joined() && self.0.state.await_membership() {
            self.0.meter.is(NodeState::Joining);
        }
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether a layer is left.
    pub(crate) fn is_used(&self) -> bool {
        self.lock().iter().any(|layer| layer.strong_count() > 0)
    }

    /// Takes a TTL of at least this many milliseconds, if the fleet has not agreed on one yet.
    /// Returns whether the TTL is that long.
    pub(crate) fn extend_ttl(&self, owned: u32) -> bool {
        let owned = u64::from(owned).max(SHORTEST_TTL);
        if !self.has_joined() {
            self.0.ttl.fetch_max(owned, Ordering::AcqRel);
        }
        owned <= self.0.ttl.load(Ordering::Acquire)
    }

    pub(super) fn attach(&self, layer: Weak<dyn Layer>, serves_stale: bool) {
        self.0.serves_stale.fetch_or(serves_stale, Ordering::AcqRel);
        let mut layers = self.lock();
        layers.retain(|layer| layer.strong_count() > 0);
        layers.push(layer);
    }

    #[cfg(test)]
    pub(super) fn held_terms(&self, at: Tick) -> usize {
        self.0.terms.waited_out(at, self.ttl()).len()
    }

    fn forget_all(&self) {
        for layer in self.layers() {
            layer.forget_all();
        }
    }

    fn layers(&self) -> Vec<Arc<dyn Layer>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Layer>>> {
        self.0.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("machine", self.machine())
            .field("state", &self.state())
            .field("lease_ttl", &self.lease_ttl())
            .finish_non_exhaustive()
    }
}
