//! Layers that carry requests to their owners.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{BuildError, OwnershipLayer, OwnershipLayerBuilder};
use crate::{
    Ownership,
    clock::Clock,
    forward::{Carrier, Forward, Forwarder, Forwarding},
};

impl OwnershipLayerBuilder {
    /// Carries requests to their owners, without a proxy that does. Beside a [`replay`](Self::replay), it
    /// carries what that cannot, such as bodies that are too long for it.
    ///
    /// It comes last, since it makes another layer, whose services hold a
    /// [`Forwarder`] and ask that requests have bodies which can be sent. See
    /// [`Forward`] for what requests may be carried to.
    pub fn forward(self, forward: Forward) -> ForwardingLayerBuilder {
        ForwardingLayerBuilder {
            builder: self,
            forward,
        }
    }
}

/// An [`OwnershipLayerBuilder`] of a layer that carries requests to their owners; made by
/// [`forward`](OwnershipLayerBuilder::forward).
#[must_use = "a builder does nothing until it is built"]
pub struct ForwardingLayerBuilder {
    builder: OwnershipLayerBuilder,
    forward: Forward,
}

impl ForwardingLayerBuilder {
    /// Builds the layer, or says what is missing or cannot work.
    pub fn build(self) -> Result<OwnershipLayer<Forwarding>, BuildError> {
        let mut builder = self.builder;
        let carrier = Carrier::new(self.forward, builder.replay.take());
        builder.replay = Some(Box::new(Arc::clone(&carrier)));
        builder.forward = Some(Arc::clone(&carrier));
        Ok(OwnershipLayer {
            policy: builder.policy(Clock::start())?,
            forward: Forwarding(carrier),
        })
    }
}

impl<S> Layer<S> for OwnershipLayer<Forwarding> {
    type Service = Ownership<Forwarder<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        let (policy, carrier) = (Arc::clone(self.policy()), Arc::clone(&self.forward.0));
        let forwarder = Forwarder::new(inner, policy, carrier);
        Ownership::new(forwarder, Arc::clone(&self.policy))
    }
}

impl fmt::Debug for ForwardingLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingLayerBuilder")
            .field("forward", &self.forward)
            .finish_non_exhaustive()
    }
}
