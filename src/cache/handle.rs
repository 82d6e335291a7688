//! What the outside may do with a layer's cache.

#[cfg(feature = "postgres")]
use std::sync::Weak;
use std::{sync::Arc, time::Duration};

use super::Cache;
use crate::{MachineId, SessionId, Standing};

/// Makes a layer forget what it knows of sessions.
///
/// For whoever learns of a change before the freshness runs out: a push from the directory, or an
/// orchestrator in the same process. A lookup that is under way when a session is forgotten comes
/// back to those who wait for it, and is not kept.
#[derive(Clone, Debug)]
pub struct CacheHandle(Arc<Cache>);

impl CacheHandle {
    pub(crate) fn new(cache: &Arc<Cache>) -> Self {
        Self(Arc::clone(cache))
    }

    /// Forgets one session, also that it was unknown.
    pub fn forget(&self, session: SessionId) {
        self.0.invalidate(session);
    }

    /// Forgets every session.
    pub fn forget_all(&self) {
        self.0.invalidate_all();
    }

    /// How many sessions are known now, with those whose freshness has run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.known.len()
    }

    /// Whether no session is known now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The machine whose layer it is.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.0.me
    }

    /// What this process may do.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.standing.get()
    }

    /// F: for how long a read of an owned session may be relied on.
    #[must_use]
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.0.tenures.bound().freshness)
    }

    /// Whether the layer goes on serving what it owned once while the directory fails, which two
    /// machines may then do at once.
    #[must_use]
    pub fn serves_stale_owned(&self) -> bool {
        self.0.freshness.stale_owned_if_error > 0
    }

    /// Lets a process serve that [waited for its presence](crate::OwnershipLayerBuilder::awaits_presence),
    /// from what it reads from now on.
    pub fn joined(&self) {
        self.0.join();
    }

    /// The same for a process that took its machine's id from another one, which may be running and
    /// not know it yet. Until that one's last read is too old to be relied on, which is
    /// [F](Self::bound) from now on, this process serves nothing, and proves no release.
    pub fn joined_as_successor(&self) {
        self.0.join_as_successor();
    }

    /// Forgets every session, and relies on nothing that was read before now, nor on lookups that are
    /// under way; streams that wait for a [loss](crate::Owned::lost) read their session again.
    ///
    /// For a hook that runs when the machine was resumed (a snapshot that was restored, Fly's
    /// `suspend`, a laptop's lid): its monotonic clock did not count the time, so what was read
    /// before looks younger than it is. It has to be called before requests are served again. Unlike
    /// [`forget_all`](Self::forget_all), it also covers requests that waited for a lookup meanwhile.
    ///
    /// ```
    /// # fn on_resume(layer: &tower_ownership::OwnershipLayer) {
    /// layer.cache().resumed();
    /// # }
    /// ```
    pub fn resumed(&self) {
        self.0.resume();
    }

    /// Whether no other process of this machine can be serving any more.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.is_alone()
    }

    /// Takes the right to serve from this process, for good. Says whether that is news.
    #[allow(
        clippy::must_use_candidate,
        reason = "what it does matters more than what it says"
    )]
    pub fn worsen(&self, standing: Standing) -> bool {
        self.0.worsen(standing)
    }

    /// Stops serving the session at this epoch and before, for good. It comes before the release is
    /// written.
    ///
    /// Says whether this machine has waited for the owner before it, and so may write a
    /// [proof](crate::Tenure::release_proof) that the next one need not. A machine that did not have
    /// to wait is told `false`, too: the row says that.
    #[allow(
        clippy::must_use_candidate,
        reason = "what it does matters more than what it says"
    )]
    pub fn give_up(&self, session: SessionId, epoch: u64) -> bool {
        let entitled = self.0.tenures.give_up(session, epoch, self.0.clock.exact());
        self.forget(session);
        entitled
    }

    /// Says that the directory has written that the session was given up.
    pub fn gave_up(&self, session: SessionId) {
        self.0.tenures.gave_up(session, self.0.clock.exact());
    }

    /// The sessions for whose owner before this machine has waited, with their epochs.
    #[must_use]
    pub fn waited_out(&self) -> Vec<(SessionId, u64)> {
        self.0.tenures.waited_out(self.0.clock.exact())
    }
}

impl CacheHandle {
    /// A handle that does not keep the cache.
    #[cfg(feature = "postgres")]
    pub(crate) fn downgrade(&self) -> WeakCacheHandle {
        WeakCacheHandle(Arc::downgrade(&self.0))
    }
}

/// A [`CacheHandle`] for what the cache itself owns.
#[cfg(feature = "postgres")]
#[derive(Clone, Debug)]
pub(crate) struct WeakCacheHandle(Weak<Cache>);

#[cfg(feature = "postgres")]
impl WeakCacheHandle {
    pub(crate) fn upgrade(&self) -> Option<CacheHandle> {
        self.0.upgrade().map(CacheHandle)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(crate) fn is_of(&self, cache: &CacheHandle) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&cache.0)
    }
}
