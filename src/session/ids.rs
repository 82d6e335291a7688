//! Which ids the sessions of a directory can have.

use uuid::Uuid;

use super::SessionId;

/// Which ids the sessions of a directory can have.
///
/// An id that does not fit cannot be that of a session there, so a request for it is refused with
/// `session-unknown` (404), and no lookup is made. A directory says it
/// ([`SessionLookup::session_ids`](crate::SessionLookup::session_ids)); the layer asks once, when it
/// is built.
///
/// ```
/// use tower_ownership::session::SessionIds;
///
/// let nanoids = SessionIds::text()
///     .max_len(21)
///     .alphabet(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionIds(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uuid,
    Text {
        max_len: usize,
        alphabet: Option<u128>,
    },
    Integer,
}

impl SessionIds {
    /// UUIDs, hyphenated (36 characters) or simple (32), in any case: all of these name one session.
    ///
    /// The braced and the URN form are not read: a further spelling that no client sends is only
    /// another way to disagree with the application.
    #[must_use]
    pub const fn uuid() -> Self {
        Self(Kind::Uuid)
    }

    /// Any text, compared byte by byte: a UUID in capitals is not the one in lower case.
    #[must_use]
    pub const fn text() -> Self {
        Self(Kind::Text {
            max_len: SessionId::MAX_LEN,
            alphabet: None,
        })
    }

    /// Whole numbers that fit 64 bits with a sign, written without `+` and leading zeros.
    #[must_use]
    pub const fn integer() -> Self {
        Self(Kind::Integer)
    }

    /// Limits texts to so many bytes. Default: [`SessionId::MAX_LEN`]. UUIDs and numbers have
    /// lengths of their own.
    #[must_use]
    pub const fn max_len(mut self, bytes: usize) -> Self {
        if let Kind::Text { max_len, .. } = &mut self.0 {
            *max_len = bytes;
        }
        self
    }

    /// Limits texts to the ASCII characters for which `allowed` returns true. Default: every
    /// character that is not a control character, ASCII or not.
    #[must_use]
    pub fn alphabet(mut self, allowed: impl Fn(u8) -> bool) -> Self {
        if let Kind::Text { alphabet, .. } = &mut self.0 {
            let bits = (0..128).filter(|&byte| allowed(byte));
            *alphabet = Some(bits.fold(0, |set, byte| set | 1 << byte));
        }
        self
    }

    /// An id that fits, unless texts are limited further.
    pub(crate) fn sample(self) -> SessionId {
        let nil = SessionId::new(Uuid::nil());
        match self.0 {
            Kind::Integer => SessionId::parse("0").unwrap_or(nil),
            Kind::Uuid | Kind::Text { .. } => nil,
        }
    }

    /// Whether the id fits as it is, if that is quick to tell.
    #[inline]
    pub(crate) fn holds(&self, id: &SessionId) -> bool {
        match self.0 {
            Kind::Uuid => id.as_uuid().is_some(),
            Kind::Text { max_len, alphabet } => max_len == SessionId::MAX_LEN && alphabet.is_none(),
            Kind::Integer => false,
        }
    }

    /// The id as the directory writes it; `None` if no session there can have it.
    pub(crate) fn admit(&self, id: SessionId) -> Option<SessionId> {
        if self.holds(&id) {
            return Some(id);
        }
        match self.0 {
            Kind::Uuid => id.with_text(|text| match text.len() {
                32 | 36 => Uuid::try_parse(text).ok().map(SessionId::new),
                _ => None,
            }),
            Kind::Text { max_len, alphabet } => id
                .with_text(|text| {
                    let in_alphabet =
                        |set: u128| text.bytes().all(|byte| byte < 128 && set >> byte & 1 == 1);
                    text.len() <= max_len && alphabet.is_none_or(in_alphabet)
                })
                .then_some(id),
            Kind::Integer => id
                .with_text(|text| {
                    text.parse::<i64>()
                        .is_ok_and(|number| number.to_string() == text)
                })
                .then_some(id),
        }
    }
}

impl Default for SessionIds {
    /// [`text`](Self::text).
    fn default() -> Self {
        Self::text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    fn admitted(ids: SessionIds, text: &str) -> Option<String> {
        let id = ids.admit(text.parse().unwrap());
        id.map(|id| id.to_string())
    }

    #[test]
    fn every_written_form_of_a_uuid_is_the_same_session() {
        for form in [
            INCIDENT,
            "807EFE44-D63E-4A24-88F5-DBE96112830A",
            "807efe44d63e4a2488f5dbe96112830a",
        ] {
            let admitted = admitted(SessionIds::uuid(), form);
            assert_eq!(admitted.as_deref(), Some(INCIDENT), "{form}");
        }
    }

    #[test]
    fn other_spellings_and_near_misses_are_no_uuids() {
        for form in [
            "807efe44",
            "{807efe44-d63e-4a24-88f5-dbe96112830a}",
            "urn:uuid:807efe44-d63e-4a24-88f5-dbe96112830a",
            "807efe44-d63e-4a24-88f5-dbe96112830g",
            "807efe44-d63e-4a24-88f5-dbe96112830a ",
            "807efe44d63e-4a24-88f5-dbe96112830a-",
        ] {
            assert_eq!(admitted(SessionIds::uuid(), form), None, "{form:?}");
        }
    }

    #[test]
    fn texts_are_kept_as_they_are() {
        let capitals = INCIDENT.to_uppercase();
        for text in ["lobby", "Lobby", "a b", "\u{e9}", &capitals] {
            assert_eq!(admitted(SessionIds::text(), text).as_deref(), Some(text));
        }
    }

    #[test]
    fn texts_may_be_limited() {
        let ids = SessionIds::text()
            .max_len(5)
            .alphabet(|byte| byte.is_ascii_lowercase());
        assert_eq!(admitted(ids, "lobby").as_deref(), Some("lobby"));
        for text in ["lobbys", "Lobby", "lob.y", "lob\u{e9}", INCIDENT] {
            assert_eq!(admitted(ids, text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        for text in ["0", "42", "-7", "9223372036854775807"] {
            assert_eq!(admitted(SessionIds::integer(), text).as_deref(), Some(text));
        }
        for text in ["042", "+1", "-0", "9223372036854775808", "1.0", " 1", "a"] {
            assert_eq!(admitted(SessionIds::integer(), text), None, "{text}");
        }
    }
}
