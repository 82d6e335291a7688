//! The port to a directory: the traits that one implements, their errors, and a directory in memory.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{MachineId, Session};

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "membership")]
mod feed;
pub(crate) mod lookup;
#[cfg(feature = "membership")]
mod membership;
mod memory;
pub(crate) mod nodes;

#[cfg(feature = "membership")]
pub use feed::{Change, ChangeFeed, Changes, Coverage, FeedError, FeedErrorKind};
pub use lookup::{LookupError, LookupErrorKind, LookupFn, Refresh, SessionLookup, lookup_fn};
#[cfg(feature = "membership")]
pub use membership::{Beat, MachineInfo, Membership, Process, Registration, Released};
#[cfg(feature = "membership")]
pub use memory::MemoryChanges;
pub use memory::MemoryDirectory;

/// Takes sessions for a machine.
///
/// `PostgresDirectory` does so in a table, and
/// [`MemoryDirectory`] in memory.
///
/// # Contract
/// - The claim succeeds only if the session still is as `seen` says: without an owner, or of the same owner
///   at the same epoch. In the second case that owner has to be lost, by the directory's own
///   judgement at this moment. A session that is over cannot be claimed.
/// - It returns the session as it is afterwards, with its owner then: a loser learns who won.
///   `None`: there is no such session.
/// - A claim that wins raises the epoch by one.
/// - The future may be dropped at any time. Then the claim may have succeeded all the same, which
///   the next lookup tells.
pub trait SessionDirectory: Send + Sync + 'static {
    /// Makes `machine` the owner of the session, if it still is as it was `seen`.
    fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> impl Future<Output = Result<Option<Session>, LookupError>> + Send;
}

impl<D: SessionDirectory> SessionDirectory for Arc<D> {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Session>, LookupError> {
        D::claim(self, seen, machine).await
    }
}

type BoxClaim = Pin<Box<dyn Future<Output = Result<Option<Session>, LookupError>> + Send>>;

/// The object-safe twin of [`SessionDirectory`].
trait Erased: Send + Sync {
    fn claim(self: Arc<Self>, seen: Session, machine: MachineId) -> BoxClaim;
}

impl<D: SessionDirectory> Erased for D {
    fn claim(self: Arc<Self>, seen: Session, machine: MachineId) -> BoxClaim {
        Box::pin(async move { D::claim(&self, seen, machine).await })
    }
}

/// Any directory.
#[derive(Clone)]
pub(crate) struct DynDirectory(Arc<dyn Erased>);

impl DynDirectory {
    pub(crate) fn new(directory: impl SessionDirectory) -> Self {
        Self(Arc::new(directory))
    }

    pub(crate) fn claim(&self, seen: Session, machine: MachineId) -> BoxClaim {
        Arc::clone(&self.0).claim(seen, machine)
    }
}
