//! One event and one hook call per verdict, and a span around the request.

use std::time::Duration;

use crate::{
    LookupError, MachineId, OwnerStatus, RejectionCode, ReplayFailure, RequestOrigin, Session,
    SessionId, directory::DirectoryId,
};

mod chain;
mod event;
pub(crate) mod request_line;
mod searches;
mod span;
mod warnings;

pub use crate::{cache::CacheStatus, decision::Verdict};
pub(crate) use chain::{Chain, causes, debug_as_chain};
pub use request_line::RequestLine;
pub(crate) use searches::Searches;
pub(crate) use span::RequestSpan;
pub(crate) use warnings::{Say, Warnings};

/// What became of a request.
///
/// The hook ([`Observe`]) is told it, and so is the log, in one event per verdict.
///
/// # The event
/// Its target is `tower_ownership::verdict`. Names and meanings of its fields are stable. A field
/// that does not apply is left out. Those of all other events are in the
/// [manual](crate::manual::operations#what-the-log-says).
///
/// | field | what it says |
/// | --- | --- |
/// | `verdict` | `pass`, `replay` or `reject` |
/// | `rejection_code` | why it was refused: a [`RejectionCode`] |
/// | `session_id` | the [end](crate::SessionId::short) of the session's id, which tells sessions apart in a log and opens none |
/// | `owner` | the session's owner |
/// | `owner_status` | how the owner was when the session was read: [`alive`, `draining`, `lost`, `never-seen`](OwnerStatus) |
/// | `epoch` | the session's epoch |
/// | `machine` | this machine |
/// | `hops` | how many replays of ours the request has behind it |
/// | `replay_failed` | why the proxy could not replay it: `timeout`, `retries_exhausted`, `no_candidate` or `other` |
/// | `replay_source` | which machine had asked for that replay |
/// | `cache_status` | where what is known of the session comes from: the cache ([`hit` or `stale`](CacheStatus)) or the directory (`miss`) |
/// | `age_seconds` | how long before that the directory was asked; counted in ticks of a few milliseconds |
/// | `lookup_seconds` | how long the request waited for a lookup, a claim or an end, its own or one of another request |
/// | `detail` | why it was refused, in plain sentences, as the client reads it |
/// | `cause` | what failed, with its causes, where the lookup did |
/// | `request_id` | what the [proxy in front](RequestLine::request_id) calls the request, so that events of several machines can be joined |
/// | `traceparent` | its place in a [trace](RequestLine::traceparent) |
/// | `method`, `path` | what was asked for, without the query, and with [ids cut](RequestLine::path) |
/// | `directory_id` | with the refusal of a replayed or forwarded request whose session is unknown here: the [directory](DirectoryId) that this machine reads |
/// | `sender_directory_id` | the one that the machine reads which handed it over |
/// | `held_back` | at WARN: how many refusals of this cause were not said at WARN since the last one that was |
///
/// # Levels
/// | level | what |
/// | --- | --- |
/// | `TRACE` | requests for no session |
/// | `DEBUG` | requests that pass or are handed over; refusals that are held back |
/// | `INFO` | refusals that a client brings upon itself or has to wait out |
/// | `WARN` | refusals that an operator has to mend: `session-unassigned`, `owner-lost`, `owner-never-seen`, `duplicate-identity`, `owner-unreachable`, `replay-loop`, `session-absent`, `directory-corrupt` and `lookup-unavailable`; `session-unknown` for a replayed or forwarded request, unless both machines are known to read one directory |
///
/// Requests that pass or are handed over are said to a subscriber of `tracing` alone: where its feature `log` takes the place of
/// one, the logger gets everything but them.
///
/// At WARN each cause is said once in
/// [ten seconds](crate::OwnershipLayerBuilder::warn_interval): a code, with the owner, the reason of a failed
/// replay and the error. The same cause meanwhile is held back: it is said at DEBUG, with the same fields, and
/// counted in the next one's `held_back`. So an outage is a line per cause and interval, however many requests
/// it fails. 64 causes are distinguished, and beyond that codes alone.
///
/// # The span
/// A request for a session is in a span `ownership`, of level DEBUG and target
/// `tower_ownership::request`, for as long as it waits for a lookup and the wrapped service answers
/// it; a body that streams afterwards is not in it. It carries the event's fields but for
/// `held_back`, and `otel.status_code="ERROR"` for a refusal that an operator has to mend, so that a trace shows which machine owned the session, how long finding out took,
/// and why a request was refused. It is on where the filter lets it through, as
/// `RUST_LOG=info,tower_ownership::request=debug` does; where it does not, a request pays for the
/// comparison of one level.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Observed<'a> {
    /// The verdict. A replay that could not carry its request is the rejection that came of it.
    pub verdict: Verdict,
    /// The session, where the request named one. [`Display`](std::fmt::Display) shows it whole.
    pub session: Option<&'a SessionId>,
    /// The session's owner, where there is one.
    pub owner: Option<&'a MachineId>,
    /// How the owner was when the session was read, where the directory keeps machines.
    pub owner_status: Option<OwnerStatus>,
    /// The session's epoch, where the directory keeps one.
    pub epoch: Option<u64>,
    /// This machine.
    pub machine: &'a MachineId,
    /// How the request came here, as far as the proxy in front tells. Of a replay that failed, it
    /// says why, and which machine had asked for it.
    pub origin: &'a RequestOrigin,
    /// Where what is known of the session comes from, where anything had to be known.
    pub cache_status: Option<CacheStatus>,
    /// How long ago the directory was asked for it.
    pub age: Option<Duration>,
    /// How long the request waited for a lookup or a claim, where it did.
    pub lookup_time: Option<Duration>,
    /// Why, in plain sentences, where the request was refused.
    pub detail: Option<&'a str>,
    /// What failed, where the lookup did.
    pub error: Option<&'a LookupError>,
    /// What others call the request. Not where the application's answer corrected the verdict, since its head
    /// was the application's by then.
    pub request: Option<&'a RequestLine>,
    /// The directory that this machine reads, where it does not find a session that another one has found.
    pub directory: Option<DirectoryId>,
    /// The directory that the other one reads, as far as the replay tells.
    pub sender_directory: Option<DirectoryId>,
}

/// Is told of every verdict. Closures are observers too.
///
/// Called on the request's own path, so it must not wait. There is one verdict per request, but for
/// three cases, in which a second verdict corrects the first: an application that answers a request
/// which passed with [`SessionAbsent`](crate::SessionAbsent), a handler of axum that takes
/// [`Owned`](crate::Owned) where the request names no session (feature `axum`), and a request that was
/// held up after its verdict, by the log or by this very call, until this machine could not prove any
/// more that it owns the session.
pub trait Observe: Send + Sync + 'static {
    /// A verdict was reached.
    fn observe(&self, seen: &Observed<'_>);
}

impl<F: Fn(&Observed<'_>) + Send + Sync + 'static> Observe for F {
    fn observe(&self, seen: &Observed<'_>) {
        self(seen);
    }
}

impl<'a> Observed<'a> {
    /// Adds what the directory says of the session.
    pub(crate) fn of(self, session: &'a Session) -> Self {
        let owner_status = session.owner_status();
        Self {
            owner: session.owner(),
            owner_status: (owner_status != OwnerStatus::Unknown).then_some(owner_status),
            epoch: session.epoch(),
            ..self
        }
    }
}

impl Observed<'_> {
    /// Why the request was refused, if it was.
    #[must_use]
    pub fn code(&self) -> Option<RejectionCode> {
        match self.verdict {
            Verdict::Pass | Verdict::Replay | Verdict::Claim => None,
            Verdict::Reject(code) => Some(code),
        }
    }

    /// Whether an operator has to mend something.
    fn concerns_operator(&self, code: RejectionCode) -> bool {
        code.entry().operator || self.may_read_another_directory(code)
    }

    /// Whether another machine has found the session that is unknown here, and may read another directory. One
    /// that is known to read the same had the session cached when it ended.
    fn may_read_another_directory(&self, code: RejectionCode) -> bool {
        code == RejectionCode::SessionUnknown
            && self.origin.is_handed_over()
            && (self.directory.is_none() || self.directory != self.sender_directory)
    }

    fn failure(&self) -> Option<&ReplayFailure> {
        match self.origin {
            RequestOrigin::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Verdict {
    /// The verdict as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Replay => "replay",
            Self::Claim => "claim",
            Self::Reject(_) => "reject",
        }
    }
}
