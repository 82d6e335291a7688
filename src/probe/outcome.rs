//! What became of a probe.

use std::fmt;

use serde::Serialize;

use crate::{MachineId, health::Check};

/// What became of a [`Probe`](super::Probe).
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
        /// Whether it was replayed or redirected there. If not, it happened to come to the owner at
        /// once, which proves nothing of replays: probe again.
        replayed: bool,
    },
    /// A machine asked the proxy to take it to the owner, and the answer came back to us.
    NotHonoured,
    /// It went from machine to machine, and none was the owner.
    Looped,
    /// The proxy could not reach the owner.
    #[non_exhaustive]
    Unreachable {
        /// What the machine that was given the request back says of it.
        reason: String,
    },
    /// The owner has not been heard of for too long, has left, or was declared gone.
    OwnerLost,
    /// The owner was never heard of.
    OwnerNeverSeen,
    /// No answer in time.
    TimedOut,
    /// A machine that is not the owner takes itself for it.
    #[non_exhaustive]
    WrongMachine {
        /// Which one, if it is the one that probes.
        machine: Option<MachineId>,
    },
    /// A machine refused it for another reason.
    #[non_exhaustive]
    Refused {
        /// The [code](crate::Code) of the refusal.
        code: String,
        /// What the machine says of it.
        reason: String,
    },
    /// Somebody answered, and it was no layer that knows the secret: a proxy, an application
    /// without the layer or outside of it, or a machine with another secret.
    #[non_exhaustive]
    NotOurs {
        /// The status of the answer.
        status: u16,
        /// What may be told from it.
        reason: String,
    },
    /// Nobody could be asked: no address, no connection, no TLS, or no HTTP.
    #[non_exhaustive]
    NoConnection {
        /// Why.
        reason: String,
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
    /// Whether it arrived at the owner.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        matches!(self, Self::Arrived { .. })
    }
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived {
                machine,
                replayed: true,
            } => write!(f, "the probe was taken to the session's owner {machine}"),
            Self::Arrived {
                machine,
                replayed: false,
            } => write!(
                f,
                "the probe came to the session's owner {machine} at once, so nothing had to be \
                 replayed"
            ),
            Self::NotHonoured => f.write_str(
                "a machine answered with a replay, and no proxy acted on it: this address does not \
                 lead through one that does, or the replay is one that it ignores",
            ),
            Self::Looped => f.write_str(
                "the probe went round in circles: machines or the proxy disagree on who the owner \
                 is",
            ),
            Self::Unreachable { reason } => {
                write!(f, "the session's owner could not be reached: {reason}")
            }
            Self::OwnerLost => f.write_str("the session's owner has stopped responding"),
            Self::OwnerNeverSeen => f.write_str("the session's owner has never started"),
            Self::TimedOut => f.write_str("nobody answered the probe in time"),
            Self::WrongMachine {
                machine: Some(machine),
            } => write!(f, "{machine} takes itself for the owner, and is not"),
            Self::WrongMachine { machine: None } => {
                f.write_str("another machine than the owner takes itself for the owner")
            }
            Self::Refused { code, reason } => write!(f, "the probe was refused ({code}): {reason}"),
            Self::NotOurs { status, reason } => {
                write!(
                    f,
                    "the answer ({status}) is not of this fleet's layer: {reason}"
                )
            }
            Self::NoConnection { reason } => write!(f, "nobody could be asked: {reason}"),
            Self::Inconclusive { reason } => write!(f, "there was nothing to probe: {reason}"),
        }
    }
}

impl From<&ProbeOutcome> for Check {
    /// Well, if the probe arrived; what is inconclusive is no reason to complain. No page of health
    /// needs to know which machine it was.
    fn from(outcome: &ProbeOutcome) -> Self {
        match outcome {
            ProbeOutcome::Arrived { .. } => Self::ok("the probe arrived at the session's owner"),
            ProbeOutcome::Inconclusive { .. } => Self::ok("there was nothing to probe"),
            ProbeOutcome::WrongMachine { .. } => {
                Self::failing("another machine than the owner takes itself for the owner")
            }
            ProbeOutcome::NoConnection { .. } => Self::failing("nobody could be asked"),
            other => Self::failing(other.to_string()),
        }
    }
}
