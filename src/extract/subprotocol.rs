//! The session in a WebSocket's list of subprotocols.

use std::borrow::Cow;

use http::header;

use super::{Agreement, ExtractSession, InvalidExtractor};
use crate::{Head, MalformedSession, SessionId};

/// The session id is what follows a prefix in one of the subprotocols that a WebSocket offers:
/// `Sec-WebSocket-Protocol: chat, session.<id>`.
///
/// A browser cannot set other headers of a WebSocket, and what stands in its URL ends up in logs:
/// `new WebSocket(url, ["chat", "session." + id])`. The server has to answer with one of the protocols
/// that were offered (RFC 6455, section 4.2.2): choose `chat`.
///
/// ```
/// let extractor = tower_ownership::extract::Subprotocol::prefixed("session.")?;
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// No protocol with the prefix is no session. Several have to name the same session. Ids can only hold
/// the characters of a token (RFC 9110, section 5.6.2).
#[derive(Clone, Debug)]
pub struct Subprotocol {
    prefix: Box<str>,
}

impl Subprotocol {
    /// The protocol whose name begins with `prefix`, in exactly these letters.
    pub fn prefixed(prefix: &str) -> Result<Self, InvalidExtractor> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if prefix.is_empty() || !prefix.bytes().all(token) {
            return Err(InvalidExtractor::new(
                prefix,
                "the beginning of a subprotocol, such as `session.`: letters, digits and \
                 `!#$%&'*+-.^_`|~`",
            ));
        }
        let prefix = prefix.into();
        Ok(Self { prefix })
    }
}

impl ExtractSession for Subprotocol {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        for line in head.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
            for protocol in line.as_bytes().split(|&byte| byte == b',') {
                if let Some(id) = protocol.trim_ascii().strip_prefix(self.prefix.as_bytes()) {
                    agreed.note(SessionId::parse_bytes(id)?)?;
                }
            }
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the subprotocol that begins with {}", self.prefix).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, head, id};
    use super::*;

    fn found(lines: &[String]) -> Result<Option<SessionId>, MalformedSession> {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| ("sec-websocket-protocol", line.as_bytes()))
            .collect();
        let extractor = Subprotocol::prefixed("session.").unwrap();
        extractor.session(&(&head("/", &lines)).into())
    }

    #[test]
    fn what_follows_the_prefix_is_the_session() {
        for line in [
            format!("session.{A}"),
            format!("chat, session.{A}"),
            format!("session.{A},chat , session.{A}"),
        ] {
            assert_eq!(found(&[line]), Ok(Some(id(A))));
        }
        let two = ["chat".to_owned(), "session.lobby".to_owned()];
        assert_eq!(found(&two), Ok(Some(id("lobby"))));
    }

    #[test]
    fn other_protocols_are_no_session() {
        for line in ["", "chat", "Session.x", "xsession.x", "chat, mqtt"] {
            assert_eq!(found(&[line.to_owned()]), Ok(None), "{line}");
        }
        assert_eq!(found(&[]), Ok(None));
    }

    #[test]
    fn a_prefix_alone_or_two_sessions_are_refused() {
        let nothing = found(&["session.".to_owned()]);
        assert_eq!(nothing, Err(MalformedSession::NotAnId));
        let two = found(&[format!("session.{A}, session.{B}")]);
        assert_eq!(two, Err(MalformedSession::Ambiguous));
        for prefix in ["", "a b", "a,", "s\u{e9}"] {
            assert!(Subprotocol::prefixed(prefix).is_err(), "{prefix:?}");
        }
    }
}
