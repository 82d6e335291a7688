//! How long, how fast, and from which seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::At;

const SECONDS: &str = "CHAOS_SECONDS";
const SEED: &str = "CHAOS_SEED";
const SEEDS: &str = "CHAOS_SEEDS";
const HANDOVER: &str = "CHAOS_HANDOVER";

/// How long a run is by default, and at the least.
const DEFAULT_SECONDS: u64 = 60;
const LEAST_SECONDS: u64 = 20;

/// How a request gets from the machine that it lands on to the session's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The edge replays it.
    Edge,
    /// The machine carries it. The edge lets requests land on machines, and no more.
    Forward,
}

impl Handover {
    const ALL: [Self; 2] = [Self::Edge, Self::Forward];

    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Forward => "forward",
        }
    }
}

/// What a run is configured with, the bounds that follow from it, and what a busy host may add.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    pub handover: Handover,
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
    /// How long the edge tries to reach the target of a replay: what `FlyReplay` writes. Or how long a
    /// machine waits for the owner's answer.
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
            handover: Handover::Edge,
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

    /// Reads `CHAOS_SECONDS`, either `CHAOS_SEED` or a range of seeds in `CHAOS_SEEDS`, and
    /// `CHAOS_HANDOVER`, without which each seed runs with each of them.
    pub fn from_environment() -> Vec<Self> {
        let seconds = number(SECONDS).unwrap_or(DEFAULT_SECONDS);
        assert!(
            seconds >= LEAST_SECONDS,
            "{SECONDS} is {seconds}: in less than {LEAST_SECONDS} too little happens to show anything"
        );
        let length = Duration::from_secs(seconds);
        let seeds = match (text(SEEDS), number(SEED)) {
            (Some(_), Some(_)) => panic!("set either {SEED} or {SEEDS}"),
            (Some(seeds), None) => range(&seeds),
            (None, seed) => {
                let seed = seed.unwrap_or_else(|| At::now().0);
                seed..=seed
            }
        };
        let handovers = handovers();
        let of = |seed| {
            let each = handovers.iter();
            each.map(move |handover| Self::new(seed, length).with(*handover))
        };
        seeds.flat_map(of).collect()
    }

    pub fn with(self, handover: Handover) -> Self {
        Self { handover, ..self }
    }

    /// Whether machines carry requests to owners.
    pub fn forwards(&self) -> bool {
        self.handover == Handover::Forward
    }

    /// How to see this run again, as far as real time allows.
    pub fn command(&self) -> String {
        format!(
            "{HANDOVER}={} {SEED}={} {SECONDS}={} cargo test --all-features --test chaos no_fault",
            self.handover.name(),
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

fn handovers() -> Vec<Handover> {
    let Some(name) = text(HANDOVER) else {
        return Handover::ALL.to_vec();
    };
    let named = Handover::ALL.into_iter().find(|one| one.name() == name);
    vec![named.unwrap_or_else(|| panic!("{HANDOVER} is {name:?}, neither edge nor forward"))]
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
