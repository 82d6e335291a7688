//! The session in a header.

use std::borrow::Cow;

use http::{HeaderName, request::Parts};

use super::{Agreement, ExtractSession, InvalidExtractor};
use crate::{MalformedSession, SessionId};

/// The session id is the value of a header.
///
/// ```
/// use tower_ownership::Header;
///
/// let own = Header::named("x-session-id")?;
/// let mcp = Header::mcp_session_id();
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// No such header is no session. A value that is no id is malformed, an empty one and a list
/// (`<id>, <id>`) included; one that is not ASCII is
/// [`Unreadable`](MalformedSession::Unreadable). Space around the id is ignored. Several headers
/// of the name have to hold the same id, since applications differ in which one they read.
#[derive(Clone, Debug)]
pub struct Header {
    name: HeaderName,
}

impl Header {
    /// The header of this name, in any case.
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        HeaderName::from_bytes(name.as_bytes())
            .map(|name| Self { name })
            .map_err(|_| InvalidExtractor::new(name, "the name of a header"))
    }

    /// `Mcp-Session-Id`, the session of the Model Context Protocol's Streamable HTTP transport.
    ///
    /// The protocol leaves the form of its ids to the server; these are found if the server gives
    /// out UUIDs. The first request of a client, `initialize`, has no session yet and passes.
    #[must_use]
    pub fn mcp_session_id() -> Self {
        Self {
            name: HeaderName::from_static("mcp-session-id"),
        }
    }
}

impl ExtractSession for Header {
    fn session(&self, head: &Parts) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        for value in head.headers.get_all(&self.name) {
            let value = value.as_bytes();
            let id = SessionId::parse_bytes(value.trim_ascii());
            if id.is_err() && !value.is_ascii() {
                return Err(MalformedSession::Unreadable);
            }
            agreed.note(id?)?;
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the header {}", self.name).into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{A, B, head, id};
    use super::*;

    fn found(values: &[&[u8]]) -> Result<Option<SessionId>, MalformedSession> {
        let lines: Vec<_> = values
            .iter()
            .map(|value| ("x-session-id", *value))
            .collect();
        Header::named("X-Session-Id")
            .unwrap()
            .session(&head("/", &lines))
    }

    #[test]
    fn the_value_is_the_session() {
        let simple = A.replace('-', "").to_uppercase();
        for value in [A, &simple, &format!(" \t{A} ")] {
            assert_eq!(found(&[value.as_bytes()]), Ok(Some(id(A))), "{value:?}");
        }
        assert_eq!(found(&[]), Ok(None));
    }

    #[test]
    fn a_value_that_is_no_id_is_malformed() {
        for value in ["", "about", &format!("{A}, {A}"), &format!("\"{A}\"")] {
            assert_eq!(
                found(&[value.as_bytes()]),
                Err(MalformedSession::NotAUuid),
                "{value:?}"
            );
        }
        for value in [&b"\xff"[..], "sess\u{f6}n".as_bytes()] {
            assert_eq!(found(&[value]), Err(MalformedSession::Unreadable));
        }
    }

    #[test]
    fn several_values_have_to_agree() {
        let (a, b, upper) = (A.as_bytes(), B.as_bytes(), A.to_uppercase());
        assert_eq!(found(&[a, upper.as_bytes(), a]), Ok(Some(id(A))));
        assert_eq!(found(&[a, a, b]), Err(MalformedSession::Ambiguous));
        assert_eq!(found(&[a, b""]), Err(MalformedSession::NotAUuid));
    }

    #[test]
    fn mcp_has_its_own_header() {
        let head = head("/mcp", &[("Mcp-Session-Id", A.as_bytes())]);
        let found = Header::mcp_session_id().session(&head);
        assert_eq!(found, Ok(Some(id(A))));
    }

    #[test]
    fn a_name_that_no_header_has_is_refused() {
        for name in ["", "x session", "x:y", "sëssion"] {
            assert!(Header::named(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics_or_is_absent(value in prop::collection::vec(any::<u8>(), 0..80)) {
            if http::HeaderValue::from_bytes(&value).is_ok() {
                prop_assert_ne!(found(&[&value]), Ok(None));
            }
        }
    }
}
