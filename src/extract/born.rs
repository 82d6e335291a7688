//! Finding the session that a response gives out.

use std::borrow::Cow;

use http::{HeaderName, Method, Uri, header, response::Parts as Response};

use super::{Agreement, Cookie, ExtractSession, InvalidExtractor, PathSegment};
use crate::{Head, MalformedSession, SessionId};

/// Where a response gives out the id of a session that was just created.
///
/// Named in [`registers`](crate::OwnershipLayerBuilder::registers): the layer holds such a response
/// back until the directory names this machine as the session's owner.
#[diagnostic::on_unimplemented(
    note = "a new session is found by a `ResponseHeader`, a `SetCookie` or a `Location`"
)]
pub trait ExtractNewSession: Send + Sync + 'static {
    /// Reads the id out of the head of a response. `Ok(None)`: the response gives out none.
    fn new_session(&self, head: &Response) -> Result<Option<SessionId>, MalformedSession>;

    /// Whether this request ends the session that it names, if it is answered with 2xx. Never by
    /// default.
    fn ends_session(&self, head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// Where it looks, in words for an operator.
    fn describe(&self) -> Cow<'_, str> {
        std::any::type_name::<Self>().into()
    }
}

/// A new session's id is the value of a response header.
#[derive(Clone, Debug)]
pub struct ResponseHeader {
    name: HeaderName,
    ends_on_delete: bool,
}

impl ResponseHeader {
    /// The header of this name, in any case, of a response that is no error (below 400).
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(InvalidExtractor::new(name, "the name of a header"));
        };
        Ok(Self {
            name,
            ends_on_delete: false,
        })
    }

    /// `Mcp-Session-Id`, which an MCP server gives out in its answer to `initialize`. A `DELETE` with
    /// that header ends the session (MCP 2025-11-25, Streamable HTTP, session management).
    #[must_use]
    pub fn mcp_session_id() -> Self {
        Self {
            name: HeaderName::from_static("mcp-session-id"),
            ends_on_delete: true,
        }
    }
}

impl ExtractNewSession for ResponseHeader {
    fn new_session(&self, head: &Response) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        if head.status.as_u16() < 400 {
            for value in head.headers.get_all(&self.name) {
                agreed.note(SessionId::parse_bytes(value.as_bytes().trim_ascii())?)?;
            }
        }
        Ok(agreed.0)
    }

    fn ends_session(&self, head: &Head<'_>) -> bool {
        self.ends_on_delete
            && head.method == Method::DELETE
            && head.headers.contains_key(&self.name)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the response header {}", self.name).into()
    }
}

/// A new session's id is the value of a cookie that the response sets.
///
/// A cookie that is deleted (an empty value, `Max-Age=0` or less, or an `Expires` in 1970) is none. Also in redirects, as a
/// login answers; not in errors (from 400 on).
#[derive(Clone, Debug)]
pub struct SetCookie(Cookie);

impl SetCookie {
    /// The cookie of exactly this name.
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        Cookie::named(name).map(Self)
    }
}

impl ExtractNewSession for SetCookie {
    fn new_session(&self, head: &Response) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        if head.status.as_u16() < 400 {
            for line in head.headers.get_all(header::SET_COOKIE) {
                let mut parts = line.as_bytes().split(|&byte| byte == b';');
                let cookie = parts.next().unwrap_or_default();
                if !parts.any(|attribute| deletes(attribute.trim_ascii())) {
                    agreed.note_any(self.0.given_out(cookie)?)?;
                }
            }
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("{} that a response sets", self.0.describe()).into()
    }
}

/// Whether an attribute of a cookie makes the client forget it. What it cannot read it passes over
/// (RFC 6265, section 5.2.2), and so does this.
fn deletes(attribute: &[u8]) -> bool {
    let Some((name, value)) = super::cookie::halves(attribute) else {
        return false;
    };
    if name.eq_ignore_ascii_case(b"max-age") {
        let seconds = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        return seconds.is_some_and(|seconds| seconds <= 0);
    }
    // A date that has passed is the beginning of time, or comes with `Max-Age`.
    name.eq_ignore_ascii_case(b"expires") && value.windows(4).any(|year| year == b"1970")
}

/// A new session's id is in the `Location` of a response: `201 Created`, `Location: /session/<id>`.
///
/// Only of a 2xx: a redirect leads to sessions that exist. Only an absolute path or URL: what a relative
/// one means depends on the request. A `DELETE` of `/session/<id>` itself,
/// answered with 2xx, ends the session.
#[derive(Clone, Debug)]
pub struct Location(PathSegment);

impl Location {
    /// The segment of the path after `prefix`, as [`PathSegment::after`] reads it.
    pub fn after(prefix: &str) -> Result<Self, InvalidExtractor> {
        PathSegment::after(prefix).map(Self)
    }
}

impl ExtractNewSession for Location {
    fn new_session(&self, head: &Response) -> Result<Option<SessionId>, MalformedSession> {
        let location = head.headers.get(header::LOCATION);
        let Some(location) = location.filter(|_| head.status.is_success()) else {
            return Ok(None);
        };
        let location = location.as_bytes();
        // A query or a fragment may hold a URL as well, so what stands before `://` has to be a scheme.
        let scheme = location.windows(3).position(|part| part == b"://");
        let scheme = scheme.and_then(|end| location.get(..end));
        let is_of_a_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let is_url = scheme.is_some_and(|scheme| scheme.iter().all(is_of_a_scheme));
        if !is_url && !location.starts_with(b"/") {
            return Ok(None);
        }
        let location = Uri::try_from(location);
        let location = location.map_err(|_| MalformedSession::Unreadable)?;
        self.0.in_path(location.path())
    }

    fn ends_session(&self, head: &Head<'_>) -> bool {
        head.method == Method::DELETE && self.0.is_all_of(head.uri.path())
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the Location of a response, {}", self.0.describe()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, head, id};
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Response {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_header_gives_out_a_session_unless_the_response_is_an_error() {
        let mcp = ResponseHeader::mcp_session_id();
        let found =
            |status, value| mcp.new_session(&response(status, &[("mcp-session-id", value)]));
        assert_eq!(found(200, A), Ok(Some(id(A))));
        assert_eq!(found(202, "bsk_8fK2"), Ok(Some(id("bsk_8fK2"))));
        assert_eq!(found(404, A), Ok(None));
        assert_eq!(found(200, ""), Err(MalformedSession::NotAnId));
        assert_eq!(mcp.new_session(&response(200, &[])), Ok(None));
    }

    #[test]
    fn a_cookie_gives_out_a_session_unless_it_is_deleted() {
        let cookie = SetCookie::named("sid").unwrap();
        for (line, expected) in [
            (format!("sid={A}; Path=/; HttpOnly"), Some(id(A))),
            (format!("sid=\"{A}\"; Max-Age=3600"), Some(id(A))),
            (format!("other={A}"), None),
            ("sid=; Path=/".to_owned(), None),
            (format!("sid={A}; Max-Age=0"), None),
            (format!("sid={A}; max-age = -1"), None),
            (format!("sid={A}; Max-Age="), Some(id(A))),
            (
                format!("sid={A}; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
                None,
            ),
            (
                format!("sid={A}; Expires=Thu, 01 Jan 2099 00:00:00 GMT"),
                Some(id(A)),
            ),
        ] {
            let found = cookie.new_session(&response(302, &[("set-cookie", &line)]));
            assert_eq!(found, Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_location_gives_out_a_session_that_was_created_there() {
        let location = Location::after("/session").unwrap();
        for (status, value, expected) in [
            (201, format!("/session/{A}"), Some(id(A))),
            (
                201,
                format!("https://app.example.com/session/{A}/?x=1#y"),
                Some(id(A)),
            ),
            (
                201,
                "/session/the%20blue%20room".to_owned(),
                Some(id("the blue room")),
            ),
            (303, format!("/session/{A}"), None),
            (201, "/session/".to_owned(), None),
            (201, format!("/other/{A}"), None),
            (201, "https://app.example.com".to_owned(), None),
            (201, format!("session/{A}"), None),
            (201, "../elsewhere".to_owned(), None),
            (201, "elsewhere?next=https://a.example/".to_owned(), None),
            (
                201,
                format!("elsewhere#https://a.example/session/{A}"),
                None,
            ),
            (201, format!("/x/../session/{A}"), Some(id(A))),
        ] {
            let found = location.new_session(&response(status, &[("location", &value)]));
            assert_eq!(found, Ok(expected), "{status} {value}");
        }
    }

    #[test]
    fn a_delete_of_the_session_itself_ends_it() {
        let location = Location::after("/session").unwrap();
        let ends = |method: Method, path: String| {
            let mut head = head(&path, &[]);
            head.method = method;
            location.ends_session(&(&head).into())
        };
        assert!(ends(Method::DELETE, format!("/session/{A}")));
        assert!(ends(Method::DELETE, format!("/session/{A}/")));
        assert!(!ends(Method::DELETE, format!("/session/{A}/files/{B}")));
        assert!(!ends(Method::GET, format!("/session/{A}")));
        assert!(!ends(Method::DELETE, "/session".to_owned()));
        let mut with_header = head("/mcp", &[("mcp-session-id", A.as_bytes())]);
        with_header.method = Method::DELETE;
        assert!(ResponseHeader::mcp_session_id().ends_session(&(&with_header).into()));
        let named = ResponseHeader::named("mcp-session-id").unwrap();
        assert!(!named.ends_session(&(&with_header).into()));
    }
}
