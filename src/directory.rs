//! The port to a directory: the traits that one implements, their errors, and a directory in memory.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{MachineId, Session, SessionId};

mod claimed;
#[cfg(feature = "testing")]
pub mod conformance;
mod end_if;
#[cfg(feature = "membership")]
mod feed;
mod id;
pub(crate) mod lookup;
#[cfg(feature = "membership")]
mod membership;
mod memory;
mod new_session;
pub(crate) mod nodes;

pub use claimed::Claimed;
pub use end_if::EndIf;
#[cfg(feature = "membership")]
pub use feed::{Change, ChangeFeed, Changes, Coverage, FeedError, FeedErrorKind};
pub use id::DirectoryId;
pub use lookup::{LookupError, LookupErrorKind, LookupFn, Refresh, SessionLookup, lookup_fn};
#[cfg(feature = "membership")]
pub use membership::{Beat, MachineInfo, Membership, Process, Registration, Released};
#[cfg(feature = "membership")]
pub use memory::MemoryChanges;
pub use memory::MemoryDirectory;
pub use new_session::{Created, NewSession};

/// Writes who owns a session: creates, claims, prolongs and ends sessions.
///
/// `PostgresDirectory` does so in a table, and
/// [`MemoryDirectory`] in memory.
///
/// # Contract
/// Every future may be dropped at any time. Then the write may have been done all the same, which the
/// next lookup tells. "Lives" means active or starting, and not past its expiry or end, by the
/// directory's clock.
///
/// [`claim`](Self::claim):
/// - The claim succeeds only if the session still is as `seen` says: without an owner, or of the same owner
///   at the same epoch. In the second case that owner has to be lost, by the directory's own
///   judgement at this moment. A session that is over cannot be claimed.
/// - It returns the session as it is afterwards, with its owner then: a loser learns who won.
///   `None`: there is no such session.
/// - Where the session was `seen` with an owner, and the directory keeps machines, it also says for how
///   long that one has not been heard.
/// - A claim that wins raises the epoch by one.
///
/// [`create`](Self::create):
/// - A session that did not exist is active and owned by the machine at its first epoch, or at one whose
///   release proof lets it serve at once.
/// - A session that lives is [`Taken`](Created::Taken), whichever machine owns it, or none: nothing is
///   written, and it is returned as it is. Of two machines that create one id at once, exactly one gets
///   [`New`](Created::New).
/// - A session that is over begins a new life: active, owned by the machine, with the new lifetime,
///   address and attributes, and no end. Its epoch rises, also if the machine owned the old life.
/// - The new life has a release proof only if the old one ended longer ago than twice the fleet's lease
///   TTL, at a time that the directory knows. Otherwise the old owner may still have a lease, and the new
///   one waits one TTL, as after any change of owner. One TTL is for a lease that began right before the
///   end was committed, the other for the transaction that wrote the end, and for errors of clocks.
/// - A machine that drains, has left or was declared gone creates nothing, nor does a process after which
///   another one registered the machine. That is an error,
///   [`Unavailable`](LookupErrorKind::Unavailable).
/// - The lifetime is counted by the directory's clock.
/// - The address is the one that [`NewSession`] names, else the one that the machine registered with.
///
/// [`touch`](Self::touch):
/// - The expiry becomes `lifetime` from now, by the directory's clock, if the machine owns the session at
///   this epoch, and the session lives. An expiry that is later stays, and a session without one still has
///   none.
/// - `false`: the machine does not own it so, or it is over, and nothing was written.
///
/// [`end`](Self::end):
/// - The session is over from now on, by the directory's clock, if it is as [`EndIf`] says, and keeps its
///   owner and epoch. One that is over already stays as it is.
/// - It returns the session's last epoch. `None`: there is no such session, or another machine owns it, or
///   at another epoch; then nothing was written.
pub trait SessionDirectory: Send + Sync + 'static {
    /// Makes `machine` the owner of the session, if it still is as it was `seen`.
    fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> impl Future<Output = Result<Option<Claimed>, LookupError>> + Send;

    /// Creates the session as one that `machine` owns, unless one of its id lives.
    fn create(
        &self,
        new: NewSession,
        machine: MachineId,
    ) -> impl Future<Output = Result<Created, LookupError>> + Send;

    /// Lets the session live for `lifetime` from now, if `machine` owns it at `epoch`.
    fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> impl Future<Output = Result<bool, LookupError>> + Send;

    /// Ends the session if it is as `condition` says, and returns its last epoch.
    fn end(
        &self,
        session: SessionId,
        condition: EndIf,
    ) -> impl Future<Output = Result<Option<u64>, LookupError>> + Send;
}

impl<D: SessionDirectory> SessionDirectory for Arc<D> {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Claimed>, LookupError> {
        D::claim(self, seen, machine).await
    }

    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        D::create(self, new, machine).await
    }

    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        D::touch(self, session, machine, epoch, lifetime).await
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        D::end(self, session, condition).await
    }
}

type BoxWrite<T> = Pin<Box<dyn Future<Output = Result<T, LookupError>> + Send>>;

/// The object-safe twin of [`SessionDirectory`].
trait Erased: Send + Sync {
    fn claim(self: Arc<Self>, seen: Session, machine: MachineId) -> BoxWrite<Option<Claimed>>;
    fn create(self: Arc<Self>, new: NewSession, machine: MachineId) -> BoxWrite<Created>;
    fn touch(
        self: Arc<Self>,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> BoxWrite<bool>;
    fn end(self: Arc<Self>, session: SessionId, condition: EndIf) -> BoxWrite<Option<u64>>;
}

impl<D: SessionDirectory> Erased for D {
    fn claim(self: Arc<Self>, seen: Session, machine: MachineId) -> BoxWrite<Option<Claimed>> {
        Box::pin(async move { D::claim(&self, seen, machine).await })
    }

    fn create(self: Arc<Self>, new: NewSession, machine: MachineId) -> BoxWrite<Created> {
        Box::pin(async move { D::create(&self, new, machine).await })
    }

    fn touch(
        self: Arc<Self>,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> BoxWrite<bool> {
        Box::pin(async move { D::touch(&self, session, machine, epoch, lifetime).await })
    }

    fn end(self: Arc<Self>, session: SessionId, condition: EndIf) -> BoxWrite<Option<u64>> {
        Box::pin(async move { D::end(&self, session, condition).await })
    }
}

/// Any directory.
#[derive(Clone)]
pub(crate) struct DynDirectory(Arc<dyn Erased>);

impl DynDirectory {
    pub(crate) fn new(directory: impl SessionDirectory) -> Self {
        Self(Arc::new(directory))
    }

    pub(crate) fn claim(&self, seen: Session, machine: MachineId) -> BoxWrite<Option<Claimed>> {
        Arc::clone(&self.0).claim(seen, machine)
    }

    pub(crate) fn create(&self, new: NewSession, machine: MachineId) -> BoxWrite<Created> {
        Arc::clone(&self.0).create(new, machine)
    }

    pub(crate) fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> BoxWrite<bool> {
        Arc::clone(&self.0).touch(session, machine, epoch, lifetime)
    }

    pub(crate) fn end(&self, session: SessionId, condition: EndIf) -> BoxWrite<Option<u64>> {
        Arc::clone(&self.0).end(session, condition)
    }
}
