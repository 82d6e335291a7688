//! The lease under real clocks.

use proptest::prelude::*;

use super::lease::{Lease, LeaseTtl, Term};

/// The clock of a machine: it runs a little fast or slow, tells whole milliseconds of which
/// `phase` had passed at first, and stands still for `stopped` at some time after.
#[derive(Clone, Copy, Debug)]
struct Guest {
    rate: f64,
    phase: f64,
    stopped: f64,
    stops_after: f64,
}

impl Guest {
    /// What it shows so long after that.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds of a few minutes"
    )]
    fn shows(self, later: f64) -> u64 {
        let standing = (later - self.stops_after).clamp(0.0, self.stopped);
        (1_000.0 + self.phase + (later - standing) * self.rate).floor() as u64
    }
}

/// Mostly at the edges of what is possible: in between, errors cancel each other out.
fn clock(longest_stop: u64) -> impl Strategy<Value = Guest> {
    let rate = prop_oneof![Just(0.9995), Just(1.0005), 0.9995..1.0005];
    let phase = prop_oneof![Just(0.0), Just(0.999), 0.0..0.999];
    #[expect(clippy::cast_precision_loss, reason = "a second at most")]
    let longest = longest_stop as f64;
    let stopped = prop_oneof![Just(0.0), Just(longest), 0.0..=longest];
    (rate, phase, stopped, 0.0..2_000.0).prop_map(|(rate, phase, stopped, stops_after)| Guest {
        rate,
        phase,
        stopped,
        stops_after,
    })
}

/// The TTL, the clocks of the old and the new owner, and by how much the old one's coarse clock lags.
fn cases() -> impl Strategy<Value = (u32, Guest, Guest, u64)> {
    let owned = prop_oneof![Just(1_000_u32), Just(5_000), 1_000_u32..60_000];
    owned.prop_flat_map(|owned| {
        let stop = (u64::from(owned) / 5).min(1_000);
        let margin = u64::from(owned) / 4;
        let lag = prop_oneof![Just(0), Just(margin), 0..=margin];
        (Just(owned), clock(stop), clock(0), lag)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The new owner's read is complete when the old one's is sent, which is the worst.
    #[test]
    fn no_two_clocks_within_the_slack_let_two_machines_serve(
        (owned, old, new, lag) in cases(),
    ) {
        let ttl = LeaseTtl::in_milliseconds(owned.into());
        let from = Term::new(2, new.shows(0.0)).serves_from(None, ttl);
        let serves = |later| {
            let exact = old.shows(later) - old.shows(0.0);
            let coarse = exact.saturating_sub(lag);
            let age = if ttl.is_clear_of(coarse, 0) { coarse } else { exact };
            Lease::of(0, 0, age, ttl).is_valid()
        };
        let mut last = f64::from(owned) + old.stopped + 100.0;
        while !serves(last) {
            last -= 0.05;
        }
        prop_assert!(new.shows(last) < from, "{old:?} {new:?} until {last}");
    }
}
