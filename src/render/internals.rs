//! What all forms share.

use std::time::Duration;

/// The machines behind an answer, as far as its reader may know them.
#[derive(Clone, Copy, Default)]
pub(super) struct Internals<'a> {
    pub(super) machine: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
}

/// Seconds as `Retry-After` counts them. A rejection's whole seconds are long enough; what it has on top
/// spreads its clients, and would add up to a second to each if it were rounded up.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
}
