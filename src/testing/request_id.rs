//! `Fly-Request-Id`: a ULID, a dash, the region of the edge (Fly docs: App configuration).

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A source of ids that are unique within one edge.
#[derive(Debug, Default)]
pub(super) struct RequestIds {
    /// Ids of two edges should differ too; the standard library's hash seed is enough for that.
    seed: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    pub(super) fn next(&self, region: &str) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let noise = self.seed.hash_one(count);
        // 48 bits of milliseconds, 32 bits of noise, 48 bits of the count: a ULID's 128.
        let id = u128::from(micros_since_1970() / 1_000) << 80
            | u128::from(noise >> 32) << 48
            | u128::from(count & 0xFFFF_FFFF_FFFF);
        let digits = (0..26).rev().map(|place| {
            let digit = usize::try_from(id >> (5 * place) & 31).unwrap_or_default();
            char::from(CROCKFORD[digit])
        });
        digits.chain(['-']).chain(region.chars()).collect()
    }
}

/// The wall clock, as `t` of `fly-replay-src` shows it.
pub(super) fn micros_since_1970() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
