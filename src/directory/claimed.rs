//! What came of a claim.

use std::time::Duration;

use crate::Session;

/// What came of an attempt to [claim](crate::SessionDirectory::claim) a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// The session as it is afterwards, with its owner then.
    pub session: Session,
    /// For how long the owner that it was seen with had not been heard, by the directory's clock. For the
    /// log alone. `None`: it was seen without an owner, or that is not known.
    pub silent_for: Option<Duration>,
}

impl Claimed {
    /// Sets for how long the owner before had not been heard.
    #[must_use]
    pub fn after_silence(mut self, silent_for: Option<Duration>) -> Self {
        self.silent_for = silent_for;
        self
    }
}

impl From<Session> for Claimed {
    fn from(session: Session) -> Self {
        Self {
            session,
            silent_for: None,
        }
    }
}
