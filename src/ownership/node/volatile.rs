//! Whether sessions end with the process that holds them.

use super::Node;

impl Node {
    /// Settles for all layers of the node whether its sessions are
    /// [volatile](crate::OwnershipLayerBuilder::volatile). Returns whether it is as another layer said
    /// before.
    ///
    /// One answer for a node, since a drain speaks for all sessions of the machine.
    pub(crate) fn agree_on_volatile(&self, volatile: bool) -> bool {
        *self.0.volatile.get_or_init(|| volatile) == volatile
    }

    /// Whether its sessions live and die with the memory of this process.
    #[inline]
    pub(crate) fn is_volatile(&self) -> bool {
        self.0.volatile.get().is_some_and(|volatile| *volatile)
    }

    /// Whether this process creates sessions too early: it is not registered yet, and then ends what is in
    /// the directory for its machine.
    pub(crate) fn creates_too_early(&self) -> bool {
        self.is_volatile() && self.boot_id().is_none()
    }
}
