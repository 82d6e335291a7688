//! What an explanation says of a request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, request::Parts};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, MemoryDirectory, NodeState, OnLostOwner, OnUnassigned,
    OwnerStatus, OwnershipLayer, OwnershipLayerBuilder, PathSegment, Redirect, Session, SessionId,
    SessionLookup, SessionStatus,
    explain::{Explanation, Finding},
    lookup_fn,
    observe::Observed,
    replay::ReplayCache,
};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{
    fixture::{ME, OWNER, SESSION, directory, id, machine},
    log::Log,
};

const FAILED: &str = "instance=e2863555a91708;app=a;region=iad;replay_source=56837ddda10348;\
                      reason=no_candidate;elapsed_ms=31";

fn elsewhere(presence: OwnerStatus) -> MemoryDirectory {
    directory(Session::owned_by(id(), machine(OWNER)).with_owner_status(presence))
}

fn builder(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

fn layer(lookup: impl SessionLookup) -> OwnershipLayer {
    builder(lookup).build().unwrap()
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let request = Request::get(format!("/session/{SESSION}/page"));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(()).unwrap().into_parts().0
}

async fn explain(layer: &OwnershipLayer) -> Explanation {
    layer.explain(&head(&[])).await
}

async fn request(layer: &OwnershipLayer) {
    let (head, body) = (head(&[]), String::new());
    let application = service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let request = Request::from_parts(head, body);
    layer.layer(application).oneshot(request).await.unwrap();
}

fn json(explanation: &Explanation) -> Value {
    serde_json::to_value(explanation).unwrap()
}

fn header<'a>(response: &'a Value, name: &str) -> Option<&'a str> {
    let lines = response["headers"].as_array().unwrap().iter();
    let mut headers = lines.filter_map(|line| line.as_str()?.split_once(": "));
    headers
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn each_thing_that_can_be_wrong_with_a_session_is_named() {
    let active = || Session::new(id(), SessionStatus::Active);
    let cases = [
        (
            MemoryDirectory::new(),
            Finding::SessionUnknown,
            "The directory knows no such session.",
        ),
        (
            directory(Session::new(id(), SessionStatus::Over)),
            Finding::SessionOver,
            "The session is over: it was ended.",
        ),
        (
            directory(active().with_remaining(Duration::ZERO)),
            Finding::SessionOver,
            "The session is over: its time has run out.",
        ),
        (
            directory(Session::new(id(), SessionStatus::Starting)),
            Finding::SessionStarting,
            "The session is still being created, says its status.",
        ),
        (
            directory(active()),
            Finding::SessionUnassigned,
            "The session has no owner, and this machine does not claim it for this request.",
        ),
        (
            elsewhere(OwnerStatus::NeverSeen),
            Finding::OwnerNeverSeen,
            "The owner `e2863555a91708` was never seen: it is not in the table of machines, so it was \
             not started, is still starting, or has another id.",
        ),
        (
            elsewhere(OwnerStatus::Lost),
            Finding::OwnerLost,
            "The owner `e2863555a91708` is lost: it has sent no heartbeat for too long, has left, or \
             was declared gone.",
        ),
        (
            elsewhere(OwnerStatus::Draining),
            Finding::OwnerDraining,
            "The owner `e2863555a91708` is draining: it is handed the request, and refuses it until \
             another machine has the session.",
        ),
        (
            elsewhere(OwnerStatus::Alive),
            Finding::Fine,
            "Nothing is wrong: this machine hands the request to its owner `e2863555a91708`, which is \
             alive.",
        ),
        (
            directory(Session::owned_by(id(), machine(ME))),
            Finding::Fine,
            "Nothing is wrong: this machine owns the session.",
        ),
        (
            directory(Session::owned_by(id(), machine(ME)).with_epoch(2)),
            Finding::SessionMoving,
            "The session is moving to another machine or process: this machine owns the session, and waits for ",
        ),
    ];
    for (sessions, finding, summary) in cases {
        let explanation = explain(&layer(sessions)).await;
        assert_eq!(explanation.finding, finding, "{explanation}");
        assert!(explanation.summary.starts_with(summary), "{explanation}");
        assert_eq!(json(&explanation)["finding"], finding.as_str());
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_way_of_a_request_is_named() {
    type Case = (
        &'static [(&'static str, &'static str)],
        Finding,
        &'static str,
    );
    let cases: [Case; 5] = [
        (
            &[
                ("fly-replay-failed", FAILED),
                ("fly-client-ip", "192.0.2.7"),
            ],
            Finding::OwnerUnreachable,
            "The owner `e2863555a91708` cannot be reached: the proxy could not connect to it \
             (no_candidate after 31 ms).",
        ),
        (
            &[("fly-preferred-instance-unavailable", OWNER)],
            Finding::OwnerUnreachable,
            "The owner `e2863555a91708` cannot be reached: the proxy could not connect to it.",
        ),
        (
            &[("fly-replay-src", "instance=a;state=own.2")],
            Finding::ReplayLoop,
            "The request went round in circles without coming to the owner `e2863555a91708`: it was \
             replayed 2 times, ",
        ),
        (
            &[
                ("fly-client-ip", "192.0.2.7"),
                ("content-length", "2000000"),
            ],
            Finding::NotReplayable,
            "The request cannot be handed to the owner `e2863555a91708`: The request's body is longer \
             than the 1000000 bytes",
        ),
        (
            &[("host", "10.0.0.7:8080")],
            Finding::ReplayNotHonoured,
            "No proxy acts on the replay to the owner `e2863555a91708`: this request did not come \
             through one, so its client reads `replay-not-honoured`.",
        ),
    ];
    for (headers, finding, summary) in cases {
        let layer = layer(elsewhere(OwnerStatus::Alive));
        let explanation = layer.explain(&head(headers)).await;
        assert_eq!(explanation.finding, finding, "{explanation}");
        assert!(explanation.summary.starts_with(summary), "{explanation}");
    }
}

#[tokio::test]
async fn a_directory_that_fails_is_told_from_one_that_is_slow_or_wrong() {
    let cause = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
    let cases = [
        (
            LookupError::unavailable("no connection could be opened").with_source(cause()),
            Finding::DirectoryDown,
            "The directory cannot be asked: no connection could be opened: connection refused.",
            "unavailable",
        ),
        (
            LookupError::timeout("the query took too long"),
            Finding::DirectorySlow,
            "The directory does not answer in time: the query took too long.",
            "timeout",
        ),
        (
            LookupError::corrupt("the owner is no machine id"),
            Finding::RowUnusable,
            "The session's row cannot be used: the owner is no machine id.",
            "corrupt",
        ),
    ];
    for (error, finding, summary, kind) in cases {
        let layer = layer(lookup_fn(move |_| {
            let error = error.clone();
            async move { Err(error) }
        }));
        let explanation = explain(&layer).await;
        assert_eq!(explanation.finding, finding);
        assert_eq!(explanation.summary, summary);
        let directory = &json(&explanation)["directory"];
        assert_eq!(directory["failure"]["kind"], kind);
        assert_eq!(directory["response"]["code"], directory["code"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_never_answers_is_waited_for_as_long_as_a_request_would() {
    let layer = builder(lookup_fn(|_| std::future::pending()))
        .lookup_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let explanation = explain(&layer).await;
    assert_eq!(explanation.finding, Finding::DirectorySlow);
    assert_eq!(
        explanation.inputs["directory"]["code"],
        "lookup-unavailable"
    );
}

#[tokio::test]
async fn a_lookup_that_panics_fails_the_lookup_and_not_the_explanation() {
    async fn panics(_: SessionId) -> Result<Option<Session>, LookupError> {
        panic!("as a test wants it");
    }
    let explanation = explain(&layer(lookup_fn(panics))).await;
    assert_eq!(explanation.finding, Finding::DirectoryDown);
}

#[tokio::test]
async fn requests_for_no_session_and_for_a_malformed_one_are_explained_too() {
    let layer = layer(MemoryDirectory::new());
    let (other, ()) = Request::get("/about").body(()).unwrap().into_parts();
    let explanation = layer.explain(&other).await;
    assert_eq!(explanation.finding, Finding::NoSession);
    assert!(explanation.inputs["directory"].is_null());
    let (unfit, ()) = Request::get("/session/%0a").body(()).unwrap().into_parts();
    let explanation = layer.explain(&unfit).await;
    assert_eq!(explanation.finding, Finding::SessionUnknown);
    assert_eq!(explanation.inputs["refused"]["status"], 404);
    let (malformed, ()) = Request::get("/session/%ff").body(()).unwrap().into_parts();
    let explanation = layer.explain(&malformed).await;
    assert_eq!(explanation.finding, Finding::SessionMalformed);
    let refused = &explanation.inputs["refused"];
    assert_eq!(refused["status"], 400);
    assert_eq!(refused["code"], "session-malformed");
    assert_eq!(
        json(&explanation)["session"],
        json!({
            "id": null,
            "extractor": "the path segment after /session/",
            "malformed": "the part of the request that should hold the session id cannot be read",
        })
    );
}

#[tokio::test]
async fn the_answer_is_shown_and_not_sent() {
    let layer = layer(elsewhere(OwnerStatus::Alive));
    let explanation = json(&explain(&layer).await);
    let directory = &explanation["directory"];
    assert_eq!(directory["verdict"], "replay");
    let response = &directory["response"];
    assert_eq!(response["status"], 409);
    assert_eq!(response["code"], "replay-not-honoured");
    assert_eq!(
        header(response, "fly-replay"),
        Some("instance=e2863555a91708;timeout=5s;fallback=force_self;state=own.1")
    );
    assert_eq!(header(response, "cache-control"), Some("no-store"));
    assert!(response["detail"].as_str().unwrap().contains("fly-replay"));
    assert_eq!(explanation["answeredFrom"], "miss");
    assert_eq!(
        explanation["policy"],
        json!({
            "claims": false,
            "takesOver": false,
            "maxHops": 2,
            "lookupTimeoutMs": 2_000,
            "leaseTtlMs": 5_000,
            "guarded": false,
        })
    );
}

/// What of the layer could be seen to change.
struct Watched {
    layer: OwnershipLayer,
    sessions: MemoryDirectory,
    asked: Arc<AtomicUsize>,
    verdicts: Arc<AtomicUsize>,
}

impl Watched {
    fn new(session: Session) -> Self {
        let sessions = directory(session);
        let (asked, verdicts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let lookup = {
            let (sessions, asked) = (sessions.clone(), Arc::clone(&asked));
            lookup_fn(move |id: SessionId| {
                asked.fetch_add(1, Ordering::SeqCst);
                let session = sessions.get(&id);
                async move { Ok(session) }
            })
        };
        let seen = Arc::clone(&verdicts);
        let layer = builder(lookup)
            .directory(sessions.clone())
            .on_unassigned(OnUnassigned::Claim)
            .on_lost_owner(OnLostOwner::TakeOver)
            .on_verdict(move |_: &Observed<'_>| {
                seen.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .unwrap();
        Self {
            layer,
            sessions,
            asked,
            verdicts,
        }
    }
}

#[tokio::test]
async fn an_explanation_changes_neither_who_owns_the_session_nor_what_is_cached_or_observed() {
    for session in [
        Session::new(id(), SessionStatus::Active),
        Session::owned_by(id(), machine(OWNER))
            .with_owner_status(OwnerStatus::Lost)
            .with_epoch(4),
    ] {
        let watched = Watched::new(session.clone());
        let explanation = explain(&watched.layer).await;
        let claim = &explanation.inputs["directory"];
        assert_eq!(claim["verdict"], "claim");
        assert!(claim["response"].is_null());
        let claims = "this machine would take it for this request.";
        assert!(explanation.summary.ends_with(claims), "{explanation}");
        assert_eq!(watched.sessions.get(&id()), Some(session));
        assert!(watched.layer.cache().is_empty());
        assert_eq!(watched.asked.load(Ordering::SeqCst), 1);
        assert_eq!(watched.verdicts.load(Ordering::SeqCst), 0);
        assert_eq!(watched.layer.node().state(), NodeState::Serving);
    }
}

#[tokio::test]
async fn an_explanation_leaves_no_event_and_no_span() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let layer = layer(elsewhere(OwnerStatus::Lost));
    explain(&layer).await;
    assert_eq!(log.text(), "");
    request(&layer).await;
    assert!(log.text().contains("owner-lost"), "a request is heard of");
}

#[tokio::test]
async fn what_is_cached_is_shown_beside_what_is_true_now() {
    let sessions = directory(Session::owned_by(id(), machine(ME)));
    let layer = layer(sessions.clone());
    request(&layer).await;
    sessions.insert(Session::owned_by(id(), machine(OWNER)).with_owner_status(OwnerStatus::Alive));
    let explanation = explain(&layer).await;
    assert_eq!(explanation.finding, Finding::Fine);
    let shown = json(&explanation);
    assert_eq!(shown["answeredFrom"], "hit");
    assert_eq!(shown["cached"]["verdict"], "pass");
    assert_eq!(shown["cached"]["lease"]["lease"], "valid");
    assert_eq!(shown["directory"]["verdict"], "replay");
    assert!(shown["cached"]["usableForMs"].as_u64().unwrap() > 4_000);
    assert!(
        explanation.notes[0].contains("no longer what the directory says"),
        "{explanation}"
    );
    // Who was replayed here is judged on news.
    let replayed = head(&[("fly-replay-src", "state=own.1")]);
    let fresh = OwnershipLayer::explain(&layer, &replayed).await;
    let usable = fresh.inputs["cached"]["ageMs"].as_u64().unwrap() < 250;
    assert_eq!(fresh.inputs["answeredFrom"] == "hit", usable);
}

#[tokio::test]
async fn a_stale_entry_that_stands_in_for_a_failing_directory_is_said_to() {
    let down = Arc::new(AtomicUsize::new(0));
    let lookup = {
        let down = Arc::clone(&down);
        lookup_fn(move |id: SessionId| {
            let is_up = down.load(Ordering::SeqCst) == 0;
            async move {
                is_up
                    .then(|| Some(Session::owned_by(id, machine(OWNER))))
                    .ok_or_else(|| LookupError::unavailable("down"))
            }
        })
    };
    let layer = builder(lookup)
        .cache_policy(CachePolicy::new().elsewhere(Duration::from_millis(1)))
        .build()
        .unwrap();
    request(&layer).await;
    down.store(1, Ordering::SeqCst);
    let explanation = loop {
        let explanation = explain(&layer).await;
        if explanation.inputs["answeredFrom"] != "hit" {
            break explanation;
        }
    };
    assert_eq!(explanation.finding, Finding::DirectoryDown);
    let shown = json(&explanation);
    assert_eq!(shown["answeredFrom"], "stale");
    assert_eq!(shown["cached"]["verdict"], "replay");
    assert_eq!(shown["directory"]["code"], "lookup-unavailable");
    assert!(
        explanation.notes[0].starts_with("While the directory fails"),
        "{explanation}"
    );
}

#[tokio::test]
async fn the_session_id_is_cut_wherever_it_stands_unless_it_is_asked_for() {
    let id_in_an_error = LookupError::unavailable("it failed").with_source(format!("{SESSION}?"));
    let failing = layer(lookup_fn(move |_| {
        let error = id_in_an_error.clone();
        async move { Err(error) }
    }));
    let redirects = OwnershipLayer::builder(elsewhere(OwnerStatus::Alive))
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(Redirect::to_template("https://{owner}.example.com").unwrap())
        .build()
        .unwrap();
    let remembers = builder(elsewhere(OwnerStatus::Alive))
        .replay(FlyReplay::new().cache(ReplayCache::under("/session")))
        .build()
        .unwrap();
    for layer in [failing, redirects, remembers] {
        let head = head(&[]);
        let cut = layer.explain(&head).await;
        let everything = format!("{cut}{}", json(&cut));
        assert!(!everything.contains("88f5-dbe96112830a"), "{everything}");
        assert_eq!(json(&cut)["session"]["id"], "…dbe96112830a");
        let whole = layer.explain(&head).show_session_id(true).await;
        assert_eq!(json(&whole)["session"]["id"], SESSION);
        let directory = json(&whole)["directory"].to_string();
        assert!(directory.contains(SESSION), "{directory}");
    }
}

#[tokio::test]
async fn looking_at_an_invalidation_does_not_use_it_up() {
    let layer = builder(elsewhere(OwnerStatus::Alive))
        .replay(FlyReplay::new().cache(ReplayCache::under("/session")))
        .build()
        .unwrap();
    let hit = head(&[("fly-replay-cache-status", "hit")]);
    for _ in 0..3 {
        let shown = json(&layer.explain(&hit).await);
        let response = &shown["directory"]["response"];
        assert_eq!(header(response, "fly-replay-cache"), Some("invalidate"));
        assert_eq!(shown["origin"]["how"], "replay-cache");
    }
}

#[tokio::test]
async fn the_guard_is_asked_about_this_very_request() {
    let layer = builder(elsewhere(OwnerStatus::Alive))
        .guard(|head, _| head.headers.contains_key("authorization"))
        .build()
        .unwrap();
    let refused = explain(&layer).await;
    assert_eq!(refused.finding, Finding::SessionForbidden);
    assert_eq!(json(&refused)["directory"]["guardAllows"], false);
    let allowed = head(&[("authorization", "x"), ("fly-region", "iad")]);
    assert_eq!(layer.explain(&allowed).await.finding, Finding::Fine);
}

#[tokio::test]
async fn it_can_be_read_in_a_terminal() {
    let sessions = directory(
        Session::owned_by(id(), machine(OWNER))
            .with_owner_status(OwnerStatus::NeverSeen)
            .with_epoch(3)
            .with_released(2)
            .with_remaining(Duration::from_secs(60)),
    );
    let explanation = explain(&layer(sessions)).await;
    let text = explanation.to_string();
    for line in [
        "The owner `e2863555a91708` was never seen: it is not in the table of machines, so it was not \
         started, is still starting, or has another id. (owner-never-seen)",
        &format!("Next step: {}", Finding::OwnerNeverSeen.next_step()),
        "session       extractor: the path segment after /session/, id: …dbe96112830a",
        "machine       id: 56837ddda10348, state: serving",
        "answeredFrom  miss",
        "directory     ageMs: ",
        "  session     epoch: 3, ownedHere: no, owner: e2863555a91708, presence: never-seen, \
         released: 2, remainingMs: ",
        "  response    code: owner-never-seen, detail: The session's machine is not in the table of",
        "    headers",
        "      ownership-code: owner-never-seen",
        "      retry-after: ",
    ] {
        let is_there = text.lines().any(|shown| shown.starts_with(line));
        assert!(is_there, "no {line:?} in\n{text}");
    }
    assert!(
        !text.contains("null") && !text.contains("reached"),
        "{text}"
    );
}
