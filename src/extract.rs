//! Finding the session in a request.
//!
//! All extractors fail closed: what an application behind the layer might read as a session is
//! never seen as absent. Where servers and frameworks differ in what they read, the extractors
//! read it in each of the ways, so a request can be refused that a lenient application would have
//! understood, and none is served by the wrong machine.

mod born;
mod cookie;
mod first_of;
mod header;
mod host;
mod mcp;
mod path;
mod query;
mod shape;
mod subprotocol;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderValue, request::Parts};

use crate::{Head, MalformedSession, SessionId};

pub use born::{ExtractNewSession, Location, ResponseHeader, SetCookie};
pub use cookie::Cookie;
pub use first_of::FirstOf;
pub use header::Header;
pub use host::HostLabel;
pub use mcp::{McpParam, McpTask};
pub use path::PathSegment;
pub use query::Query;
pub use subprotocol::Subprotocol;

/// Where in a request the session id stands.
///
/// Closures are extractors too:
///
/// ```
/// use tower_ownership::{ExtractSession, Head, SessionId, session::MalformedSession};
///
/// fn in_the_user_agent(head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
///     let Some(value) = head.headers.get("user-agent") else { return Ok(None) };
///     value.to_str().map_err(|_| MalformedSession::Unreadable)?.parse().map(Some)
/// }
/// # fn check(_: impl ExtractSession) {}
/// # check(in_the_user_agent);
/// ```
///
/// # Contract
/// - `Ok(None)` says that the request is for no session: it passes to the application unexamined,
///   on every machine. Where an id should stand and does not parse, say
///   [`Err`](MalformedSession), or the wrong machine serves what the application reads there.
/// - Two different sessions in the part that is read make the request
///   [malformed](MalformedSession::Ambiguous); one session written twice does not.
/// - After [`forget`](Self::forget) returned true, the application cannot read the session there any
///   more, in whichever way it reads. The request may pass as one without a session.
#[diagnostic::on_unimplemented(
    note = "an extractor is a `PathSegment`, `Header`, `Cookie`, `Query`, `HostLabel`, `FirstOf` or a `Fn(&Head<'_>)`"
)]
pub trait ExtractSession: Send + Sync + 'static {
    /// Reads the session id out of the head of a request.
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession>;

    /// Where it looks, in words for an operator, such as `the cookie sid`; the name of its type by
    /// default.
    fn describe(&self) -> Cow<'_, str> {
        std::any::type_name::<Self>().into()
    }

    /// The different sessions that the request names, without those that cannot be read; none by
    /// default, which refuses the request.
    ///
    /// Called only after [`session`](Self::session) returned
    /// [`Ambiguous`](MalformedSession::Ambiguous). The layer looks them up, at most
    /// [`MAX_CANDIDATES`] of them, has all but the living one [forgotten](Self::forget), and reads
    /// the request again. If two are alive, it is refused.
    #[allow(unused_variables, reason = "the default has no use for it")]
    fn candidates(&self, head: &Head<'_>) -> Vec<SessionId> {
        Vec::new()
    }

    /// Takes a session out of the request, everywhere it stands in the part that is read. `None`
    /// takes out all that stands where an id should and cannot be one. Returns whether anything was
    /// taken out; false by default, which refuses the request.
    ///
    /// Called only after a lookup found that the session `id` is unknown or over, or after
    /// [`session`](Self::session) returned an error. The layer reads the request again afterwards.
    #[allow(unused_variables, reason = "the default has no use for it")]
    fn forget(&self, head: &mut Parts, id: Option<&SessionId>) -> bool {
        false
    }

    /// The values of `Set-Cookie` that make the client forget what [`session`](Self::session) reads
    /// in this request; none by default.
    ///
    /// They are added to refusals with `session-unknown`, `session-over` and `session-absent`, and
    /// to those of a value that cannot be an id.
    #[allow(unused_variables, reason = "the default has no use for it")]
    fn expiry(&self, head: &Head<'_>) -> &[HeaderValue] {
        &[]
    }
}

/// The most different sessions of one request that are looked up. A request that names more of
/// them in one place is refused with `session-malformed`.
pub const MAX_CANDIDATES: usize = 4;

impl<F> ExtractSession for F
where
    F: Fn(&Head<'_>) -> Result<Option<SessionId>, MalformedSession> + Send + Sync + 'static,
{
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        self(head)
    }
}

impl<T: ExtractSession + ?Sized> ExtractSession for Arc<T> {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        T::session(self, head)
    }

    fn describe(&self) -> Cow<'_, str> {
        T::describe(self)
    }

    fn candidates(&self, head: &Head<'_>) -> Vec<SessionId> {
        T::candidates(self, head)
    }

    fn forget(&self, head: &mut Parts, id: Option<&SessionId>) -> bool {
        T::forget(self, head, id)
    }

    fn expiry(&self, head: &Head<'_>) -> &[HeaderValue] {
        T::expiry(self, head)
    }
}

/// An extractor was told to look in a place that no request can have.
///
/// The constructors return it, and not the builder later, because the mistake is in their
/// argument; and it is an error because such an extractor would never find a session, which lets
/// every request pass unexamined.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {expected}")]
pub struct InvalidExtractor {
    given: String,
    expected: &'static str,
}

impl InvalidExtractor {
    fn new(given: &str, expected: &'static str) -> Self {
        Self {
            given: given.to_owned(),
            expected,
        }
    }
}

/// What all readings of one request say together.
#[derive(Default)]
struct Agreement(Option<SessionId>);

impl Agreement {
    fn note(&mut self, id: SessionId) -> Result<(), MalformedSession> {
        match &self.0 {
            Some(other) if *other != id => Err(MalformedSession::Ambiguous),
            Some(_) => Ok(()),
            None => {
                self.0 = Some(id);
                Ok(())
            }
        }
    }

    fn note_any(&mut self, id: Option<SessionId>) -> Result<(), MalformedSession> {
        id.map_or(Ok(()), |id| self.note(id))
    }
}

/// Takes percent-encoding off, once. Sequences that are none stay as they are: no id has a `%`.
fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    // Most texts have none, and this search is several times faster than the decoder's.
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    percent_encoding::percent_decode(text).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const A: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
    pub(crate) const B: &str = "0c9e6679-7425-40de-944b-e07fc1f90ae7";

    pub(crate) fn id(text: &str) -> SessionId {
        text.parse().unwrap()
    }

    /// The head of a request for `target` with these header lines.
    pub(crate) fn head(target: &str, headers: &[(&str, &[u8])]) -> Parts {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_wrong_constant_is_reported_in_words() {
        let error = PathSegment::after("/session/{id}").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""/session/{id}" is not the part of a path before the session id, such as `/session`: segments of unreserved characters, without percent-encoding, `.` and `..`"#
        );
    }

    fn of_an_application(head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        head.uri.query().map(SessionId::parse).transpose()
    }

    #[test]
    fn an_extractor_says_where_it_looks() {
        let places = FirstOf::new(PathSegment::after("/session").unwrap())
            .or(Arc::new(Cookie::named("sid").unwrap()))
            .or(HostLabel::under("preview.example.com").unwrap());
        assert_eq!(
            places.describe(),
            "the path segment after /session/, or else the cookie sid, or else the host's label \
             before .preview.example.com"
        );
        assert_eq!(
            Header::mcp_session_id().describe(),
            "the header mcp-session-id"
        );
        assert_eq!(
            Query::named("s").unwrap().describe(),
            "the query parameter s"
        );
        assert!(of_an_application.describe().ends_with("of_an_application"));
    }
}

crate::observe::debug_as_chain!(InvalidExtractor);
