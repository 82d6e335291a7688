//! Why a layer cannot be built.

use std::time::Duration;

use crate::{IdentityError, InvalidReplay, MachineId};

/// Why an [`OwnershipLayer`](crate::OwnershipLayer) cannot be built.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder was not told where in a request the session is.
    #[error("no extractor: call `session(…)` to say where in a request the session id stands")]
    NoSession,
    /// The builder was not told how a request is handed over.
    #[error("no replay: call `replay(…)` with `FlyReplay` or `Redirect`")]
    NoReplay,
    /// Sessions are to be claimed or ended, and the builder was not told where.
    #[error("no directory: call `directory(…)` to say where sessions are claimed and ended")]
    NoDirectory,
    /// Sessions end with the process that holds them, and are to be claimed from other machines.
    #[error(
        "sessions are volatile, and to be claimed: what ends with its process cannot be taken over; \
         leave out `volatile()`, or `on_unassigned` and `on_lost_owner`"
    )]
    VolatileClaims,
    /// Another layer of the machine's node says otherwise whether sessions are
    /// [volatile](crate::OwnershipLayerBuilder::volatile).
    #[error(
        "another layer of machine {machine} says otherwise whether sessions are volatile: call \
         `volatile()` for all of them or for none"
    )]
    VolatileDiffers {
        /// The machine.
        machine: MachineId,
    },
    /// The [node](crate::OwnershipLayerBuilder::node) is that of another machine.
    #[error("the layer is built for machine {machine}, and its node is that of {node}")]
    NodeOfAnotherMachine {
        /// The node's machine.
        node: MachineId,
        /// The layer's machine.
        machine: MachineId,
    },
    /// The lookup has a layer of the machine already, which is part of another node than this one.
    #[error("a layer of machine {machine} on this lookup is part of another node")]
    TwoNodes {
        /// The machine.
        machine: MachineId,
    },
    /// The layer would rely on what it read for longer than the fleet has agreed on.
    #[error("the freshness of owned sessions, {owned:?}, is longer than the lease TTL, {ttl:?}")]
    LongerThanLease {
        /// The layer's freshness.
        owned: Duration,
        /// What the fleet has agreed on.
        ttl: Duration,
    },
    /// The process does not know which machine it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The replay is configured in a way that cannot work.
    #[error(transparent)]
    Replay(#[from] InvalidReplay),
    /// No lookup could ever succeed.
    #[error("the lookup timeout is zero")]
    NoTimeToLookUp,
}

crate::observe::debug_as_chain!(BuildError);
