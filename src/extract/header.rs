//! The session in a header.

use std::borrow::Cow;

use http::HeaderName;

use super::{Agreement, ExtractSession, InvalidExtractor};
use crate::{Head, MalformedSession, SessionId};

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
/// No such header is no session. The whole value is the id, without the space around it: a list
/// (`<id>, <id>`) is one that no session has. Several headers of the name have to hold the same id,
/// since applications differ in which one they read.
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
    /// The first request of a client, `initialize`, has no session yet and passes.
    #[must_use]
    pub fn mcp_session_id() -> Self {
        Self {
            name: HeaderName::from_static("mcp-session-id"),
        }
    }
}

impl ExtractSession for Header {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        for value in head.headers.get_all(&self.name) {
            agreed.note(SessionId::parse_bytes(value.as_bytes().trim_ascii())?)?;
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
            .session(&(&head("/", &lines)).into())
    }

    #[test]
    fn the_value_is_the_session() {
        let list = format!("{A}, {A}");
        for (value, text) in [
            (A, A),
            (&format!(" \t{A} "), A),
            ("bsk_8fK2", "bsk_8fK2"),
            ("sess\u{f6}n", "sess\u{f6}n"),
            (&list, &list),
        ] {
            assert_eq!(found(&[value.as_bytes()]), Ok(Some(id(text))), "{value:?}");
        }
        assert_eq!(found(&[]), Ok(None));
    }

    #[test]
    fn a_value_that_cannot_be_an_id_is_refused() {
        let long = "x".repeat(256);
        for value in ["", " ", ".", &long] {
            let found = found(&[value.as_bytes()]);
            assert_eq!(found, Err(MalformedSession::NotAnId), "{value:?}");
        }
        assert_eq!(found(&[b"\xff"]), Err(MalformedSession::Unreadable));
    }

    #[test]
    fn several_values_have_to_agree() {
        let (a, b) = (A.as_bytes(), B.as_bytes());
        assert_eq!(found(&[a, a, a]), Ok(Some(id(A))));
        assert_eq!(found(&[a, a, b]), Err(MalformedSession::Ambiguous));
        assert_eq!(found(&[a, b""]), Err(MalformedSession::NotAnId));
    }

    #[test]
    fn mcp_has_its_own_header() {
        let head = head("/mcp", &[("Mcp-Session-Id", A.as_bytes())]);
        let found = Header::mcp_session_id().session(&(&head).into());
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
