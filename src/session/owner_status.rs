//! What the directory knows of a session's owner.

/// How a session's owner is, by what it says of itself in the directory.
///
/// Judged by the directory's clock, when the session was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OwnerStatus {
    /// Nothing is known: the session has no owner, or the fleet keeps no presence.
    #[default]
    Unknown,
    /// It beats.
    Alive,
    /// It beats, and gives its sessions up.
    Draining,
    /// It has not beaten for too long, but no other machine was heard while it was silent, as
    /// after an outage of the directory. It becomes [`Lost`](Self::Lost) once another one was.
    Silent,
    /// It has not beaten for too long while another machine has, has left, or was declared gone.
    Lost,
    /// The fleet keeps presence, and this machine is not in the table of machines.
    NeverSeen,
    /// It is the machine of the process that asks, and has another process by now. Told only by a
    /// directory that knows which process asks.
    Superseded,
}

impl OwnerStatus {
    /// The presence as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Alive => "alive",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::NeverSeen => "never-seen",
            Self::Superseded => "superseded",
        }
    }
}
