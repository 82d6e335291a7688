//! Why a machine may not go on serving a session.

use std::fmt;

use super::NodeState;

/// Why this machine may not go on serving a session that it served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// Another machine owns it now, or none does.
    Moved,
    /// It has ended.
    Over,
    /// The last read proves nothing any more, and the directory did not answer another one.
    Unproved,
    /// This machine gives its sessions up.
    Draining,
    /// Another, younger process registered this machine id.
    Fenced,
    /// An operator declared this machine gone.
    Removed,
}

impl LossReason {
    /// The code to close a WebSocket with: in the range that RFC 6455 leaves to applications, after
    /// HTTP's 421, "misdirected request". A client that reads it should connect again at once.
    pub const CLOSE_CODE: u16 = 4421;

    /// The loss as it stands in events, close reasons and the last event of a stream.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Over => "over",
            Self::Unproved => "unproved",
            Self::Draining => "draining",
            Self::Fenced => "fenced",
            Self::Removed => "removed",
        }
    }

    pub(crate) const ALL: [Self; 6] = [
        Self::Moved,
        Self::Over,
        Self::Unproved,
        Self::Draining,
        Self::Fenced,
        Self::Removed,
    ];

    pub(super) fn of(state: NodeState) -> Option<Self> {
        match state {
            // Nothing was served before it joined.
            NodeState::Joining | NodeState::Serving => None,
            NodeState::Draining => Some(Self::Draining),
            NodeState::Fenced => Some(Self::Fenced),
            NodeState::Removed => Some(Self::Removed),
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved => "another machine owns the session now",
            Self::Over => "the session has ended",
            Self::Unproved => {
                "the session directory did not answer whether the session is still ours"
            }
            Self::Draining => "this machine gives its sessions up",
            Self::Fenced => "another process registered this machine id",
            Self::Removed => "this machine was declared gone",
        })
    }
}
