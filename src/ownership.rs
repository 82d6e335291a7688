//! This process as a member of its fleet, and what that lets it do with sessions.

mod cache_handle;
mod claim_pause;
mod claims;
pub(crate) mod events;
#[cfg(feature = "membership")]
mod feed;
mod grant;
#[cfg(feature = "membership")]
mod heartbeat;
mod lease;
mod loss;
mod lost;
mod node;
mod owned;
mod registrar;
mod releases;
mod sessions;
mod sliding;
mod state;
mod terms;
mod until_lost;

pub use cache_handle::CacheHandle;
#[cfg(feature = "membership")]
pub use feed::{Feed, FeedBuildError, FeedBuilder, FeedHealth, FeedState};
pub(crate) use grant::Grant;
#[cfg(feature = "membership")]
pub use heartbeat::{
    Drained, Heartbeat, HeartbeatBuilder, HeartbeatError, HeartbeatHealth, HeartbeatState,
};
pub(crate) use lease::Lease;
#[cfg(test)]
pub(crate) use lease::LeaseTtl;
#[cfg(feature = "membership")]
pub(crate) use lease::previous_owner_may_serve;
pub use loss::LossReason;
pub use lost::Lost;
pub use node::{Node, Release};
pub use owned::Owned;
pub use registrar::{RegisterError, Registrar};
pub(crate) use sessions::Sessions;
pub(crate) use sliding::SlidingExpiry;
pub use state::NodeState;
pub use until_lost::UntilLost;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod taken_over_tests;
#[cfg(test)]
mod tests;
