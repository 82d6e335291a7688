//! What all forms share.

use std::time::Duration;

/// The machines behind an answer, as far as its reader may know them.
#[derive(Clone, Copy, Default)]
pub(super) struct Internals<'a> {
    pub(super) machine: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
}

/// Seconds as `Retry-After` counts them, rounded up: too early is worse than too late.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
}
