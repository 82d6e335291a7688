//! What a handler is told of its session, and what it may say of it.

use super::Session;

/// Proof, in a request's extensions, that this machine owns the request's session.
///
/// Only the layer puts it there, so a handler that asks for it cannot be reached by a request for
/// somebody else's session. It derefs to the [`Session`] that the verdict was made from.
#[derive(Clone, Debug)]
pub struct Owned(Session);

impl Owned {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }
}

impl std::ops::Deref for Owned {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// The application's word that it holds no such session although this machine owns it.
///
/// A restart loses what was in memory while the directory's row stays as it was. Put this marker
/// into a response's extensions and the layer answers `410 session-absent` in its place, in the
/// form that the client reads. With axum: `Extension(SessionAbsent)` as the handler's response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a marker holds nothing, now or later"
)]
pub struct SessionAbsent;
