//! What a machine's health is made of.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    HealthCheck, HealthService,
    report::{Health, Named},
};
use crate::{SessionId, ownership::Sessions, policy::Policy};

/// Configures a [`HealthService`]. Made by [`OwnershipLayer::health`](crate::OwnershipLayer::health).
#[must_use = "a builder does nothing until it is built"]
pub struct HealthBuilder {
    sessions: Arc<Sessions>,
    path_prefix: Arc<str>,
    max_age: Duration,
    timeout: Duration,
    canary: SessionId,
    directory_is_required: bool,
    shows_machine: bool,
    checks: Vec<Named>,
}

impl HealthBuilder {
    /// Default for [`max_age`](Self::max_age).
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(10);

    /// Default for [`timeout`](Self::timeout): shorter than what a probe of Kubernetes (1 s) or
    /// Fly.io waits for an answer.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(800);

    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            sessions: Arc::clone(&policy.sessions),
            path_prefix: "".into(),
            max_age: Self::DEFAULT_MAX_AGE,
            timeout: Self::DEFAULT_TIMEOUT,
            canary: policy.ids.sample(),
            directory_is_required: true,
            shows_machine: false,
            checks: Vec::new(),
        }
    }

    /// Sets what stands before `/live` and `/ready` in the paths that the service sees, such as
    /// `/health`; nothing by default, which is right where the router takes the prefix off.
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        let inner = prefix.trim_matches('/');
        self.path_prefix = if inner.is_empty() {
            "".into()
        } else {
            format!("/{inner}").into()
        };
        self
    }

    /// Maximum age of the directory's last answer, to any request, before it is asked;
    /// [10 s](Self::DEFAULT_MAX_AGE) by default.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The longest wait for the directory, and never longer than the layer's lookup timeout;
    /// [0.8 s](Self::DEFAULT_TIMEOUT) by default. It should be shorter than the prober's own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The session that the directory is asked for; the nil UUID by default. It need not be there:
    /// an answer is an answer.
    pub fn canary(mut self, session: SessionId) -> Self {
        self.canary = session;
        self
    }

    /// Whether a machine is ready although the directory does not answer; it is not by default. It
    /// is reported either way.
    pub fn directory_optional(mut self, optional: bool) -> Self {
        self.directory_is_required = !optional;
        self
    }

    /// Whether the page at `/` tells this machine's id; it does not by default.
    pub fn show_machine(mut self, show: bool) -> Self {
        self.shows_machine = show;
        self
    }

    /// Adds a check that the machine needs to be ready: its heartbeat, for one.
    pub fn check(self, name: impl Into<String>, check: impl HealthCheck) -> Self {
        self.with(name.into(), true, Box::new(check))
    }

    /// Adds a check that is shown, and without which the machine is ready all the same: a change
    /// feed, for one, since without it the freshness bounds still hold.
    pub fn optional_check(self, name: impl Into<String>, check: impl HealthCheck) -> Self {
        self.with(name.into(), false, Box::new(check))
    }

    fn with(mut self, name: String, required: bool, check: Box<dyn HealthCheck>) -> Self {
        self.checks.push(Named {
            name,
            required,
            check,
        });
        self
    }

    /// Builds the service.
    #[must_use]
    pub fn build(self) -> HealthService {
        let health = Health {
            timeout: self.timeout.min(self.sessions.cache.timeout()),
            sessions: self.sessions,
            max_age: self.max_age,
            canary: self.canary,
            directory_is_required: self.directory_is_required,
            shows_machine: self.shows_machine,
            checks: self.checks,
        };
        HealthService {
            health: Arc::new(health),
            path_prefix: self.path_prefix,
        }
    }
}

impl fmt::Debug for HealthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<&str> = self.checks.iter().map(|named| &*named.name).collect();
        f.debug_struct("HealthBuilder")
            .field("checks", &checks)
            .finish_non_exhaustive()
    }
}
