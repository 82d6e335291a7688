//! The id of a session.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use uuid::Uuid;

use super::canonical;

/// The id of a session: 1 to 255 bytes of UTF-8 without control characters, and neither `.` nor
/// `..`, which mean something else in a path.
///
/// Two ids are equal if their texts are, byte for byte. UUIDs in their canonical form, hyphenated and
/// in lower case, are kept in 16 bytes; other texts of up to [38 bytes](Self::INLINE) in place. A
/// clone of either copies 40 bytes, and of a longer one counts a reference. Other spellings of a
/// UUID are other ids, until [`SessionIds::uuid`](crate::session::SessionIds::uuid) reads them as
/// one: what is an MD5 digest, a name in capitals or a `uuid4().hex` to one application is a UUID
/// to another.
///
/// Session ids are often all that a client needs in order to be let in, so [`Debug`](fmt::Debug)
/// and [`short`](Self::short) show only the end; [`Display`](fmt::Display) shows all of it.
/// Nothing in an id breaks a line, but it may hold spaces, quotes and slashes: encode it
/// for where it is written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(Repr);

/// Each text has exactly one of these, so comparing them compares texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    Uuid(Uuid),
    /// The bytes after the first `len` are zero.
    Inline {
        len: u8,
        bytes: [u8; SessionId::INLINE],
    },
    Long(Arc<str>),
}

impl SessionId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The longest id that needs no memory of its own, in bytes.
    pub const INLINE: usize = 38;

    /// The session with this UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(Repr::Uuid(uuid))
    }

    /// Reads an id as it is written: nothing is trimmed or decoded.
    pub fn parse(text: &str) -> Result<Self, MalformedSession> {
        Self::parse_bytes(text.as_bytes())
    }

    #[inline]
    pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Self, MalformedSession> {
        if let Some(id) = bytes.try_into().ok().and_then(Self::canonical_uuid) {
            return Ok(id);
        }
        Self::other(bytes)
    }

    /// The id if it is a UUID in its canonical form.
    #[inline]
    pub(crate) fn canonical_uuid(text: &[u8; 36]) -> Option<Self> {
        canonical::read(text).map(Self::new)
    }

    fn other(bytes: &[u8]) -> Result<Self, MalformedSession> {
        // Most ids are of ASCII, and these need not be decoded to be checked. The whole of the place is looked
        // at, since the compiler takes many bytes of a fixed number at once; the zeros after an id are not plain.
        let plain = |count, byte: &u8| count + u8::from(byte.wrapping_sub(b' ') < 0x5f);
        if let Some(id) = Self::inline(bytes)
            && let Repr::Inline { len, bytes: place } = &id.0
            && place.iter().fold(0, plain) == *len
            && !matches!(bytes, b"" | b"." | b"..")
        {
            return Ok(id);
        }
        let text = str::from_utf8(bytes).map_err(|_| MalformedSession::Unreadable)?;
        let is_dots = matches!(text, "." | "..");
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        if !fits || is_dots || text.chars().any(char::is_control) {
            return Err(MalformedSession::NotAnId);
        }
        Ok(Self::of_checked(text))
    }

    /// A text that was checked, and is no UUID.
    pub(super) fn of_checked(text: &str) -> Self {
        Self::inline(text.as_bytes()).unwrap_or_else(|| Self(Repr::Long(text.into())))
    }

    fn inline(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::INLINE];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(Repr::Inline {
            #[expect(clippy::cast_possible_truncation, reason = "at most `INLINE`")]
            len: text.len() as u8,
            bytes,
        }))
    }

    /// The bytes of an id that is no UUID.
    #[inline]
    pub(crate) fn other_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Uuid(_) => None,
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)),
            Repr::Long(text) => Some(text.as_bytes()),
        }
    }

    /// The UUID, if the id is one in its canonical form.
    #[must_use]
    pub const fn as_uuid(&self) -> Option<&Uuid> {
        match &self.0 {
            Repr::Uuid(uuid) => Some(uuid),
            Repr::Inline { .. } | Repr::Long(_) => None,
        }
    }

    /// Calls `read` with the text of the id.
    pub(crate) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match &self.0 {
            Repr::Uuid(uuid) => read(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Repr::Inline { len, bytes } => {
                let text = bytes.get(..usize::from(*len)).unwrap_or_default();
                // Checked when it was made; without `unsafe` it is checked again.
                read(str::from_utf8(text).unwrap_or_default())
            }
            Repr::Long(text) => read(text),
        }
    }

    /// The id as a segment of a path, the value of a query, or a part of a log line: percent-encoded
    /// except for letters, digits and `-._~`.
    pub(crate) fn encoded(&self) -> String {
        self.with_text(|text| encoded(text).to_string())
    }

    /// The end of the id, for logs: enough to find a session, too little to use it.
    ///
    /// The last twelve characters, which are random in UUIDs of versions 4 and 7, or half of the id if that is less, percent-encoded except for
    /// letters, digits and `-._~`. The end and not the beginning, because UUIDs of version 7 that
    /// were made within a minute begin alike, and so do ids with a prefix such as `sess_`.
    #[must_use]
    pub const fn short(&self) -> ShortSessionId<'_> {
        ShortSessionId(self)
    }

    /// Bits that differ between ids.
    pub(crate) fn dice(&self) -> u64 {
        let mix = |seed: u64, word: u64| (seed ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        match &self.0 {
            Repr::Uuid(uuid) => uuid.as_u64_pair().1,
            Repr::Inline { bytes, .. } => {
                bytes.iter().fold(0, |seed, &byte| mix(seed, byte.into()))
            }
            Repr::Long(text) => text.bytes().fold(0, |seed, byte| mix(seed, byte.into())),
        }
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Uuid(uuid) => hash_uuid(uuid, state),
            Repr::Inline { len, bytes } => {
                state.write(bytes.get(..usize::from(*len)).unwrap_or_default());
            }
            Repr::Long(text) => state.write(text.as_bytes()),
        }
    }
}

pub(super) fn hash_uuid<H: Hasher>(uuid: &Uuid, state: &mut H) {
    let (high, low) = uuid.as_u64_pair();
    state.write_u64(high);
    state.write_u64(low);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId(…{})", self.short())
    }
}

impl From<Uuid> for SessionId {
    fn from(uuid: Uuid) -> Self {
        Self::new(uuid)
    }
}

impl FromStr for SessionId {
    type Err = MalformedSession;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// What is not unreserved (RFC 3986, section 2.3). Everything that ends a value, a line or a
/// quotation in one format or another is among it.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// A session id as logs show it; see [`SessionId::short`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortSessionId<'a>(&'a SessionId);

impl fmt::Display for ShortSessionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOGGED: usize = 12;
        self.0.with_text(|text| {
            let chars = text.chars().count();
            let hidden = chars - LOGGED.min(chars.div_ceil(2));
            let end = text.char_indices().nth(hidden).map_or(0, |(at, _)| at);
            let end = text.get(end..).unwrap_or_default();
            fmt::Display::fmt(&encoded(end), f)
        })
    }
}

impl fmt::Debug for ShortSessionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request that should carry a session carries none that can be read.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedSession {
    /// What stands where the session id should stand cannot be the id of any session. The request
    /// is refused as one for an unknown session.
    #[error("what stands in the session id's place cannot be a session id")]
    NotAnId,
    /// The request names two different sessions, and guessing could serve the wrong one.
    #[error("the request names more than one session")]
    Ambiguous,
    /// The part of the request that should hold the id is no text.
    #[error("the part of the request that should hold the session id cannot be read")]
    Unreadable,
}

crate::observe::debug_as_chain!(MalformedSession);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Session, SessionStatus};

    const INCIDENT: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    #[test]
    fn an_id_is_the_text_that_it_was_read_from() {
        for text in [
            INCIDENT,
            "807EFE44-D63E-4A24-88F5-DBE96112830A",
            "807efe44d63e4a2488f5dbe96112830a",
            "lobby",
            "the blue room/2?",
            "Zo\u{eb}",
            &"x".repeat(38),
            &"x".repeat(39),
            &"x".repeat(255),
        ] {
            let id = SessionId::parse(text).unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(id.as_uuid().is_some(), text == INCIDENT, "{text}");
        }
    }

    #[test]
    fn what_is_no_text_of_a_line_is_no_id() {
        let too_long = "x".repeat(256);
        for text in ["", ".", "..", "a\nb", "\u{7f}", "\u{85}", "a\0", &too_long] {
            let id = SessionId::parse(text);
            assert_eq!(id, Err(MalformedSession::NotAnId), "{text:?}");
        }
        let id = SessionId::parse_bytes(b"\xff");
        assert_eq!(id, Err(MalformedSession::Unreadable));
    }

    #[test]
    fn a_log_shows_the_end_and_at_most_half() {
        for (text, shown) in [
            (INCIDENT, "dbe96112830a"),
            ("sess_01jdv7k2m4", "2m4"),
            ("lobby", "bby"),
            ("x", "x"),
            ("room 1 session=a\"b", "n%3Da%22b"),
            ("Zo\u{eb}", "o%C3%AB"),
        ] {
            let id = SessionId::parse(text).unwrap();
            assert!(id.short().to_string().ends_with(shown), "{}", id.short());
            let rest = text.chars().count() / 2;
            let hidden: String = text.chars().take(rest).collect();
            assert!(
                rest == 0 || !id.short().to_string().contains(&hidden),
                "{}",
                id.short()
            );
        }
    }

    #[test]
    fn uuids_of_one_moment_differ_in_a_log() {
        let [one, another] = [
            "018f4e7c-1f2a-7b3c-9d4e-5f6071829304",
            "018f4e7c-1f2a-7c11-8a2b-0c9e66797425",
        ]
        .map(|text| SessionId::parse(text).unwrap());
        assert_ne!(one.short().to_string(), another.short().to_string());
    }

    #[test]
    fn debug_output_does_not_hand_the_session_over() {
        let id = SessionId::parse(INCIDENT).unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(…dbe96112830a)");
        assert!(!format!("{:?}", Session::new(id, SessionStatus::Active)).contains("807efe44"));
    }

    #[test]
    fn an_id_is_no_larger_than_its_inline_text() {
        assert_eq!(size_of::<SessionId>(), SessionId::INLINE + 2);
        assert_eq!(size_of::<Option<SessionId>>(), size_of::<SessionId>());
    }

    fn hash(id: &SessionId) -> u64 {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_id_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(id) = SessionId::parse_bytes(&bytes) {
                prop_assert_eq!(id.to_string().into_bytes(), bytes);
                let shown = id.short().to_string();
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
                prop_assert!(shown.bytes().all(plain), "{}", shown);
                prop_assert!(!shown.is_empty());
            }
        }

        #[test]
        fn ids_are_equal_if_their_texts_are(one in "[a-b]{1,3}", other in "[a-b]{1,3}", more in 0..60_usize) {
            let [one, other] = [one, other].map(|text| text + &"x".repeat(more));
            let [a, b] = [&one, &other].map(|text| SessionId::parse(text).unwrap());
            prop_assert_eq!(a == b, one == other);
            if a == b {
                prop_assert_eq!(hash(&a), hash(&b));
            }
        }

        #[test]
        fn a_uuid_is_the_id_of_its_canonical_text(bytes: [u8; 16]) {
            let uuid = Uuid::from_bytes(bytes);
            let id = SessionId::parse(&uuid.to_string()).unwrap();
            prop_assert_eq!(&id, &SessionId::new(uuid));
            prop_assert_eq!(id.as_uuid(), Some(&uuid));
        }
    }
}
