//! The layer and its builder.

use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::{
    CacheHandle, MachineId, Node, Ownership, SessionLookup,
    directory::lookup::DynLookup,
    ownership::Registrar,
    policy::{Policy, SharedPolicy},
};

mod builder;
mod error;
#[cfg(feature = "forward")]
mod forward;

pub use builder::OwnershipLayerBuilder;
pub use error::BuildError;
#[cfg(feature = "forward")]
pub use forward::ForwardingLayerBuilder;

/// Makes services that serve only the sessions of this machine.
///
/// Built once, at start; a clone shares everything and costs one reference count. Requests for no
/// session pass it untouched.
///
/// `F` says whether the layer carries requests to their owners itself; by default it does not, and the
/// proxy in front takes them there as its [`replay`](OwnershipLayerBuilder::replay) says.
#[derive(Clone)]
pub struct OwnershipLayer<F = ()> {
    policy: Arc<SharedPolicy>,
    #[cfg_attr(
        not(feature = "forward"),
        expect(dead_code, reason = "only a layer that forwards has a use for it")
    )]
    forward: F,
}

impl OwnershipLayer {
    /// The longest wait for a lookup unless [said otherwise](OwnershipLayerBuilder::lookup_timeout).
    pub const DEFAULT_LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

    /// How many sessions are remembered unless [said otherwise](OwnershipLayerBuilder::cache_capacity):
    /// about five megabytes of them, without attributes.
    pub const DEFAULT_CACHE_CAPACITY: usize = 100_000;

    /// How often one request is replayed at most, unless
    /// [said otherwise](OwnershipLayerBuilder::max_hops): one for the way to the owner, one more
    /// for an owner that changed meanwhile.
    pub const DEFAULT_MAX_HOPS: u8 = 2;

    /// The longest body that is read although its request is refused, unless
    /// [said otherwise](OwnershipLayerBuilder::refused_body_limit): 16 MiB.
    pub const DEFAULT_REFUSED_BODY_LIMIT: u64 = 16 * 1024 * 1024;

    /// For how long such a body is read unless
    /// [said otherwise](OwnershipLayerBuilder::refused_body_timeout).
    pub const DEFAULT_REFUSED_BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// How often one cause of refusals is said at WARN at most, unless
    /// [said otherwise](OwnershipLayerBuilder::warn_interval).
    pub const DEFAULT_WARN_INTERVAL: Duration = Duration::from_secs(10);

    /// A layer that asks `lookup` who owns a session.
    pub fn builder(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
        OwnershipLayerBuilder::new(DynLookup::new(lookup))
    }
}

impl<F> OwnershipLayer<F> {
    /// What the layer's cache holds, to make it forget a session that is known to have changed.
    #[must_use]
    pub fn cache(&self) -> CacheHandle {
        CacheHandle::new(&self.policy.sessions)
    }

    /// Registers sessions that are born on this machine; `None` if the layer was built without a
    /// [directory](OwnershipLayerBuilder::directory).
    #[must_use]
    pub fn registrar(&self) -> Option<Registrar> {
        self.policy.births.registrar.clone()
    }

    /// The node that the layer is part of: this process as a member of its fleet.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.policy.sessions.node
    }

    pub(crate) fn policy(&self) -> &Arc<Policy> {
        self.policy.policy()
    }

    /// This machine, as the layer knows it.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.policy.machine
    }
}

impl<S> Layer<S> for OwnershipLayer {
    type Service = Ownership<S>;

    fn layer(&self, inner: S) -> Ownership<S> {
        Ownership::new(inner, Arc::clone(&self.policy))
    }
}

impl<F> fmt::Debug for OwnershipLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnershipLayer")
            .field("machine", &self.policy.machine)
            .finish_non_exhaustive()
    }
}
