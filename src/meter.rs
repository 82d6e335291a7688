//! What is counted. The recorder is the application's; without the feature `metrics` there is none,
//! and all of this has no size and does nothing.
//!
//! What a request touches is registered when the layer is built, with every label that it may have:
//! a handle is then one virtual call away from the recorder's own counter. No label has a value
//! that a client or the directory could choose.

use crate::{CacheStatus, NodeState, RejectionCode, RequestOrigin, Verdict};

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

/// Whether anything is counted. What only a count needs to know is not found out otherwise.
pub(crate) const COUNTS: bool = cfg!(feature = "metrics");

/// What became of requests.
pub(crate) struct Verdicts {
    /// By verdict, and then by cache status. `None` for what does not occur.
    requests: [[Option<Counter>; STATUSES.len()]; VERDICTS],
    replayed: Each<Counter>,
    held_back: Each<Counter>,
}

/// Pass, replay, claim, and a rejection for each code.
const VERDICTS: usize = 3 + RejectionCode::ALL.len();

/// In the order of [`column`].
const STATUSES: [&str; 4] = ["none", "miss", "hit", "stale"];

fn row(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Replay => 1,
        Verdict::Claim => 2,
        Verdict::Reject(code) => 3 + code as usize,
    }
}

fn column(cache_status: Option<CacheStatus>) -> usize {
    match cache_status {
        None => 0,
        Some(CacheStatus::Miss) => 1,
        Some(CacheStatus::Hit) => 2,
        Some(CacheStatus::Stale) => 3,
    }
}

/// Whether requests end like this (`session-absent` also after a lookup, where sessions are volatile, which
/// few are). What does not is registered should it ever happen, and would
/// otherwise only make the recorder's pages longer.
fn occurs(verdict: Verdict, cache_status: Option<CacheStatus>) -> bool {
    match verdict {
        Verdict::Pass => true,
        // Another verdict follows; and this one is an answer that the proxy turns into a replay.
        Verdict::Claim | Verdict::Reject(RejectionCode::ReplayNotHonoured) => false,
        Verdict::Reject(
            RejectionCode::SessionMalformed
            | RejectionCode::SessionMissing
            | RejectionCode::SessionAbsent,
        ) => cache_status.is_none(),
        Verdict::Reject(RejectionCode::LookupUnavailable) => {
            cache_status == Some(CacheStatus::Miss)
        }
        Verdict::Reject(RejectionCode::SessionUnknown | RejectionCode::DirectoryCorrupt) => {
            matches!(cache_status, Some(CacheStatus::Miss | CacheStatus::Hit))
        }
        Verdict::Replay | Verdict::Reject(_) => cache_status.is_some(),
    }
}

fn requests(verdict: Verdict, cache_status: Option<CacheStatus>) -> Counter {
    let code = match verdict {
        Verdict::Reject(code) => code.as_str(),
        _ => "",
    };
    let cache_status = STATUSES
        .get(column(cache_status))
        .copied()
        .unwrap_or_default();
    Counter::new(
        &names::REQUESTS,
        &[
            ("verdict", verdict.as_str()),
            ("code", code),
            ("cache", cache_status),
        ],
    )
}

impl Verdicts {
    pub(crate) fn new() -> Self {
        let mut all: [[Option<Counter>; STATUSES.len()]; VERDICTS] = Default::default();
        let verdicts = [Verdict::Pass, Verdict::Replay]
            .into_iter()
            .chain(RejectionCode::ALL.iter().copied().map(Verdict::Reject));
        for verdict in verdicts {
            for cache_status in [
                None,
                Some(CacheStatus::Miss),
                Some(CacheStatus::Hit),
                Some(CacheStatus::Stale),
            ] {
                let place = all
                    .get_mut(row(verdict))
                    .and_then(|row| row.get_mut(column(cache_status)));
                if let Some(place) = place.filter(|_| occurs(verdict, cache_status)) {
                    *place = Some(requests(verdict, cache_status));
                }
            }
        }
        let operators = RejectionCode::ALL
            .iter()
            .filter(|code| code.entry().operator);
        let version = ("version", env!("CARGO_PKG_VERSION"));
        Gauge::new(&names::BUILD_INFO, &[version]).set_count(|| 1);
        Self {
            requests: all,
            replayed: Each::new(
                &names::REPLAYED,
                &[],
                "origin",
                [
                    "replayed",
                    "forwarded",
                    "failed",
                    "fell-back",
                    "replay-cache",
                ],
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
    pub(crate) fn reached(
        &self,
        verdict: Verdict,
        cache_status: Option<CacheStatus>,
        origin: &RequestOrigin,
    ) {
        let known = self
            .requests
            .get(row(verdict))
            .and_then(|row| row.get(column(cache_status)));
        match known {
            Some(Some(counter)) => counter.count(),
            _ => unforeseen(verdict, cache_status),
        }
        if !matches!(origin, RequestOrigin::Direct) {
            self.arrived(origin);
        }
    }

    fn arrived(&self, origin: &RequestOrigin) {
        let origin = match origin {
            RequestOrigin::Direct => return,
            RequestOrigin::Replayed { .. } => "replayed",
            RequestOrigin::Forwarded { .. } => "forwarded",
            RequestOrigin::Failed(_) => "failed",
            RequestOrigin::FellBack { .. } => "fell-back",
            RequestOrigin::ReplayCache => "replay-cache",
        };
        if let Some(counter) = self.replayed.of(origin) {
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
fn unforeseen(verdict: Verdict, cache_status: Option<CacheStatus>) {
    requests(verdict, cache_status).count();
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
    fn every_cache_status_has_its_name() {
        for cache_status in [CacheStatus::Miss, CacheStatus::Hit, CacheStatus::Stale] {
            assert_eq!(STATUSES[column(Some(cache_status))], cache_status.as_str());
        }
        assert_eq!(STATUSES[column(None)], "none");
    }
}
