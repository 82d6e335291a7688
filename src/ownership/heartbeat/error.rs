//! Why a heartbeat cannot start.

use std::time::Duration;

use crate::{LookupError, MachineId};

/// Why [`start`](super::HeartbeatBuilder::start) failed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// This machine's lease TTL is another one than its fleet's. With two of them, two machines could
    /// serve one session.
    #[error(
        "this machine's freshness of owned sessions is {ours:?}, and the fleet's is {fleet:?}: \
         configure the same everywhere, or stop the fleet and delete the row of the fleet's table"
    )]
    FreshnessDiffers {
        /// As this machine's layer is configured.
        ours: Duration,
        /// As the table says.
        fleet: Duration,
    },
    /// The layer serves owned sessions for longer while the directory fails, and so may serve one
    /// that has another owner.
    #[error(
        "the layer serves stale owned sessions (`stale_owned_if_error`), with which two machines \
         may serve one session"
    )]
    ServesStaleOwned,
    /// An operator declared this machine gone.
    #[error(
        "machine {machine} was declared gone: `readmit` it once it is known that no other process \
         runs under its id"
    )]
    DeclaredGone {
        /// This machine.
        machine: MachineId,
    },
    /// With such beats the machine would be lost if one of them failed.
    #[error(
        "a beat every {interval:?} is too seldom: a machine is lost after {lost_after:?}, so beat at \
         least four times as often"
    )]
    TooSeldom {
        /// How often it would beat.
        interval: Duration,
        /// How long a machine may be silent.
        lost_after: Duration,
    },
    /// A duration is zero.
    #[error("{what} is zero")]
    Zero {
        /// Which setting.
        what: &'static str,
    },
    /// This process keeps too many machines alive.
    #[error("this process keeps too many machines alive")]
    TooMany,
    /// Started outside of a runtime.
    #[error("beats run on tokio: start them from inside a tokio runtime")]
    NoRuntime,
    /// The directory could not be asked, or refused.
    #[error("the machine cannot be registered")]
    Directory(#[from] LookupError),
}

impl HeartbeatError {
    /// Whether trying again cannot help before something is changed: a setting, or what an
    /// operator said. A directory that fails may be back at the next attempt.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Directory(_))
    }
}

crate::observe::debug_as_chain!(HeartbeatError);
