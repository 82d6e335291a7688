//! Turns of phrase that several sentences share.

use std::time::Duration;

/// Milliseconds from which reading a row, on a connection that is open already, is slow: the layer
/// gives a lookup two seconds in all, and a read by key takes milliseconds.
pub(super) const SLOW: u64 = 300;

/// Seconds in words, at most two of them: `3m 20s`. Public for the command.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if !(0.0..1e15).contains(&seconds) {
        return "a moment".to_owned();
    }
    if seconds < 1.0 {
        return "less than a second".to_owned();
    }
    // In range, as was just seen.
    let whole = Duration::try_from_secs_f64(seconds.trunc()).unwrap_or_default();
    let words = humantime::format_duration(whole).to_string();
    words.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
