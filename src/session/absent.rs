//! What a handler may say of its session.

/// The application's word that it holds no such session although this machine owns it.
///
/// A restart loses what was in memory while the directory's row stays as it was. Put this marker
/// into a response's extensions and the layer answers `410 session-absent` in its place, in the
/// form that the client reads. With axum: `Extension(SessionAbsent)` as the handler's response or,
/// with the feature `axum`, `SessionAbsent` itself, also as an error: `Result<_, SessionAbsent>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a marker holds nothing, now or later"
)]
pub struct SessionAbsent;
