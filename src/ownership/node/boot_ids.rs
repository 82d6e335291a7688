//! Which process of its machine a node is.

use std::sync::{PoisonError, RwLockWriteGuard};

use uuid::Uuid;

use super::Node;

/// Under which boot ids this process registers the machine.
#[derive(Default)]
pub(super) struct BootIds {
    registered: Option<Uuid>,
    /// That of all attempts since.
    #[cfg(feature = "membership")]
    attempted: Option<Uuid>,
    /// Why the last attempt failed.
    #[cfg(feature = "membership")]
    failure: Option<String>,
}

impl Node {
    /// Under which boot id this process registered the machine, if it did: its directory tells this
    /// process from other processes of the machine by it.
    #[must_use]
    pub fn boot_id(&self) -> Option<Uuid> {
        let boot_ids = self.0.boot_ids.read();
        boot_ids.unwrap_or_else(PoisonError::into_inner).registered
    }

    /// The boot id to register the machine under: one for all attempts until one succeeds. The write of
    /// an attempt that timed out may land later, and would be that of another process otherwise, for
    /// which this one then has to wait, or before which it has to stop.
    #[cfg(feature = "membership")]
    pub(in crate::ownership) fn attempt(&self) -> Uuid {
        *self.boot_ids().attempted.get_or_insert_with(new_id)
    }

    /// Notes why an attempt to register failed, or that it did not. Returns whether that is another
    /// failure than the last one.
    #[cfg(feature = "membership")]
    pub(in crate::ownership) fn attempted(&self, failure: Option<String>) -> bool {
        let mut boot_ids = self.boot_ids();
        if failure.is_none() {
            boot_ids.attempted = None;
        }
        let is_new = failure != boot_ids.failure;
        boot_ids.failure = failure;
        is_new
    }

    /// Notes under which boot id this process has registered the machine.
    pub fn registered_as(&self, boot_id: Uuid) {
        self.boot_ids().registered = Some(boot_id);
    }

    fn boot_ids(&self) -> RwLockWriteGuard<'_, BootIds> {
        let boot_ids = self.0.boot_ids.write();
        boot_ids.unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that no other process has.
#[cfg(feature = "membership")]
fn new_id() -> Uuid {
    let (high, low) = (crate::random::number(), crate::random::number());
    let bytes = Uuid::from_u64_pair(high, low).into_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
