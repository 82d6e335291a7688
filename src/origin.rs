//! How a request came here.

use std::time::Duration;

use crate::MachineId;

/// How a request reached this machine, as far as the proxy in front tells.
///
/// Clients can forge what proxies say. It can therefore only make a verdict stricter: cost a
/// lookup, or refuse the request that carried it. It never grants a pass and never picks a
/// machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestOrigin {
    /// Straight from a client, or by a replay that was not ours.
    Direct,
    /// By a replay of ours.
    Replayed {
        /// How many replays of ours this request has behind it.
        hops: u8,
    },
    /// Carried here by another machine (feature `forward`).
    Forwarded {
        /// How many machines have carried it or had it replayed.
        hops: u8,
    },
    /// The proxy was told to replay it, failed, and gave it back. It cannot be replayed again.
    Failed(ReplayFailure),
    /// The proxy could not use the machine that was preferred, and chose this one.
    FellBack {
        /// The machine that was preferred.
        machine: MachineId,
        /// How many replays of ours this request has behind it.
        hops: u8,
    },
    /// From the proxy's replay cache: no machine was asked who owns the session.
    ReplayCache,
}

impl RequestOrigin {
    /// Whether a replay, or an attempt at one, brought the request here: a machine was mistaken about
    /// the owner a moment ago, and it may be us.
    #[must_use]
    pub(crate) fn casts_doubt(&self) -> bool {
        !matches!(self, Self::Direct)
    }

    /// Whether another machine has found the session, and handed the request over to this one.
    pub(crate) fn is_handed_over(&self) -> bool {
        matches!(self, Self::Replayed { hops: 1.. } | Self::Forwarded { .. })
    }

    /// How many replays of ours the request has behind it, as far as that is known.
    #[must_use]
    pub fn hops(&self) -> u8 {
        match self {
            Self::Direct | Self::ReplayCache | Self::Failed(_) => 0,
            Self::Replayed { hops } | Self::Forwarded { hops } | Self::FellBack { hops, .. } => {
                *hops
            }
        }
    }
}

/// What the proxy says of a replay that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayFailure {
    /// The machine that could not be reached.
    pub machine: Option<MachineId>,
    /// The machine that had asked for the replay; another one than this when the proxy chose any
    /// machine to give the request back to.
    pub replay_source: Option<MachineId>,
    /// Why.
    pub reason: FailureReason,
    /// How long the proxy tried.
    pub elapsed: Option<Duration>,
}

/// Why the proxy could not replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// The machine did not answer in the time that the replay allowed.
    Timeout,
    /// The proxy gave up connecting.
    RetriesExhausted,
    /// The proxy knows no such machine.
    NoCandidate,
    /// The proxy gave a reason that this version does not know, or none.
    #[default]
    Other,
}

impl FailureReason {
    /// The reason in Fly Proxy's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::RetriesExhausted => "retries_exhausted",
            Self::NoCandidate => "no_candidate",
            Self::Other => "other",
        }
    }

    /// Reads one of Fly Proxy's words.
    pub(crate) fn parse(word: &str) -> Self {
        [Self::Timeout, Self::RetriesExhausted, Self::NoCandidate]
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .unwrap_or_default()
    }
}
