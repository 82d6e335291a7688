//! The outcome of a probe.

use std::fmt;

use serde::Serialize;

use crate::{Finding, MachineId, health::Check};

/// The outcome of a [`Probe`](super::Probe).
///
/// It serializes as an object whose `outcome` is the variant's name in `kebab-case`, and prints as
/// a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "outcome",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ProbeOutcome {
    /// It arrived at the owner.
    #[non_exhaustive]
    Arrived {
        /// The owner.
        machine: MachineId,
        /// Whether it was replayed or redirected there. If not, it came to the owner at once, which
        /// proves nothing about replays: probe again.
        replayed: bool,
    },
    /// It did not arrive.
    #[non_exhaustive]
    Failed {
        /// What is wrong. An answer without an `Ownership-Code` is
        /// [`ProxyError`](Finding::ProxyError) or
        /// [`ApplicationRefused`](Finding::ApplicationRefused); none at all is
        /// [`UrlUnreachable`](Finding::UrlUnreachable).
        finding: Finding,
        /// The evidence, such as the detail of a refusal.
        reason: String,
        /// The machine that serves the session in the owner's place, if it is the one that probes.
        machine: Option<MachineId>,
    },
    /// There was nothing to probe: the directory does not say that another machine owns the
    /// session.
    #[non_exhaustive]
    Inconclusive {
        /// What it says.
        reason: String,
    },
}

impl ProbeOutcome {
    pub(super) fn failed(finding: Finding, reason: impl Into<String>) -> Self {
        Self::Failed {
            finding,
            reason: reason.into(),
            machine: None,
        }
    }

    /// Whether it arrived at the owner.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        matches!(self, Self::Arrived { .. })
    }

    /// What is wrong, if it did not arrive.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        match self {
            Self::Failed { finding, .. } => Some(*finding),
            _ => None,
        }
    }
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived { machine, replayed } => {
                let how = if *replayed {
                    ""
                } else {
                    " at once, so nothing had to be replayed"
                };
                write!(f, "the probe came to the session's owner {machine}{how}")
            }
            Self::Failed {
                finding, reason, ..
            } => write!(f, "{}: {reason}", finding.title()),
            Self::Inconclusive { reason } => write!(f, "there was nothing to probe: {reason}"),
        }
    }
}

impl From<&ProbeOutcome> for Check {
    /// Fails if the probe failed. The reason is the finding's title, since health pages name no
    /// machine and no address.
    fn from(outcome: &ProbeOutcome) -> Self {
        match outcome {
            ProbeOutcome::Arrived { .. } => Self::ok("the probe arrived at the session's owner"),
            ProbeOutcome::Inconclusive { .. } => Self::ok("there was nothing to probe"),
            ProbeOutcome::Failed { finding, .. } => Self::failing(finding.title()),
        }
    }
}
