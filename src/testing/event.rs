//! What Fly Proxy would write into an app's log when it cannot serve a request.

use std::fmt;

/// An error of the edge, by the name that Fly's "Error codes and troubleshooting" page gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EdgeErrorKind {
    /// `PA01`: a machine answered with a replay, but the request is larger than the edge buffers
    /// (or did not end in time).
    BodyTooLarge,
    /// `PA02`: more than ten replays of one request.
    TooManyReplays,
    /// `PA03`: the replay cannot be read.
    MalformedReplay,
    /// `PA04`: no machine of the app that `app=` names is registered.
    AppNotFound,
    /// `PA05`: the app that `app=` names belongs to another organisation, which does not allow replays from
    /// this one.
    OtherOrganization,
    /// No code is documented: the app that `app=` names is in another private network, and its organisation
    /// does not allow replays across networks.
    CrossNetwork,
    /// `PC07`: a machine is registered, but nothing accepted a connection.
    RetriesExhausted,
    /// `PC05`: the time to reach a machine ran out.
    ConnectTimeout,
    /// `PM01`: the wake hook of a stopped machine failed.
    WakeFailed,
    /// `PR02`: the machine that was asked for is not registered.
    MachineNotFound,
    /// `PR04`: no machine matches.
    NoCandidate,
    /// `PU02`: a machine took the connection, but gave no complete answer.
    NoAnswer,
    /// `PU04`: the request cannot be sent to this machine at all, for example an HTTP/1.1 upgrade
    /// to a machine with an HTTP/2 backend.
    CannotSend,
    /// No code is documented: a request that reached its fallback was to be replayed again.
    ReplayAfterFallback,
    /// No code is documented: a replay to be cached also carried `state`, `timeout`, `fallback` or
    /// a transformation.
    CacheConflict,
}

impl EdgeErrorKind {
    /// Fly's code, where one is documented.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::BodyTooLarge => "PA01",
            Self::TooManyReplays => "PA02",
            Self::MalformedReplay => "PA03",
            Self::AppNotFound => "PA04",
            Self::OtherOrganization => "PA05",
            Self::RetriesExhausted => "PC07",
            Self::ConnectTimeout => "PC05",
            Self::WakeFailed => "PM01",
            Self::MachineNotFound => "PR02",
            Self::NoCandidate => "PR04",
            Self::NoAnswer => "PU02",
            Self::CannotSend => "PU04",
            Self::CrossNetwork | Self::ReplayAfterFallback | Self::CacheConflict => {
                return None;
            }
        })
    }
}

/// One error of the edge. On Fly only the app's log tells it; the client sees an empty 502.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EdgeEvent {
    /// The `Fly-Request-Id` that the client gets back.
    pub request_id: String,
    /// What went wrong.
    pub kind: EdgeErrorKind,
    /// The particulars, for people; at most 4,096 bytes.
    pub detail: String,
}

impl fmt::Display for EdgeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.kind.code().unwrap_or("-");
        write!(f, "[{code}] {:?}: {}", self.kind, self.detail)
    }
}
