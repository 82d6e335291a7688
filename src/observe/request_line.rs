//! What a request is called by others, so that what several machines log of it can be joined.

use std::fmt::Write as _;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::{Head, SessionId};

/// What a request is called by others: the proxy, the client's tracing, the other machines that it came by.
///
/// Made only for an event that is logged, for a span, or for an [observer](super::Observe). Nothing of it
/// is trusted: a client can send any of it.
#[derive(Clone, Debug)]
pub struct RequestLine {
    request_id: Option<String>,
    traceparent: Option<String>,
    method: String,
    path: String,
}

/// The id of a proxy in front; the first that is there is taken.
const REQUEST_IDS: [&str; 2] = ["fly-request-id", "x-request-id"];

const TRACEPARENT: &str = "traceparent";

/// The headers that are read.
#[cfg(feature = "forward")]
pub(crate) const FIELDS: [&str; 3] = [REQUEST_IDS[0], REQUEST_IDS[1], TRACEPARENT];

/// Longer ids are none that a proxy makes.
const LONGEST_ID: usize = 128;

/// Methods that are registered have at most 17 characters.
const LONGEST_METHOD: usize = 32;

/// Nothing longer of a path is shown.
const LONGEST_PATH: usize = 200;

/// A segment of a path that is shorter is more likely to be the name of a page than a secret.
const SECRET: usize = 16;

impl RequestLine {
    #[cold]
    pub(crate) fn of(head: &Head<'_>, session: Option<&SessionId>) -> Self {
        let ids = REQUEST_IDS.iter();
        let mut ids = ids.filter_map(|name| text(head.headers, name));
        let traceparent = text(head.headers, TRACEPARENT);
        Self {
            request_id: ids.find(|id| id.len() <= LONGEST_ID).map(str::to_owned),
            traceparent: traceparent
                .filter(|it| is_traceparent(it))
                .map(str::to_owned),
            method: head.method.as_str().chars().take(LONGEST_METHOD).collect(),
            path: shown(head.uri.path(), session),
        }
    }

    /// The id that the proxy in front gave the request: `Fly-Request-Id`, or else `X-Request-Id`. Up to 128
    /// visible characters of ASCII; another value is left out.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The request's place in a trace (<https://www.w3.org/TR/trace-context/#traceparent-header>), where it is
    /// well-formed.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// The method, up to 32 characters of it.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path without its query, up to 200 characters of it. The session's id is cut to its
    /// [end](SessionId::short), and so is every segment from 16 characters on, which may be an id.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A header of visible ASCII, without spaces.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some(value)
}

/// Two, 32, 16 and 2 hexadecimal digits in lower case. A later version may append more, which is not read.
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let is_hex = |part: &str| {
        part.bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.iter().all(|it| is_hex(it))
}

/// The path with its session ids cut.
pub(super) fn shown(path: &str, session: Option<&SessionId>) -> String {
    let mut shown = String::new();
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        let id = SessionId::parse(&percent_decode_str(segment).decode_utf8_lossy());
        match id {
            Ok(id) if segment.len() >= SECRET || Some(&id) == session => {
                let _ = write!(shown, "…{}", id.short());
            }
            // Too long, or not a text: it is cut all the same.
            Err(_) if segment.len() >= SECRET => shown.push('…'),
            Ok(_) | Err(_) => shown.push_str(segment),
        }
        if shown.len() > LONGEST_PATH {
            break;
        }
    }
    shown.chars().take(LONGEST_PATH).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn line(fields: &[(&str, &str)], target: &str) -> RequestLine {
        let mut request = Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let session = SessionId::parse("lobby").unwrap();
        RequestLine::of(&Head::from(&request), Some(&session))
    }

    #[test]
    fn the_id_of_the_proxy_comes_first() {
        let both = [("x-request-id", "x"), ("fly-request-id", "01H-fra")];
        assert_eq!(line(&both, "/").request_id(), Some("01H-fra"));
        assert_eq!(line(&both[..1], "/").request_id(), Some("x"));
        assert_eq!(line(&[], "/").request_id(), None);
    }

    #[test]
    fn what_could_break_a_line_or_fill_a_disk_is_left_out() {
        let long = "i".repeat(LONGEST_ID + 1);
        for id in ["a b", "", "tab\tbed", "ä", &long] {
            let fields = [("fly-request-id", id), ("x-request-id", "x")];
            assert_eq!(line(&fields, "/").request_id(), Some("x"), "{id}");
        }
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            line(&[("traceparent", good)], "/").traceparent(),
            Some(good)
        );
        for bad in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "garbage",
        ] {
            assert_eq!(
                line(&[("traceparent", bad)], "/").traceparent(),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_path_shows_neither_its_query_nor_an_id() {
        let path = |target: &str| line(&[], target).path().to_owned();
        assert_eq!(
            path("/session/lobby/files?token=secret"),
            "/session/…bby/files"
        );
        assert_eq!(path("/l%6Fbby"), "/…bby");
        let id = "807efe44-d63e-4a24-88f5-dbe96112830a";
        assert_eq!(path(&format!("/a/{id}/b")), "/a/…dbe96112830a/b");
        assert_eq!(path("https://h/x"), "/x");
        assert!(path(&format!("/{}", "a/".repeat(4_000))).chars().count() <= LONGEST_PATH);
        assert_eq!(path(&format!("/{}", "b".repeat(4_000))), "/…");
    }

    proptest! {
        #[test]
        fn no_head_panics_or_passes_a_bound(value in "\\PC{0,300}", path in "(/[a-z%ä]{0,40}){0,30}") {
            let Ok(value) = http::HeaderValue::from_str(&value) else { return Ok(()) };
            let Ok(request) = Request::get(path)
                .header("fly-request-id", value.clone())
                .header("traceparent", value)
                .body(()) else { return Ok(()) };
            let line = RequestLine::of(&Head::from(&request), None);
            prop_assert!(line.request_id().is_none_or(|id| id.len() <= LONGEST_ID));
            prop_assert!(line.path().chars().count() <= LONGEST_PATH);
        }
    }
}
