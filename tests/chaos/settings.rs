//! How long, how fast, and from which seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::At;

const SECONDS: &str = "CHAOS_SECONDS";
const SEED: &str = "CHAOS_SEED";
const SEEDS: &str = "CHAOS_SEEDS";

/// How long a run is by default, and at the least.
const DEFAULT_SECONDS: u64 = 120;
const LEAST_SECONDS: u64 = 20;

/// What a run is configured with, the bounds that follow from it, and what a busy host may add.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    /// From the first request to the last fault.
    pub length: Duration,
    /// F.
    pub freshness: Duration,
    pub beat: Duration,
    pub lost_after: Duration,
    /// How long a machine drains.
    pub drain: Duration,
    /// For how long it answers after that.
    pub linger: Duration,
    /// The layer's time limit of a lookup, and of a claim.
    pub lookup: Duration,
    /// How long the edge tries to reach the target of a replay: what `FlyReplay` writes.
    pub replay: Duration,
    /// How long an "elsewhere" hint is relied on.
    pub hint: Duration,
    /// What bounds are longer by, because two cores do the work of ten machines here.
    pub slack: Duration,
}

impl Settings {
    /// Short bounds, so that a run holds many lives of an ownership.
    pub fn new(seed: u64, length: Duration) -> Self {
        Self {
            seed,
            length,
            freshness: Duration::from_secs(1),
            beat: Duration::from_millis(500),
            lost_after: Duration::from_secs(3),
            drain: Duration::from_secs(3),
            linger: Duration::from_millis(600),
            lookup: Duration::from_secs(2),
            replay: Duration::from_secs(5),
            hint: Duration::from_secs(30),
            slack: Duration::from_secs(5),
        }
    }

    /// Reads `CHAOS_SECONDS`, and either `CHAOS_SEED` or a range of seeds in `CHAOS_SEEDS`.
    pub fn from_environment() -> Vec<Self> {
        let seconds = number(SECONDS).unwrap_or(DEFAULT_SECONDS);
        assert!(
            seconds >= LEAST_SECONDS,
            "{SECONDS} is {seconds}: in less than {LEAST_SECONDS} too little happens to show anything"
        );
        let length = Duration::from_secs(seconds);
        let of = |seed| Self::new(seed, length);
        match (text(SEEDS), number(SEED)) {
            (Some(_), Some(_)) => panic!("set either {SEED} or {SEEDS}"),
            (Some(seeds), None) => range(&seeds).map(of).collect(),
            (None, seed) => vec![of(seed.unwrap_or_else(|| At::now().0))],
        }
    }

    /// How to see this run again, as far as real time allows.
    pub fn command(&self) -> String {
        format!(
            "{SEED}={} {SECONDS}={} cargo test --all-features --test chaos",
            self.seed,
            self.length.as_secs()
        )
    }

    /// For how long a fault can be the reason of a refusal after it has ended: its machine has to
    /// be found lost, the next one waits for F, and a replay may be trying the one before.
    pub fn heals_within(&self) -> Duration {
        self.lost_after + self.freshness + self.replay + self.slack
    }

    /// How much later than after its silence a machine that died is found, if beats could not be
    /// written meanwhile: until another machine has beaten for so long without a gap.
    pub fn judges_again_within(&self) -> Duration {
        self.lost_after + 3 * self.beat
    }

    /// For how long a machine may still fail to look up after it reaches the database again.
    pub fn recovers_within(&self) -> Duration {
        self.lookup + self.freshness + Duration::from_secs(1)
    }

    /// How long a request may take if nothing is stopped or cut: three machines see it at most, each
    /// looks up and claims, and one replay may run into its timeout.
    pub fn answers_within(&self) -> Duration {
        3 * 2 * self.lookup + self.replay + self.slack
    }

    /// How long the older of two processes may go on after both run: until its next beat has come
    /// back.
    pub fn notices_a_twin_within(&self) -> Duration {
        2 * self.beat + Duration::from_secs(2)
    }
}

fn number(name: &str) -> Option<u64> {
    let value = text(name)?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {value:?}, which is no whole number")))
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `1-20`.
fn range(seeds: &str) -> RangeInclusive<u64> {
    let bounds = seeds.split_once('-');
    let bounds = bounds.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let Some((from, to)) = bounds.filter(|(from, to)| from <= to) else {
        panic!("{SEEDS} is {seeds:?}, which is no range such as 1-20");
    };
    from..=to
}

#[test]
fn a_range_of_seeds_holds_both_its_ends() {
    assert_eq!(range("3-5").collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(range("7-7").count(), 1);
}
