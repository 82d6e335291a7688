//! How a heartbeat is doing.

use std::time::Duration;

use crate::{LookupError, health::Check};

/// What a heartbeat is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HeartbeatState {
    /// The machine is known to be alive.
    Alive,
    /// Heartbeats fail, and the machine may become lost.
    Failing {
        /// Why, as of the last heartbeat.
        error: LookupError,
    },
    /// What the beats [depend on](super::HeartbeatBuilder::serves_at) fails, so none are sent,
    /// and others may take this machine's sessions over.
    Withheld {
        /// What fails.
        why: String,
    },
    /// Another process registered this machine id, so this one has stopped serving.
    Fenced,
    /// An operator declared the machine gone, so this process has stopped serving.
    Removed,
    /// It has ended: it was dropped, has left, or the runtime it was started on is gone.
    Stopped,
}

impl HeartbeatState {
    /// Whether the machine is known to be alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive)
    }
}

/// How a heartbeat is doing, for a health check or for metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeartbeatHealth {
    /// What it is about.
    pub state: HeartbeatState,
    /// How long ago the last beat arrived that did.
    pub last_beat: Duration,
    /// How many beats in a row have failed.
    pub failures: u32,
    /// Whether a process that was started before this one, under the same machine id, was still
    /// there at the last beat.
    pub rival: bool,
    /// The triggers that raise epochs and were missing or disabled at the last look, each with its
    /// table. While any is, a session whose owner changes is served by no machine.
    pub missing_triggers: Vec<String>,
}

impl From<&HeartbeatHealth> for Check {
    /// Well, if the machine is known to be alive. The age is that of the last beat that arrived.
    fn from(health: &HeartbeatHealth) -> Self {
        let check = match &health.state {
            // Every machine of the fleet sees the same, so a failing check would take all of them out
            // of service, and most of their sessions are fine.
            HeartbeatState::Alive if !health.missing_triggers.is_empty() => Self::ok(
                "it beats; ownership triggers are missing or disabled: apply the migration of the \
                 directory",
            ),
            HeartbeatState::Alive if health.rival => {
                Self::ok("it beats; another process was this machine before, and is still there")
            }
            HeartbeatState::Alive => Self::ok("it beats"),
            // Without what caused it, which may name hosts and users.
            HeartbeatState::Failing { error } => Self::failing(error.to_string()),
            HeartbeatState::Withheld { why } => Self::failing(format!("it does not beat: {why}")),
            HeartbeatState::Fenced => Self::failing("another process registered this machine id"),
            HeartbeatState::Removed => Self::failing("this machine was declared gone"),
            HeartbeatState::Stopped => Self::failing("it has ended"),
        };
        check.with_age(health.last_beat)
    }
}
