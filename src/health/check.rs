//! One thing that can be well or not.

use std::{borrow::Cow, sync::Arc, time::Duration};

/// Says how something is, from what is known already: it must not wait.
///
/// Closures are checks, too. One that panics counts as failing.
pub trait HealthCheck: Send + Sync + 'static {
    /// How it is now.
    fn check(&self) -> Check;
}

impl<F: Fn() -> Check + Send + Sync + 'static> HealthCheck for F {
    fn check(&self) -> Check {
        self()
    }
}

impl<T: HealthCheck + ?Sized> HealthCheck for Arc<T> {
    fn check(&self) -> Check {
        T::check(self)
    }
}

/// How something is. The health pages show the reason, so it should name no secret and no session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Check {
    pub(super) ok: bool,
    pub(super) reason: Cow<'static, str>,
    pub(super) age: Option<Duration>,
}

impl Check {
    /// It is well, and `reason` says how that shows.
    pub fn ok(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            ok: true,
            reason: reason.into(),
            age: None,
        }
    }

    /// It is not, and `reason` says why.
    pub fn failing(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            ok: false,
            ..Self::ok(reason)
        }
    }

    /// Tells how long ago that was learnt, or since when it is so.
    pub fn with_age(self, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..self
        }
    }

    /// Whether it is well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// How that shows, or why it is not.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long ago that was learnt, or since when it is so.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }
}
