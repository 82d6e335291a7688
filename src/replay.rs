//! Handing a request to the machine that owns its session.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{Head, MachineId, RejectionCode, Session, directory::DirectoryId};

mod body;
mod fly;
mod nginx;
mod redirect;

pub use crate::origin::{FailureReason, ReplayFailure, RequestOrigin};
pub use fly::{Fallback, FlyReplay, ReplayCache};
pub use nginx::NginxReplay;
#[cfg(feature = "forward")]
pub(crate) use redirect::{AllowList, Template};
pub use redirect::{InvalidRedirect, Redirect};

/// A way to hand a request over: the answer that makes the proxy or the client take it to the owner.
///
/// # Contract
/// - Only the head is seen; no byte of the body has been read, and none may be waited for.
/// - [`origin`](Self::origin) reads what clients can forge, so it may only make the verdict
///   stricter. What it cannot parse is [`RequestOrigin::Direct`].
/// - Whether this is a replay of ours, and how often it happened, must be told from what the proxy
///   carries for us: that a request *was replayed* means nothing, since others replay too.
pub trait Replay: Send + Sync + 'static {
    /// Writes the answer, or says why this request cannot be handed over.
    ///
    /// An empty body is filled in by the layer with the `replay-not-honoured` problem, which is
    /// what a client reads when no proxy acted on the answer. [`Verbatim`] in the answer's extensions
    /// prevents that.
    fn replay(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable>;

    /// Reads how the request came here.
    fn origin(&self, head: &Head<'_>) -> RequestOrigin;

    /// Whether the request arrived [directly](RequestOrigin::Direct), and [`replay`](Self::replay) writes the
    /// same answer to it as to every other request of which this is true and whose session has the
    /// same owner and address. The layer then keeps the answer, and does not ask
    /// again. It is asked for each request, so it should cost less than what it spares.
    ///
    /// False by default.
    fn answers_alike(&self, head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// Writes the same answer for an explanation: whatever
    /// [`replay`](Self::replay) would change or count stays as it is.
    fn preview(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        self.replay(head, handover)
    }

    /// Whether the request came through a proxy that acts on the answer, as far as its head tells;
    /// `None` where it cannot tell, and by default. Only explanations ask: a head can be forged.
    fn came_through(&self, head: &Head<'_>) -> Option<bool> {
        let _ = head;
        None
    }

    /// The directory that the machine reads which handed the request over, where the request carries it; `None`
    /// by default. For the log alone: it can be forged.
    fn directory(&self, head: &Head<'_>) -> Option<DirectoryId> {
        let _ = head;
        None
    }

    /// Says what is wrong with how it was configured; asked once, when the layer is built.
    fn validate(&self) -> Result<(), InvalidReplay> {
        Ok(())
    }
}

/// In the extensions of the answer of a [`Replay`]: the layer sends the answer exactly as it was
/// written, without `Cache-Control: no-store` and without the `replay-not-honoured` problem.
///
/// For proxies that carry fields of this answer into the owner's, as nginx does with
/// `Cache-Control` and `Content-Type` beside an `X-Accel-Redirect`. A field of the trait for this was
/// rejected: a replay that chooses between two ways decides it per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Verbatim;

impl<R: Replay + ?Sized> Replay for Arc<R> {
    fn replay(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        R::replay(self, head, handover)
    }

    fn origin(&self, head: &Head<'_>) -> RequestOrigin {
        R::origin(self, head)
    }

    fn answers_alike(&self, head: &Head<'_>) -> bool {
        R::answers_alike(self, head)
    }

    fn preview(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        R::preview(self, head, handover)
    }

    fn came_through(&self, head: &Head<'_>) -> Option<bool> {
        R::came_through(self, head)
    }

    fn directory(&self, head: &Head<'_>) -> Option<DirectoryId> {
        R::directory(self, head)
    }

    fn validate(&self) -> Result<(), InvalidReplay> {
        R::validate(self)
    }
}

/// Who hands which session to whom.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Handover<'a> {
    /// The session.
    pub session: &'a Session,
    /// The machine that owns it.
    pub owner: &'a MachineId,
    /// This machine, which does not.
    pub machine: &'a MachineId,
    /// How the request came here.
    pub origin: &'a RequestOrigin,
    /// The directory that this machine reads, where that is known.
    pub directory: Option<DirectoryId>,
}

impl<'a> Handover<'a> {
    /// `machine`, at which the request arrived so, hands `session` to `owner`.
    #[must_use]
    pub fn new(
        session: &'a Session,
        owner: &'a MachineId,
        machine: &'a MachineId,
        origin: &'a RequestOrigin,
    ) -> Self {
        Self {
            session,
            owner,
            machine,
            origin,
            directory: None,
        }
    }

    /// Sets the directory that this machine reads.
    #[must_use]
    pub fn in_directory(mut self, directory: Option<DirectoryId>) -> Self {
        self.directory = directory;
        self
    }
}

/// Why a request cannot be handed over.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReplayable {
    /// The body is longer than what can be carried.
    #[error(
        "The request's body is longer than the {limit} bytes that can be taken to the session's machine. Send it in parts, or straight to that machine."
    )]
    BodyTooLarge {
        /// The most that can be carried, in bytes.
        limit: u64,
    },
    /// The body's length is not known, so it counts as too long.
    #[error(
        "The request does not say how long its body is, and no more than {limit} bytes can be taken to the session's machine. Send a Content-Length."
    )]
    UnknownLength {
        /// The most that can be carried, in bytes.
        limit: u64,
    },
    /// The request wants another protocol on its connection.
    #[error(
        "A request that switches protocols, such as a WebSocket, cannot be taken to the session's machine in this way."
    )]
    Upgrade,
    /// The request asks whether another one would be allowed, and browsers follow no redirect then.
    #[error(
        "A CORS preflight cannot be redirected to the session's machine. Answer preflights before the ownership layer."
    )]
    Preflight,
    /// The request is for no path (`OPTIONS *`), so there is none to redirect to.
    #[error("A request for no path cannot be redirected to the session's machine.")]
    NoPath,
    /// It is not known where the owner can be reached.
    #[error("It is not known at which address the session's machine can be reached.")]
    NoAddress,
    /// The address in the directory is not one that requests may be sent to.
    #[error(
        "The address that is written for the session's machine is not one that requests may be sent to."
    )]
    ForbiddenAddress,
    /// The answer would send the client to where it came from.
    #[error(
        "The session's machine is said to be at the address that this request was sent to, and that led to another machine."
    )]
    Circular,
    /// What a replay of the application's own says to the client: whole sentences, no internals.
    #[error("{0}")]
    Other(&'static str),
}

impl NotReplayable {
    /// The status of the refusal.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BodyTooLarge { .. } | Self::UnknownLength { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            other => other.code().status(),
        }
    }

    /// The code of the refusal.
    #[must_use]
    pub fn code(self) -> RejectionCode {
        match self {
            Self::Circular => RejectionCode::ReplayLoop,
            Self::ForbiddenAddress => RejectionCode::DirectoryCorrupt,
            _ => RejectionCode::NotReplayable,
        }
    }
}

/// Why a replay cannot work as it was configured.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReplay {
    /// The proxy would have no time to reach a machine.
    #[error("the replay's timeout is less than a millisecond")]
    NoTime,
    /// The app's name cannot be one.
    #[error("{app:?} is no name of a Fly app: letters, digits and hyphens")]
    App {
        /// The name.
        app: String,
    },
    /// Fly Proxy refuses these together.
    #[error("Fly Proxy allows neither a timeout nor a fallback beside a replay cache")]
    CacheWithTimeoutOrFallback,
    /// The proxy remembers for at least ten seconds.
    #[error("the replay cache's lifetime of {lifetime:?} is below Fly Proxy's minimum of 10 s")]
    CacheLifetime {
        /// The lifetime.
        lifetime: Duration,
    },
    /// The path before the session id cannot be put into a pattern.
    #[error(
        "{prefix:?} is no path prefix for the replay cache: a slash, then letters, digits and `/._~-`"
    )]
    CachePrefix {
        /// The prefix.
        prefix: String,
    },
    /// Only 307 and 308 keep the method of a request.
    #[error("a redirect with status {status} does not keep the request's method; use 307 or 308")]
    RedirectStatus {
        /// The status.
        status: StatusCode,
    },
    /// A client that reads the answer, since no proxy acted on it, could make nothing of it.
    #[error(
        "status {status} would leave the client of an unaware proxy without an answer to read; use one that has a body and is no redirect"
    )]
    ReplayStatus {
        /// The status.
        status: StatusCode,
    },
    /// What a replay of the application's own says about itself.
    #[error("{0}")]
    Other(String),
}

/// Whether the request asks to speak another protocol on its connection.
///
/// HTTP/1.1 says so with `Upgrade` (RFC 9110, section 7.8), HTTP/2 with an extended CONNECT
/// (RFC 8441); a plain CONNECT is a tunnel, which is the same to us. To offer only `h2c`, as some
/// clients do with every request, is none: they are content with an answer in HTTP/1.1.
pub(crate) fn is_upgrade(head: &Head<'_>) -> bool {
    let offers = head.headers.get_all(http::header::UPGRADE);
    let mut protocols = offers
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    head.method == http::Method::CONNECT
        || protocols.any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

crate::observe::debug_as_chain!(NotReplayable, InvalidReplay);
