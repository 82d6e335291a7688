//! Asking the directory who owns a session.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::DirectoryId;
use crate::{Node, Session, SessionId, SessionIds};

/// An authoritative read of one session.
///
/// Implement it with a plain `async fn`:
///
/// ```
/// use tower_ownership::{LookupError, Session, SessionId, SessionLookup};
///
/// struct Empty;
///
/// impl SessionLookup for Empty {
///     async fn session(&self, _id: SessionId) -> Result<Option<Session>, LookupError> {
///         Ok(None)
///     }
/// }
/// ```
///
/// # Contract
/// - `Ok(None)` says that the directory answered and knows no such session. What could not be
///   asked is an error; a lookup that answers `None` for it turns an outage into lost sessions.
/// - The future may be dropped at any time (the client went away, the layer's time limit passed)
///   and must leave nothing behind.
/// - A panic fails the lookup for all who wait for it, and nothing else.
/// - The layer bounds the wait ([`lookup_timeout`](crate::OwnershipLayerBuilder::lookup_timeout)).
///   A bound of its own lets a lookup say which of its steps was slow.
#[diagnostic::on_unimplemented(note = "for a closure, use `tower_ownership::lookup_fn`")]
pub trait SessionLookup: Send + Sync + 'static {
    /// Reads the session now, from where it is written.
    fn session(
        &self,
        id: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, LookupError>> + Send;

    /// Which ids its sessions can have: a request for another id is refused without a lookup. By
    /// default any [text](SessionIds::text).
    ///
    /// A lookup that wraps another one has to pass the call on.
    fn session_ids(&self) -> SessionIds {
        SessionIds::text()
    }

    /// Which directory it reads, as far as that is known by now; unknown by default. It should be known before
    /// the first request: answers that the layer keeps from before do without it.
    ///
    /// A lookup that wraps another one has to pass the call on.
    fn directory_id(&self) -> Option<DirectoryId> {
        None
    }

    /// Runs a refresh in the background, on whatever runtime the lookup itself needs.
    ///
    /// A busy session is read again shortly before it is too old, and only the lookup knows where
    /// that can run. By default nowhere: the refresh is dropped, and the request that finds the
    /// session too old waits for its lookup. On tokio: `tokio::spawn(refresh);`.
    fn spawn(&self, refresh: Refresh) {
        drop(refresh);
    }

    /// The node of a layer that is being built on this lookup, in place of `new`, which is that of this
    /// layer alone.
    ///
    /// [`PostgresLookup`](crate::PostgresLookup) returns one node for all layers of a machine, so that
    /// the heartbeat, drains and releases cover them all. A lookup that wraps another one has to pass
    /// the call on.
    fn node(&self, new: &Node) -> Node {
        new.clone()
    }
}

impl<L: SessionLookup> SessionLookup for Arc<L> {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        L::session(self, id).await
    }

    fn session_ids(&self) -> SessionIds {
        L::session_ids(self)
    }

    fn directory_id(&self) -> Option<DirectoryId> {
        L::directory_id(self)
    }

    fn spawn(&self, refresh: Refresh) {
        L::spawn(self, refresh);
    }

    fn node(&self, new: &Node) -> Node {
        L::node(self, new)
    }
}

/// A lookup made from a closure; see [`lookup_fn`].
#[derive(Clone)]
pub struct LookupFn<F>(F);

/// Makes a [`SessionLookup`] from an async closure or a function that returns a future.
///
/// ```
/// use tower_ownership::{LookupError, Session, SessionId, lookup_fn};
///
/// let lookup = lookup_fn(async |id: SessionId| Ok::<_, LookupError>(None::<Session>));
/// # fn check(_: impl tower_ownership::SessionLookup) {}
/// # check(lookup_fn(|_| async { Ok(None) }));
/// ```
pub fn lookup_fn<F>(f: F) -> LookupFn<F> {
    LookupFn(f)
}

impl<F, Fut> SessionLookup for LookupFn<F>
where
    F: Fn(SessionId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Session>, LookupError>> + Send,
{
    fn session(
        &self,
        id: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, LookupError>> + Send {
        (self.0)(id)
    }
}

impl<F> fmt::Debug for LookupFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupFn")
    }
}

/// Why the directory gave no answer.
///
/// Cheap to clone, because all requests that waited for one lookup share its failure.
#[derive(Clone)]
pub struct LookupError {
    kind: LookupErrorKind,
    context: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of failure a [`LookupError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookupErrorKind {
    /// The directory did not answer in time.
    Timeout,
    /// The directory could not be asked, or it refused.
    Unavailable,
    /// The directory answered with something that cannot be true: an owner that is no machine id,
    /// an address that is no URL, a column of another type.
    Corrupt,
}

impl LookupError {
    /// The directory did not answer in time; `context` says which step was slow.
    #[must_use]
    pub fn timeout(context: &'static str) -> Self {
        Self {
            kind: LookupErrorKind::Timeout,
            context,
            source: None,
        }
    }

    /// The directory could not be asked; `context` says which step failed.
    #[must_use]
    pub fn unavailable(context: &'static str) -> Self {
        Self {
            kind: LookupErrorKind::Unavailable,
            context,
            source: None,
        }
    }

    /// The directory's answer cannot be used; `context` says which part of it.
    #[must_use]
    pub fn corrupt(context: &'static str) -> Self {
        Self {
            kind: LookupErrorKind::Corrupt,
            context,
            source: None,
        }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> LookupErrorKind {
        self.kind
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.context)
    }
}

crate::observe::debug_as_chain!(LookupError);

impl Error for LookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

type BoxLookup = Pin<Box<dyn Future<Output = Result<Option<Session>, LookupError>> + Send>>;

/// The object-safe twin of [`SessionLookup`], so that the layer needs no type parameter.
trait Erased: Send + Sync {
    fn session(self: Arc<Self>, id: SessionId) -> BoxLookup;
    fn session_ids(&self) -> SessionIds;
    fn directory_id(&self) -> Option<DirectoryId>;
    fn spawn(&self, refresh: Refresh);
    fn node(&self, new: &Node) -> Node;
}

impl<L: SessionLookup> Erased for L {
    fn session(self: Arc<Self>, id: SessionId) -> BoxLookup {
        Box::pin(async move { L::session(&self, id).await })
    }

    fn session_ids(&self) -> SessionIds {
        L::session_ids(self)
    }

    fn directory_id(&self) -> Option<DirectoryId> {
        L::directory_id(self)
    }

    fn spawn(&self, refresh: Refresh) {
        L::spawn(self, refresh);
    }

    fn node(&self, new: &Node) -> Node {
        L::node(self, new)
    }
}

/// Any lookup.
#[derive(Clone)]
pub(crate) struct DynLookup(Arc<dyn Erased>);

impl DynLookup {
    pub(crate) fn new(lookup: impl SessionLookup) -> Self {
        Self(Arc::new(lookup))
    }

    pub(crate) fn session(&self, id: SessionId) -> BoxLookup {
        Arc::clone(&self.0).session(id)
    }

    pub(crate) fn session_ids(&self) -> SessionIds {
        self.0.session_ids()
    }

    pub(crate) fn directory_id(&self) -> Option<DirectoryId> {
        self.0.directory_id()
    }

    pub(crate) fn spawn(&self, refresh: Refresh) {
        self.0.spawn(refresh);
    }

    pub(crate) fn node(&self, new: &Node) -> Node {
        self.0.node(new)
    }
}

/// Work in the background for a session: reading it again before what is known of it is too old, or
/// putting off its expiry; see [`SessionLookup::spawn`]. It ends within the layer's lookup timeout.
/// Dropped, it did nothing.
#[must_use = "futures do nothing unless polled"]
pub struct Refresh(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Refresh {
    pub(crate) fn new(reading: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(reading))
    }
}

impl Future for Refresh {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}
