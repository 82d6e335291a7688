//! The session of the Model Context Protocol, where its routing headers tell it.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderName;

use super::{Agreement, ExtractSession, InvalidExtractor};
use crate::{Head, MalformedSession, SessionId};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The session id is a parameter of a tool, which clients repeat in the header `Mcp-Param-<Name>`.
///
/// Since the protocol's revision 2026-07-28 a server that keeps state hands out a handle, and the
/// client passes it as an argument of later calls. A parameter that the tool's schema marks with
/// `x-mcp-header` also stands in a header, for whatever routes the request (SEP-2243).
///
/// ```
/// let handle = tower_ownership::extract::McpParam::named("Browser-Id")?;
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// No such header is no session. A value in the form `=?base64?…?=` is decoded. Several headers of the
/// name have to hold the same id. The protocol has the server compare the header with the body; this
/// layer reads the header only.
#[derive(Clone, Debug)]
pub struct McpParam {
    header: HeaderName,
}

impl McpParam {
    /// The parameter whose header is `Mcp-Param-<name>`.
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        let is_named = !name.is_empty();
        HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes())
            .ok()
            .filter(|_| is_named)
            .map(|header| Self { header })
            .ok_or_else(|| InvalidExtractor::new(name, "the end of a header's name"))
    }
}

impl ExtractSession for McpParam {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        in_header(head, &self.header)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the header {}", self.header).into()
    }
}

/// The session id is the id of an MCP task: the header `Mcp-Name` of `tasks/get`, `tasks/update` and
/// `tasks/cancel` (SEP-2663).
///
/// The same header of other methods names a tool, a prompt or a resource, and no session.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct McpTask;

impl ExtractSession for McpTask {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let mut methods = head.headers.get_all(METHOD).iter();
        if methods.any(|method| method.as_bytes().trim_ascii().starts_with(b"tasks/")) {
            in_header(head, &NAME)
        } else {
            Ok(None)
        }
    }

    fn describe(&self) -> Cow<'_, str> {
        "the header mcp-name of tasks".into()
    }
}

fn in_header(head: &Head<'_>, name: &HeaderName) -> Result<Option<SessionId>, MalformedSession> {
    let mut agreed = Agreement::default();
    for value in head.headers.get_all(name) {
        agreed.note(SessionId::parse_bytes(&decoded(
            value.as_bytes().trim_ascii(),
        )?)?)?;
    }
    Ok(agreed.0)
}

/// The value without the protocol's wrapping of what no header can hold.
fn decoded(value: &[u8]) -> Result<Cow<'_, [u8]>, MalformedSession> {
    let wrapped = value
        .strip_prefix(b"=?base64?")
        .and_then(|rest| rest.strip_suffix(b"?="));
    match wrapped {
        None => Ok(Cow::Borrowed(value)),
        Some(text) => STANDARD
            .decode(text)
            .map(Cow::Owned)
            .map_err(|_| MalformedSession::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{head, id};
    use super::*;

    fn param(value: &str) -> Result<Option<SessionId>, MalformedSession> {
        let extractor = McpParam::named("Browser-Id").unwrap();
        extractor.session(&(&head("/mcp", &[("mcp-param-browser-id", value.as_bytes())])).into())
    }

    #[test]
    fn the_parameter_is_the_session() {
        assert_eq!(param("bsk_8fK2"), Ok(Some(id("bsk_8fK2"))));
        assert_eq!(param("=?base64?Wm/Dqw==?="), Ok(Some(id("Zo\u{eb}"))));
        let extractor = McpParam::named("Browser-Id").unwrap();
        assert_eq!(extractor.session(&(&head("/mcp", &[])).into()), Ok(None));
    }

    #[test]
    fn a_wrapping_that_cannot_be_taken_off_is_unreadable() {
        for value in ["=?base64?!?=", "=?base64?/w==?="] {
            assert_eq!(param(value), Err(MalformedSession::Unreadable), "{value}");
        }
        assert!(McpParam::named("").is_err());
        assert!(McpParam::named("a b").is_err());
    }

    #[test]
    fn only_the_name_of_a_task_is_a_session() {
        let found = |headers: &[(&str, &[u8])]| McpTask.session(&(&head("/mcp", headers)).into());
        let name = ("mcp-name", &b"task-7"[..]);
        for (method, expected) in [
            ("tasks/get", Some(id("task-7"))),
            ("tasks/cancel", Some(id("task-7"))),
            ("tools/call", None),
            ("prompts/get", None),
        ] {
            let method = ("mcp-method", method.as_bytes());
            assert_eq!(found(&[method, name]), Ok(expected));
        }
        assert_eq!(found(&[name]), Ok(None));
        assert_eq!(found(&[("mcp-method", b"tasks/get")]), Ok(None));
    }
}
