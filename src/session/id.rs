//! The id of a session.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The id of a session: a UUID.
///
/// Session ids are often all that a client needs in order to be let in, so [`Debug`](fmt::Debug)
/// and [`short`](Self::short) show no more than the first eight hexadecimal digits;
/// [`Display`](fmt::Display) shows the whole id, hyphenated and in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The session with this UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads the hyphenated (36 characters) or simple (32 characters) form, in any case.
    ///
    /// The braced and the URN form, which the uuid crate also reads, are malformed here: a second
    /// spelling that no client sends is only another way to disagree with the application.
    pub fn parse(text: &str) -> Result<Self, MalformedSession> {
        Self::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Self, MalformedSession> {
        match text.len() {
            32 | 36 => Uuid::try_parse_ascii(text)
                .map(Self)
                .map_err(|_| MalformedSession::NotAUuid),
            _ => Err(MalformedSession::NotAUuid),
        }
    }

    /// The UUID itself.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The first eight hexadecimal digits: enough to find a session in a log, too little to use it.
    #[must_use]
    pub const fn short(&self) -> ShortSessionId {
        ShortSessionId(self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}…)", self.short())
    }
}

impl From<Uuid> for SessionId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for SessionId {
    type Err = MalformedSession;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A session id as logs show it; see [`SessionId::short`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortSessionId(Uuid);

impl fmt::Display for ShortSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0.as_fields().0)
    }
}

impl fmt::Debug for ShortSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request that should carry a session carries none that can be read.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedSession {
    /// What stands where the session id should stand is not a UUID.
    #[error("the session id is not a UUID")]
    NotAUuid,
    /// The request names two different sessions, and guessing could serve the wrong one.
    #[error("the request names more than one session")]
    Ambiguous,
    /// The part of the request that should hold the id cannot be read at all.
    #[error("the part of the request that should hold the session id cannot be read")]
    Unreadable,
}

crate::observe::debug_as_chain!(MalformedSession);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Session, SessionStatus};

    const INCIDENT: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    #[test]
    fn every_written_form_is_the_same_session() {
        let id = SessionId::parse(INCIDENT).unwrap();
        for form in [
            "807EFE44-D63E-4A24-88F5-DBE96112830A",
            "807efe44d63e4a2488f5dbe96112830a",
        ] {
            assert_eq!(SessionId::parse(form).unwrap(), id);
        }
        assert_eq!(id.to_string(), INCIDENT);
    }

    #[test]
    fn other_spellings_and_near_misses_are_malformed() {
        for form in [
            "",
            "807efe44",
            "{807efe44-d63e-4a24-88f5-dbe96112830a}",
            "urn:uuid:807efe44-d63e-4a24-88f5-dbe96112830a",
            "807efe44-d63e-4a24-88f5-dbe96112830g",
            "807efe44-d63e-4a24-88f5-dbe96112830a ",
            "807efe44d63e-4a24-88f5-dbe96112830a-",
        ] {
            assert_eq!(
                SessionId::parse(form),
                Err(MalformedSession::NotAUuid),
                "{form:?}"
            );
        }
    }

    #[test]
    fn debug_output_does_not_hand_the_session_over() {
        let id = SessionId::parse(INCIDENT).unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(807efe44…)");
        assert!(!format!("{:?}", Session::new(id, SessionStatus::Active)).contains("dbe96112830a"));
    }
}
