//! When a machine may make itself the owner.

use std::fmt;

use crate::Head;

use http::HeaderName;

/// Marks a probe of the fleet's own.
pub(crate) const PROBE: HeaderName = HeaderName::from_static("ownership-probe");

/// What becomes of a request for a session without an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUnassigned {
    /// It is refused with `session-starting`, since an orchestrator assigns sessions; or with
    /// `session-unassigned`, if it had an owner before that gave it up.
    #[default]
    Reject,
    /// The machine that it reaches becomes the owner, and serves it.
    Claim,
}

/// What becomes of a request for a session whose owner is [lost](crate::OwnerStatus::Lost).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnLostOwner {
    /// It is refused with `owner-lost`: the machine comes back, or an orchestrator reassigns it.
    #[default]
    Reject,
    /// The machine that it reaches becomes the owner. It serves when
    /// one [lease TTL](crate::Node::lease_ttl) has passed, and until then refuses with `session-moving`:
    /// a machine without heartbeats may still be serving.
    TakeOver,
}

/// Whether the request is marked as a probe.
pub(crate) fn is_probe(head: &Head<'_>) -> bool {
    head.headers.contains_key(PROBE)
}

/// Says of a request whether it may change who the owner is.
pub(crate) enum Rule {
    Always(bool),
    By(Box<dyn Fn(&Head<'_>) -> bool + Send + Sync>),
}

impl Rule {
    pub(crate) fn by(rule: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::By(Box::new(rule))
    }

    /// Never for a request that is marked as a probe: it asks who serves, and must not change that.
    /// The mark is not verified here. A client that forges it gets what a machine that claims
    /// nothing would answer.
    pub(crate) fn allows(&self, head: &Head<'_>) -> bool {
        let allowed = match self {
            Self::Always(allowed) => *allowed,
            Self::By(rule) => rule(head),
        };
        allowed && !is_probe(head)
    }

    /// Whether it may ever allow anything.
    pub(crate) fn needs_directory(&self) -> bool {
        !matches!(self, Self::Always(false))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always(allowed) => f.debug_tuple("Always").field(allowed).finish(),
            Self::By(_) => f.write_str("By(closure)"),
        }
    }
}
