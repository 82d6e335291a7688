//! What a recorder is told: the feature `metrics`.

use std::{convert::Infallible, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use crate::support::counted::{count, recorder, series, whole};
use http::{Request, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, MemoryDirectory, NodeState, OnLostOwner, OnUnassigned,
    Owned, OwnerStatus, OwnershipLayer, OwnershipLayerBuilder, PathSegment, Session, SessionAbsent,
    SessionId, SessionLookup, SessionStatus, lookup_fn,
    metrics::{NAMES, buckets},
};

use crate::support::fixture::{SESSION, id, machine, owned_by};

fn down() -> impl SessionLookup {
    lookup_fn(async |_| Err(LookupError::unavailable("down")))
}

/// A layer that is counted, and what was counted.
struct Counted {
    layer: OwnershipLayer,
    prometheus: PrometheusHandle,
}

impl Counted {
    fn new(lookup: impl SessionLookup) -> Self {
        Self::with(lookup, |builder| builder)
    }

    fn with(
        lookup: impl SessionLookup,
        with: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) -> Self {
        let recorder = recorder();
        let builder = OwnershipLayer::builder(lookup)
            .session(PathSegment::after("/session").unwrap())
            .machine(machine("me"))
            .replay(FlyReplay::new());
        Self {
            layer: metrics::with_local_recorder(&recorder, || with(builder).build().unwrap()),
            prometheus: recorder.handle(),
        }
    }

    /// Sends requests to a path, one after the other.
    async fn send(&self, path: &str, count: usize) {
        for _ in 0..count {
            self.send_with(path, ("x-nothing", "")).await;
        }
    }

    async fn send_with(&self, path: &str, (name, value): (&str, &str)) {
        let service = self
            .layer
            .layer(service_fn(async |request: Request<String>| {
                let mut response = Response::new(String::new());
                if request.uri().path().ends_with("/absent") {
                    response.extensions_mut().insert(SessionAbsent);
                }
                Ok::<_, Infallible>(response)
            }));
        let path = path.replace("{id}", SESSION);
        let request = Request::get(path)
            .header(name, value)
            .body(String::new())
            .unwrap();
        let Ok(_) = service.oneshot(request).await;
    }

    fn count(&self, name: &str) -> u64 {
        count(&self.prometheus, name)
    }
}

fn requests(verdict: &str, code: &str, cache: &str) -> String {
    format!(r#"requests_total{{verdict="{verdict}",code="{code}",cache="{cache}"}}"#)
}

#[tokio::test]
async fn every_request_counts_once_by_what_became_of_it() {
    let mine = Counted::new(owned_by("me"));
    mine.send("/assets", 2).await;
    mine.send("/session/%ff", 3).await;
    mine.send("/session/{id}", 5).await;
    assert_eq!(mine.count(&requests("pass", "", "none")), 2);
    assert_eq!(
        mine.count(&requests("reject", "session-malformed", "none")),
        3
    );
    assert_eq!(mine.count(&requests("pass", "", "miss")), 1);
    assert_eq!(mine.count(&requests("pass", "", "hit")), 4);
    let all = series(&mine.prometheus);
    let requests_in_all: u64 = all
        .iter()
        .filter(|(name, _)| name.starts_with("requests_total"))
        .map(|(_, count)| whole(*count))
        .sum();
    assert_eq!(requests_in_all, 10, "{all:#?}");

    let elsewhere = Counted::new(owned_by("other"));
    elsewhere.send("/session/{id}", 3).await;
    assert_eq!(elsewhere.count(&requests("replay", "", "miss")), 1);
    assert_eq!(elsewhere.count(&requests("replay", "", "hit")), 2);

    let nowhere = Counted::new(MemoryDirectory::new());
    nowhere.send("/session/{id}", 2).await;
    let unknown = |source| nowhere.count(&requests("reject", "session-unknown", source));
    assert_eq!((unknown("miss"), unknown("hit")), (1, 1));
}

#[tokio::test]
async fn a_session_that_the_application_lost_counts_as_passed_and_as_refused() {
    let counted = Counted::new(owned_by("me"));
    counted.send("/session/{id}/absent", 1).await;
    assert_eq!(counted.count(&requests("pass", "", "miss")), 1);
    assert_eq!(
        counted.count(&requests("reject", "session-absent", "none")),
        1
    );
}

#[tokio::test]
async fn what_a_proxy_brought_counts_by_how_it_came() {
    let counted = Counted::new(owned_by("other"));
    let failed = "instance=other;replay_source=another;reason=timeout;elapsed_ms=5";
    counted.send("/session/{id}", 1).await;
    for header in [
        ("fly-replay-src", "state=own.1"),
        ("fly-replay-failed", failed),
    ] {
        counted.send_with("/session/{id}", header).await;
    }
    let came = |how| counted.count(&format!(r#"replayed_requests_total{{origin="{how}"}}"#));
    assert_eq!(
        (came("replayed"), came("failed"), came("replay-cache")),
        (1, 1, 0)
    );
    let unreachable = |source| counted.count(&requests("reject", "owner-unreachable", source));
    assert_eq!(unreachable("miss") + unreachable("hit"), 1);
}

#[tokio::test]
async fn what_did_not_happen_yet_is_there_as_zero() {
    let counted = Counted::new(owned_by("me"));
    for code in [
        "owner-lost",
        "owner-never-seen",
        "duplicate-identity",
        "replay-loop",
    ] {
        assert_eq!(counted.count(&requests("reject", code, "miss")), 0);
    }
    assert_eq!(
        counted.count(r#"warnings_held_back_total{code="owner-lost"}"#),
        0
    );
    assert_eq!(counted.count(r#"losses_total{kind="moved"}"#), 0);
    assert_eq!(
        counted.count(r#"claims_total{kind="takeover",outcome="won"}"#),
        0
    );
}

#[tokio::test]
async fn lookups_count_once_however_many_wait() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let lookup = lookup_fn(move |id: SessionId| {
        let gate = Arc::clone(&shared);
        async move {
            let _permit = gate.acquire().await.unwrap();
            Ok(Some(Session::owned_by(id, machine("me"))))
        }
    });
    let counted = Counted::new(lookup);
    let ten = futures_util::future::join_all((0..10).map(|_| counted.send("/session/{id}", 1)));
    let open = async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    futures_util::future::join(ten, open).await;
    assert_eq!(
        counted.count(r#"lookup_duration_seconds_count{outcome="found"}"#),
        1
    );
    assert_eq!(counted.count("lookups_joined_total"), 9);
    assert_eq!(counted.count(r#"cache_entries{kind="known"}"#), 1);
}

#[tokio::test]
async fn a_lookup_that_nobody_waits_for_any_more_counts_as_abandoned() {
    let counted = Counted::new(lookup_fn(async |_| std::future::pending().await));
    let mut request = Box::pin(counted.send("/session/{id}", 1));
    poll_fn(|cx| {
        assert!(request.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(request);
    assert_eq!(
        counted.count(r#"lookup_duration_seconds_count{outcome="abandoned"}"#),
        1
    );
}

#[tokio::test]
async fn an_outage_counts_what_it_fails_and_what_it_does_not_say() {
    let counted = Counted::new(down());
    counted.send("/session/{id}", 10).await;
    let failed = counted.count(&requests("reject", "lookup-unavailable", "miss"));
    let asked = counted.count(r#"lookup_duration_seconds_count{outcome="unavailable"}"#);
    let refused = counted.count("lookups_refused_total");
    assert_eq!(failed, 10);
    assert_eq!(asked + refused, 10);
    assert!(refused > 0);
    let held_back = r#"warnings_held_back_total{code="lookup-unavailable"}"#;
    assert_eq!(counted.count(held_back), 9);
}

#[tokio::test]
async fn claims_count_by_whose_the_session_was_and_how_they_ended() {
    let directory = MemoryDirectory::new();
    let claiming = |directory: MemoryDirectory| {
        Counted::with(directory.clone(), |builder| {
            builder
                .directory(directory)
                .on_unassigned(OnUnassigned::Claim)
                .on_lost_owner(OnLostOwner::TakeOver)
                .cache_policy(CachePolicy::always_ask())
        })
    };
    let counted = claiming(directory.clone());
    let won = |kind| counted.count(&format!(r#"claims_total{{kind="{kind}",outcome="won"}}"#));
    directory.insert(Session::new(id(), SessionStatus::Active));
    counted.send("/session/{id}", 1).await;
    assert_eq!((won("unassigned"), won("takeover")), (1, 0));

    let lost = Session::owned_by(id(), machine("other")).with_epoch(7);
    directory.insert(lost.with_owner_status(OwnerStatus::Lost));
    counted.send("/session/{id}", 1).await;
    assert_eq!((won("unassigned"), won("takeover")), (1, 1));
}

#[tokio::test]
async fn a_loss_counts_for_everybody_who_is_told() {
    let directory = owned_by("me");
    let counted = Counted::with(directory.clone(), |builder| {
        builder.cache_policy(CachePolicy::always_ask())
    });
    let service = counted
        .layer
        .layer(service_fn(async |request: Request<String>| {
            let owned = request.extensions().get::<Owned>().unwrap();
            let (one, other) = (owned.lost(), owned.lost());
            directory.insert(Session::owned_by(id(), machine("other")));
            futures_util::future::join(one, other).await;
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
    let request = Request::get(format!("/session/{SESSION}"))
        .body(String::new())
        .unwrap();
    let Ok(_) = service.oneshot(request).await;
    assert_eq!(counted.count(r#"losses_total{kind="moved"}"#), 2);
}

#[tokio::test]
async fn the_state_of_the_process_is_one_of_five() {
    let counted = Counted::new(owned_by("me"));
    let stands = |state| counted.count(&format!(r#"node_state{{state="{state}"}}"#));
    let all = || ["joining", "serving", "draining", "fenced", "removed"].map(stands);
    assert_eq!(all(), [0, 1, 0, 0, 0]);
    counted.layer.node().advance(NodeState::Draining);
    assert_eq!(all(), [0, 0, 1, 0, 0]);
    counted.layer.node().advance(NodeState::Fenced);
    assert_eq!(all(), [0, 0, 0, 1, 0]);
}

/// Otherwise a machine that cannot join would look like one that serves, and refuse everything.
#[tokio::test]
async fn a_process_that_waits_for_its_presence_stands_as_joining_until_it_has_joined() {
    let counted = Counted::with(owned_by("me"), OwnershipLayerBuilder::require_membership);
    let stands = |state| counted.count(&format!(r#"node_state{{state="{state}"}}"#));
    assert_eq!((stands("joining"), stands("serving")), (1, 0));
    let joins = || counted.layer.node().joined();
    joins();
    assert_eq!((stands("joining"), stands("serving")), (0, 1));
    counted.layer.node().advance(NodeState::Removed);
    joins();
    assert_eq!((stands("serving"), stands("removed")), (0, 1));
}

#[tokio::test]
async fn every_series_has_a_name_that_is_declared_and_says_what_it_is() {
    let counted = Counted::new(owned_by("me"));
    counted.send("/session/{id}", 2).await;
    let page = counted.prometheus.render();
    let mut seen = 0;
    for line in page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let is_one_of = |declared: &&&str| {
            name.strip_prefix(**declared)
                .is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let declared = NAMES.iter().find(is_one_of);
        let declared = declared.unwrap_or_else(|| panic!("{name} is not declared"));
        assert!(page.contains(&format!("# HELP {declared} ")), "{declared}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for name in NAMES {
        assert!(name.starts_with("tower_ownership_"), "{name}");
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(is_plain), "{name}");
    }
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), NAMES.len());
    for (name, buckets) in buckets() {
        assert!(NAMES.contains(&name), "{name}");
        assert!(buckets.is_sorted(), "{name}");
    }
}

/// Bounded, because what a label holds is one of few words.
#[tokio::test]
async fn no_session_and_no_machine_makes_a_series_of_its_own() {
    let lookup = lookup_fn(async |id: SessionId| {
        let owner = machine(&format!("m{}", id.as_uuid().unwrap().as_u128() % 50));
        Ok(Some(Session::owned_by(id, owner)))
    });
    let counted = Counted::new(lookup);
    let before = series(&counted.prometheus).len();
    for _ in 0..200 {
        let session = uuid::Uuid::new_v4();
        counted.send(&format!("/session/{session}"), 1).await;
    }
    // Only the first lookup's histogram is new.
    let after = series(&counted.prometheus).len();
    assert!(after <= before + 20, "{before} and then {after}");
    let page = counted.prometheus.render();
    assert!(!page.contains("m17"), "{page}");
}

/// With the recorder installed too late, requests work and are not counted.
#[tokio::test]
async fn without_a_recorder_nothing_is_counted_and_nothing_breaks() {
    let layer = OwnershipLayer::builder(owned_by("me"))
        .session(PathSegment::after("/session").unwrap())
        .machine(machine("me"))
        .replay(FlyReplay::new())
        .lookup_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let late = recorder();
    let prometheus = late.handle();
    let _guard = metrics::set_default_local_recorder(&late);
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let request = Request::get(format!("/session/{SESSION}"))
        .body(String::new())
        .unwrap();
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(series(&prometheus).len(), 0);
}
