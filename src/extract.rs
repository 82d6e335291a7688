//! Finding the session in a request.

use std::sync::Arc;

use http::request::Parts;

use crate::{MalformedSession, SessionId};

/// Where in a request the session id stands.
///
/// Closures are extractors too:
///
/// ```
/// use http::request::Parts;
/// use tower_ownership::{ExtractSession, MalformedSession, SessionId};
///
/// fn in_the_user_agent(head: &Parts) -> Result<Option<SessionId>, MalformedSession> {
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
/// - A request that names two different sessions is malformed.
#[diagnostic::on_unimplemented(
    note = "an extractor is a `PathSegment`, `Header`, `Cookie`, `Query`, `HostLabel`, `FirstOf` or a `Fn(&Parts)`"
)]
pub trait ExtractSession: Send + Sync + 'static {
    /// Reads the session id out of the head of a request.
    fn session(&self, head: &Parts) -> Result<Option<SessionId>, MalformedSession>;
}

impl<F> ExtractSession for F
where
    F: Fn(&Parts) -> Result<Option<SessionId>, MalformedSession> + Send + Sync + 'static,
{
    fn session(&self, head: &Parts) -> Result<Option<SessionId>, MalformedSession> {
        self(head)
    }
}

impl<T: ExtractSession + ?Sized> ExtractSession for Arc<T> {
    fn session(&self, head: &Parts) -> Result<Option<SessionId>, MalformedSession> {
        T::session(self, head)
    }
}
