//! What is counted. The recorder is the application's; without the feature `metrics` there is none,
//! and all of this has no size and does nothing.
//!
//! What a request touches is registered when the layer is built, with every label that it may have:
//! a handle is then one virtual call away from the recorder's own counter. No label has a value
//! that a client or the directory could choose.

use crate::{Arrival, NodeState, RejectionCode, Source, Verdict};

#[cfg(feature = "membership")]
mod beats;
#[cfg(feature = "membership")]
mod feed;
#[cfg(not(feature = "metrics"))]
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "some of it is for PostgreSQL")
)]
mod idle;
#[cfg(feature = "metrics")]
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "some of it is for PostgreSQL")
)]
mod live;
mod lookups;
pub(crate) mod names;
#[cfg(feature = "postgres")]
mod postgres;

#[cfg(not(feature = "metrics"))]
use idle as kept;
#[cfg(feature = "metrics")]
use live as kept;

#[cfg(feature = "membership")]
pub(crate) use beats::{Beats, owns};
#[cfg(feature = "membership")]
pub(crate) use feed::Feed;
pub(crate) use kept::{Stopwatch, describe};
pub(crate) use lookups::{Lookups, Outcome};
#[cfg(feature = "postgres")]
pub(crate) use postgres::{audited, queried};

use kept::{Counter, Each, Gauge};

/// What became of requests.
pub(crate) struct Verdicts {
    /// By verdict, and then by source. `None` for what does not occur.
    requests: [[Option<Counter>; SOURCES.len()]; VERDICTS],
    replayed: Each<Counter>,
    held_back: Each<Counter>,
}

/// Pass, replay, claim, and a rejection for each code.
const VERDICTS: usize = 3 + RejectionCode::ALL.len();

/// In the order of [`column`].
const SOURCES: [&str; 4] = ["none", "lookup", "cache", "stale"];

fn row(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Replay => 1,
        Verdict::Claim => 2,
        Verdict::Reject(code) => 3 + code as usize,
    }
}

fn column(source: Option<Source>) -> usize {
    match source {
        None => 0,
        Some(Source::Lookup) => 1,
        Some(Source::Cache) => 2,
        Some(Source::Stale) => 3,
    }
}

/// Whether requests end like this. What does not is registered should it ever happen, and would
/// otherwise only make the recorder's pages longer.
fn occurs(verdict: Verdict, source: Option<Source>) -> bool {
    match verdict {
        Verdict::Pass => true,
        // Another verdict follows; and this one is an answer that the proxy turns into a replay.
        Verdict::Claim | Verdict::Reject(RejectionCode::ReplayNotHonoured) => false,
        Verdict::Reject(RejectionCode::SessionMalformed | RejectionCode::SessionAbsent) => {
            source.is_none()
        }
        Verdict::Reject(RejectionCode::LookupUnavailable) => source == Some(Source::Lookup),
        Verdict::Reject(RejectionCode::SessionUnknown | RejectionCode::DirectoryCorrupt) => {
            matches!(source, Some(Source::Lookup | Source::Cache))
        }
        Verdict::Replay | Verdict::Reject(_) => source.is_some(),
    }
}

fn requests(verdict: Verdict, source: Option<Source>) -> Counter {
    let code = match verdict {
        Verdict::Reject(code) => code.as_str(),
        _ => "",
    };
    let source = SOURCES.get(column(source)).copied().unwrap_or_default();
    Counter::new(
        &names::REQUESTS,
        &[
            ("verdict", verdict.as_str()),
            ("code", code),
            ("source", source),
        ],
    )
}

impl Verdicts {
    pub(crate) fn new() -> Self {
        let mut all: [[Option<Counter>; SOURCES.len()]; VERDICTS] = Default::default();
        let verdicts = [Verdict::Pass, Verdict::Replay]
            .into_iter()
            .chain(RejectionCode::ALL.iter().copied().map(Verdict::Reject));
        for verdict in verdicts {
            for source in [
                None,
                Some(Source::Lookup),
                Some(Source::Cache),
                Some(Source::Stale),
            ] {
                let place = all
                    .get_mut(row(verdict))
                    .and_then(|row| row.get_mut(column(source)));
                if let Some(place) = place.filter(|_| occurs(verdict, source)) {
                    *place = Some(requests(verdict, source));
                }
            }
        }
        let operators = RejectionCode::ALL
            .iter()
            .filter(|code| code.entry().operator);
        Self {
            requests: all,
            replayed: Each::new(
                &names::REPLAYED,
                &[],
                "arrival",
                ["replayed", "failed", "missed", "cached"],
            ),
            held_back: Each::new(
                &names::HELD_BACK,
                &[],
                "code",
                operators.map(|code| code.as_str()),
            ),
        }
    }

    /// A verdict was reached.
    #[inline]
    pub(crate) fn reached(&self, verdict: Verdict, source: Option<Source>, arrival: &Arrival) {
        let known = self
            .requests
            .get(row(verdict))
            .and_then(|row| row.get(column(source)));
        match known {
            Some(Some(counter)) => counter.count(),
            _ => unforeseen(verdict, source),
        }
        if !matches!(arrival, Arrival::Fresh) {
            self.arrived(arrival);
        }
    }

    fn arrived(&self, arrival: &Arrival) {
        let arrival = match arrival {
            Arrival::Fresh => return,
            Arrival::Replayed { .. } => "replayed",
            Arrival::Failed(_) => "failed",
            Arrival::Missed { .. } => "missed",
            Arrival::Cached => "cached",
        };
        if let Some(counter) = self.replayed.of(arrival) {
            counter.count();
        }
    }

    /// A refusal was not said at WARN.
    pub(crate) fn held_back(&self, code: RejectionCode) {
        if let Some(counter) = self.held_back.of(code.as_str()) {
            counter.count();
        }
    }
}

#[cold]
fn unforeseen(verdict: Verdict, source: Option<Source>) {
    requests(verdict, source).count();
}

/// What this process may do.
pub(crate) struct Node(Each<Gauge>);

impl Node {
    pub(crate) fn new() -> Self {
        let states = NodeState::ALL.map(NodeState::as_str);
        let new = Self(Each::new(&names::NODE_STATE, &[], "state", states));
        new.is(NodeState::Serving);
        new
    }

    pub(crate) fn is(&self, state: NodeState) {
        self.0.point_at(state.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_row_of_its_own() {
        for (at, code) in RejectionCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, at, "{code:?}");
            assert_eq!(row(Verdict::Reject(*code)), 3 + at);
        }
        assert_eq!(row(Verdict::Pass), 0);
        assert_eq!(row(Verdict::Replay), 1);
    }

    #[test]
    fn every_source_has_its_name() {
        for source in [Source::Lookup, Source::Cache, Source::Stale] {
            assert_eq!(SOURCES[column(Some(source))], source.as_str());
        }
        assert_eq!(SOURCES[column(None)], "none");
    }
}
