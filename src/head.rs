//! The head of a request.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version, request::Parts};

/// The head of a request, borrowed: what extractors, guards and replays read.
///
/// Not [`http::request::Parts`], which a request has to be taken apart for. That moves some 240 bytes
/// out of it and back, for every request.
///
/// ```
/// use http::Request;
/// use tower_ownership::{ExtractSession, Head, Header};
///
/// let request = Request::get("/").header("mcp-session-id", "lobby").body(())?;
/// let session = Header::mcp_session_id().session(&Head::from(&request))?;
/// assert_eq!(session, Some("lobby".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target.
    pub uri: &'a Uri,
    /// The version of HTTP.
    pub version: Version,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// What the layers outside of this one added.
    pub extensions: &'a Extensions,
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    #[inline]
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    #[inline]
    fn from(head: &'a Parts) -> Self {
        Self {
            method: &head.method,
            uri: &head.uri,
            version: head.version,
            headers: &head.headers,
            extensions: &head.extensions,
        }
    }
}

impl<'a> From<&'a mut Parts> for Head<'a> {
    fn from(head: &'a mut Parts) -> Self {
        Self::from(&*head)
    }
}
