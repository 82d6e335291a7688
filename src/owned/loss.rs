//! Why a machine may not go on serving a session.

use std::fmt;

use crate::Standing;

/// Why this machine may not go on serving a session that it served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// Another machine owns it now, or nobody does.
    Moved,
    /// It has ended.
    Over,
    /// The last read proves nothing any more, and the directory did not answer another one.
    Unproved,
    /// This machine gives its sessions up.
    Draining,
    /// Another process says that it is this machine.
    Duplicate,
    /// An operator declared this machine gone.
    Gone,
}

impl Loss {
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
            Self::Duplicate => "duplicate",
            Self::Gone => "gone",
        }
    }

    pub(crate) const ALL: [Self; 6] = [
        Self::Moved,
        Self::Over,
        Self::Unproved,
        Self::Draining,
        Self::Duplicate,
        Self::Gone,
    ];

    pub(super) fn of(standing: Standing) -> Option<Self> {
        match standing {
            // Nothing was served before it joined.
            Standing::Joining | Standing::Serving => None,
            Standing::Draining => Some(Self::Draining),
            Standing::Duplicate => Some(Self::Duplicate),
            Standing::Gone => Some(Self::Gone),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved => "another machine owns the session now",
            Self::Over => "the session has ended",
            Self::Unproved => {
                "the session directory did not answer whether the session is still ours"
            }
            Self::Draining => "this machine gives its sessions up",
            Self::Duplicate => "another process says that it is this machine",
            Self::Gone => "this machine was declared gone",
        })
    }
}
