//! Numbers that look random and are the same in every run.

use uuid::Uuid;

/// `SplitMix64`: a few lines, and random enough to walk through a table with.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// From 0 to 1, without 1.
    pub fn fraction(&mut self) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            reason = "it has as many bits as the float"
        )]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// From 0 to `count`, without that.
    pub fn below(&mut self, count: u32) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "it is less than the count")]
        let below = (self.next() % u64::from(count)) as usize;
        below
    }

    /// A UUID of version 4, as a service makes them.
    pub fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// Ranks from 0 to `count - 1` of which rank n is drawn in proportion to 1 / (n + 1)^0.99: few
/// sessions are busy, most are not. (The way of Gray et al. 1994, as YCSB draws.)
#[derive(Debug)]
pub struct Zipf {
    count: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const SKEW: f64 = 0.99;

impl Zipf {
    pub fn new(count: u32) -> Self {
        let zeta = |count: u32| (1..=count).map(|n| f64::from(n).powf(-SKEW)).sum::<f64>();
        let (all, two) = (zeta(count), zeta(2));
        let count = f64::from(count);
        Self {
            count,
            zeta: all,
            alpha: 1.0 / (1.0 - SKEW),
            eta: (1.0 - (2.0 / count).powf(1.0 - SKEW)) / (1.0 - two / all),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative and less than the count"
    )]
    pub fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.fraction();
        let scaled = at * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(SKEW) {
            return 1;
        }
        let rank = self.count * (self.eta * at - self.eta + 1.0).powf(self.alpha);
        (rank as usize).min(self.count as usize - 1)
    }
}
