//! What a directory tells of changes.

use std::{borrow::Cow, error::Error, fmt, future::Future, sync::Arc};

use crate::SessionId;

/// A directory that tells which sessions change.
///
/// [`Feed`](crate::Feed) is what calls it: the task that connects again, notices silence, and makes
/// caches forget what changed.
///
/// # Contract
/// - Every change of a session that is committed after [`connect`](Self::connect) has returned is
///   delivered by [`Changes::next`], or the connection fails. Creation, deletion, and a change of the
///   owner, the status, the address, the expiry or the epoch are changes; attributes need not be.
/// - A change is delivered only once a lookup reads it. The caller drops everything that is cached
///   after it has connected, so what changed before that need not be delivered.
/// - A delivery is a hint: one that is repeated, late, or of a session that did not change costs a
///   lookup.
pub trait ChangeFeed: Send + Sync + 'static {
    /// A connection that delivers changes.
    type Changes: Changes;

    /// Connects, and shows that changes are delivered. It bounds its own waits; after a minute the feed
    /// gives the attempt up.
    fn connect(&self) -> impl Future<Output = Result<Self::Changes, FeedError>> + Send;
}

/// A connection of a [`ChangeFeed`].
pub trait Changes: Send {
    /// Waits for the next change. Nothing is lost if the future is dropped. An error ends the
    /// connection.
    fn next(&mut self) -> impl Future<Output = Result<Change, FeedError>> + Send;

    /// Has the directory send something over this connection, which [`next`](Self::next) returns as
    /// [`Change::KeepAlive`]. It returns at once; the request is made while `next` is awaited.
    fn ping(&mut self);

    /// Whether the directory tells of every change, as far as is known now.
    fn coverage(&self) -> Coverage {
        Coverage::Unknown
    }
}

/// What a feed delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// This session changed.
    Session(SessionId),
    /// Any session may have changed.
    All,
    /// The connection delivers.
    KeepAlive,
    /// Something of this length that this version of the crate cannot read.
    Unreadable(usize),
}

/// Whether a directory tells of every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coverage {
    /// The feed cannot tell.
    Unknown,
    /// The directory has what it needs to tell of every change.
    Complete,
    /// The directory lacks what it needs; with what is missing.
    Incomplete(&'static str),
}

/// Why no changes are delivered.
///
/// The [feed](crate::Feed) connects again in every case, with waits of up to 5 s in between.
#[derive(Clone)]
pub struct FeedError {
    kind: FeedErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of failure a [`FeedError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeedErrorKind {
    /// No connection could be opened, or not in time.
    Unreachable,
    /// The directory does not let this process have its changes.
    Refused,
    /// The connection ended.
    Lost,
    /// The connection is open, and nothing came over it in time: half-open, or a frozen server.
    Silent,
    /// The directory answers, and delivers no changes over such a connection: a mistake in the set-up.
    Undelivered,
}

impl FeedError {
    /// An error of this kind. The message says what failed, for an operator.
    pub fn new(kind: FeedErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FeedErrorKind {
        self.kind
    }

    /// Whether `other` tells an operator nothing new after this one.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.message == other.message
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = self.source.as_deref()?;
        Some(source)
    }
}

crate::observe::debug_as_chain!(FeedError);
