//! What an operator sees of each request: one event, and one call of the hook.

use std::{
    convert::Infallible,
    io::{self},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_ownership::{
    FlyReplay, LookupError, MachineId, MemoryDirectory, OwnerStatus, OwnershipLayer,
    OwnershipLayerBuilder, PathSegment, Session, SessionAbsent, SessionId, SessionLookup,
    directory::DirectoryId, lookup_fn, observe::Observed,
};

use crate::support::{
    fixture::{SESSION, owned_by},
    log::logged,
};

fn builder(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
}

fn request(path: &str) -> Request<String> {
    Request::get(path).body(String::new()).unwrap()
}

/// Sends one request; gives back what was logged, and what the hook was told.
fn sent(lookup: impl SessionLookup, path: &str, hops: u8) -> (String, Vec<String>) {
    let replayed = format!("state=own.{hops}");
    sent_with(lookup, path, ("fly-replay-src", &replayed))
}

fn sent_with(
    lookup: impl SessionLookup,
    path: &str,
    (name, value): (&str, &str),
) -> (String, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let service = builder(lookup)
        .on_verdict(move |seen: &Observed<'_>| {
            let owner = seen.owner.map(MachineId::as_str);
            let why = (seen.detail.is_some(), seen.error.is_some());
            let all = (owner, seen.origin.hops(), seen.age.is_some(), why);
            tell.lock().unwrap().push(format!("{all:?}"));
        })
        .build()
        .unwrap()
        .layer(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
    let request = Request::get(path)
        .header(name, value)
        .body(String::new())
        .unwrap();
    let log = logged("tower_ownership::verdict=trace", async |_| {
        let Ok(_) = service.oneshot(request).await;
    })
    .text();
    let told = told.lock().unwrap().clone();
    (log, told)
}

#[test]
fn every_request_is_one_event_and_one_call() {
    let session = format!("/session/{SESSION}");
    let down = || LookupError::unavailable("down").with_source(io::Error::other("refused"));
    let down = || lookup_fn(move |_| async move { Err(down()) });
    let mine = || owned_by("me");
    for ((log, told), level, words, expected) in [
        (
            sent(mine(), "/", 0),
            "TRACE",
            " machine=\"me\"",
            "(None, 0, false, (false, false))",
        ),
        (
            sent(mine(), &session, 1),
            "DEBUG",
            "hops=1",
            "(Some(\"me\"), 1, true, (false, false))",
        ),
        (
            sent(owned_by("other"), &session, 1),
            "DEBUG",
            "owner=\"other\"",
            "(Some(\"other\"), 1, true, (false, false))",
        ),
        (
            sent(MemoryDirectory::new(), &session, 0),
            "INFO",
            "code=\"session-unknown\"",
            "(None, 0, true, (true, false))",
        ),
        (
            sent(down(), &session, 0),
            "WARN",
            "cause=down: refused",
            "(None, 0, true, (true, true))",
        ),
        (
            sent(mine(), "/session/%ff", 0),
            "INFO",
            "code=\"session-malformed\"",
            "(None, 0, false, (true, false))",
        ),
    ] {
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(
            log.contains(&format!("{level} tower_ownership::verdict:")),
            "{level} in {log}"
        );
        assert!(log.contains(words), "{words} in {log}");
        assert_eq!(told, [expected], "{log}");
    }
}

#[test]
fn the_log_does_not_hand_the_session_over() {
    for lookup in [owned_by("me"), owned_by("other"), MemoryDirectory::new()] {
        let (log, _) = sent(lookup, &format!("/session/{SESSION}"), 0);
        assert!(log.contains("session_id=dbe96112830a "), "{log}");
        assert!(!log.contains("807efe44"), "{log}");
    }
}

#[test]
fn a_replay_that_failed_is_told_with_its_reason_and_who_had_asked_for_it() {
    let report = "instance=other;replay_source=another;reason=no_candidate;elapsed_ms=5";
    let session = format!("/session/{SESSION}");
    let (log, _) = sent_with(owned_by("other"), &session, ("fly-replay-failed", report));
    for told in [
        "code=\"owner-unreachable\"",
        "replay_failed=\"no_candidate\"",
        "replay_source=\"another\"",
    ] {
        assert!(log.contains(told), "{told} in {log}");
    }
}

#[test]
fn an_outage_is_one_warning_per_interval_that_counts_the_others() {
    const EVERY: Duration = Duration::from_millis(50);
    let down = lookup_fn(async |_| Err(LookupError::unavailable("down")));
    let layer = builder(down).warn_interval(EVERY).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let whole = logged("tower_ownership::verdict=trace", async |log| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while log.text().matches("WARN").count() < 3 {
            assert!(Instant::now() < deadline, "no third warning");
            let Ok(_) = service
                .clone()
                .oneshot(request(&format!("/session/{SESSION}")))
                .await;
        }
    })
    .text();
    // Each warning says how many lines stand before it that are none.
    let mut held_back = 0;
    for line in whole.lines() {
        assert!(line.contains("code=\"lookup-unavailable\""), "{line}");
        if line.contains(" WARN ") {
            assert!(line.contains(&format!(" held_back={held_back}")), "{line}");
            held_back = 0;
        } else {
            assert!(line.contains("DEBUG "), "{line}");
            assert!(!line.contains("held_back"), "{line}");
            held_back += 1;
        }
    }
    assert!(whole.lines().next().unwrap().contains(" WARN "), "{whole}");
}

#[test]
fn with_an_interval_of_zero_every_refusal_is_a_warning() {
    let down = lookup_fn(async |_| Err(LookupError::unavailable("down")));
    let layer = builder(down).warn_interval(Duration::ZERO).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let log = logged("tower_ownership::verdict=trace", async |_| {
        for _ in 0..3 {
            let request = request(&format!("/session/{SESSION}"));
            let Ok(_) = service.clone().oneshot(request).await;
        }
    })
    .text();
    assert_eq!(log.matches(" WARN ").count(), 3, "{log}");
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[test]
fn only_a_request_that_waited_for_a_lookup_says_how_long() {
    let layer = builder(owned_by("me")).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let log = logged("tower_ownership::verdict=trace", async |_| {
        for _ in 0..2 {
            let request = request(&format!("/session/{SESSION}"));
            let Ok(_) = service.clone().oneshot(request).await;
        }
    })
    .text();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains("cache_status=\"miss\""), "{log}");
    assert!(lines[0].contains(" lookup_seconds="), "{log}");
    assert!(lines[1].contains("cache_status=\"hit\""), "{log}");
    assert!(!lines[1].contains("lookup_seconds"), "{log}");
}

#[test]
fn what_others_call_a_request_is_in_its_event() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let logged_of = |lookup: MemoryDirectory, filter: &str, path: &str| {
        let layer = builder(lookup).requires_session().build().unwrap();
        let service = layer.layer(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
        let request = Request::delete(path)
            .header("fly-request-id", "01JF-fra")
            .header("traceparent", TRACE)
            .body(String::new())
            .unwrap();
        let log = logged(filter, async |_| {
            let Ok(_) = service.oneshot(request).await;
        });
        log.text()
    };
    let session = format!("/session/{SESSION}/files?token=secret");
    let info = "tower_ownership::verdict=info";
    for (lookup, filter, path, shown) in [
        (
            MemoryDirectory::new(),
            info,
            &*session,
            "/session/…dbe96112830a/files",
        ),
        (
            owned_by("other"),
            "tower_ownership::verdict=debug",
            &session,
            "/session/…dbe96112830a/files",
        ),
        (
            owned_by("me"),
            "tower_ownership::verdict=debug",
            &session,
            "/session/…dbe96112830a/files",
        ),
        (
            owned_by("me"),
            info,
            "/session/%ff/files",
            "/session/%ff/files",
        ),
        (owned_by("me"), info, "/page", "/page"),
    ] {
        let log = logged_of(lookup, filter, path);
        let said = format!(
            "request_id=\"01JF-fra\" traceparent=\"{TRACE}\" method=\"DELETE\" path=\"{shown}\""
        );
        assert!(log.contains(&said), "{said} in {log}");
        assert!(!log.contains("secret"), "{log}");
    }
}

/// A lookup that finds nothing in a directory of this id.
struct Empty(Option<DirectoryId>);

impl SessionLookup for Empty {
    async fn session(&self, _: SessionId) -> Result<Option<Session>, LookupError> {
        Ok(None)
    }

    fn directory_id(&self) -> Option<DirectoryId> {
        self.0
    }
}

#[test]
fn a_session_that_only_another_machine_finds_asks_whether_both_read_one_directory() {
    let path = format!("/session/{SESSION}");
    for (mine, state, level) in [
        (Some("1a2b3c4d"), "own.1.1a2b3c4d", "INFO"),
        (Some("1a2b3c4d"), "own.1.ffffffff", "WARN"),
        (Some("1a2b3c4d"), "own.1", "WARN"),
        (None, "own.1", "WARN"),
        (Some("1a2b3c4d"), "captured", "INFO"),
    ] {
        let lookup = Empty(mine.and_then(DirectoryId::parse));
        let replayed = format!("instance=a;state={state}");
        let (log, _) = sent_with(lookup, &path, ("fly-replay-src", &replayed));
        let told = format!("{level} tower_ownership::verdict: ");
        assert!(log.contains(&told), "{told} in {log}");
        let asks = log.contains("do all machines read one directory?");
        assert_eq!(asks, level == "WARN", "{log}");
        assert!(log.contains("rejection_code=\"session-unknown\""), "{log}");
        for (field, id) in [
            (" directory_id", mine),
            (" sender_directory_id", state.split('.').nth(2)),
        ] {
            let said = id.map_or(field.to_owned(), |id| format!("{field}=\"{id}\""));
            let is_said = id.is_some() && state != "captured";
            assert_eq!(log.contains(&said), is_said, "{said} in {log}");
        }
    }
}

#[test]
fn a_replay_carries_which_directory_was_read() {
    struct Owned(DirectoryId);
    impl SessionLookup for Owned {
        async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
            Ok(Some(Session::owned_by(id, "other".parse().unwrap())))
        }

        fn directory_id(&self) -> Option<DirectoryId> {
            Some(self.0)
        }
    }
    let lookup = Owned(DirectoryId::parse("1a2b3c4d").unwrap());
    let layer = builder(lookup).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    logged("off", async |_| {
        // Also the answer that the layer keeps.
        for _ in 0..3 {
            let request = request(&format!("/session/{SESSION}"));
            let Ok(response) = service.clone().oneshot(request).await;
            let replay = response.headers()["fly-replay"].to_str().unwrap();
            assert!(replay.ends_with(";state=own.1.1a2b3c4d"), "{replay}");
        }
    });
}

#[test]
fn each_cause_is_a_warning_of_its_own() {
    let causes: [(&str, &str); 5] = [
        ("lost-1", "rejection_code=\"owner-lost\""),
        ("lost-2", "rejection_code=\"owner-lost\""),
        ("slow", "cause=too slow"),
        ("column", "cause=no answer: column owner does not exist"),
        ("table", "cause=no answer: table sessions does not exist"),
    ];
    let lookup = lookup_fn(async |id: SessionId| {
        let missing = |what: &str| {
            let source = io::Error::other(format!("{what} does not exist"));
            Err(LookupError::unavailable("no answer").with_source(source))
        };
        match &*id.to_string() {
            "slow" => Err(LookupError::timeout("too slow")),
            "column" => missing("column owner"),
            "table" => missing("table sessions"),
            "fine" => Ok(None),
            owner => {
                let session = Session::owned_by(id.clone(), owner.parse().unwrap());
                Ok(Some(session.with_owner_status(OwnerStatus::Lost)))
            }
        }
    });
    let layer = builder(lookup)
        .warn_interval(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let log = logged("tower_ownership::verdict=warn", async |_| {
        for _ in 0..2 {
            for (id, _) in causes {
                // An answer in between, since failures in a row hold lookups back.
                for id in [id, "fine"] {
                    let request = request(&format!("/session/{id}"));
                    let Ok(_) = service.clone().oneshot(request).await;
                }
            }
        }
    })
    .text();
    for (id, said) in causes {
        let said = |line: &&str| {
            let owner = format!("owner=\"{id}\"");
            line.contains(said) && (!id.starts_with("lost") || line.contains(&owner))
        };
        assert_eq!(log.lines().filter(said).count(), 1, "{id}: {log}");
    }
    assert_eq!(log.lines().count(), causes.len(), "{log}");
}

/// The log of a request to an application that logs, and of another that says it lost the session.
fn spanned(filter: &str) -> String {
    let layer = builder(owned_by("me")).build().unwrap();
    let service = layer.layer(service_fn(async |request: Request<String>| {
        tracing::info!("served");
        tokio::task::yield_now().await;
        tracing::info!("finished");
        let mut response = Response::new(String::new());
        if request.uri().path().ends_with("/absent") {
            response.extensions_mut().insert(SessionAbsent);
        }
        Ok::<_, Infallible>(response)
    }));
    logged(filter, async |_| {
        for path in ["/session/{id}", "/session/{id}/absent", "/assets"] {
            let request = request(&path.replace("{id}", SESSION));
            let Ok(_) = service.clone().oneshot(request).await;
        }
    })
    .text()
}

#[test]
fn the_application_answers_in_a_span_that_says_whose_the_session_is() {
    let log = spanned("info,tower_ownership::request=debug");
    let lines: Vec<&str> = log.lines().collect();
    let span =
        "ownership{session_id=dbe96112830a machine=\"me\" hops=0 verdict=\"pass\" owner=\"me\"";
    for (line, said) in lines
        .iter()
        .zip(["served", "finished"].iter().cycle())
        .take(4)
    {
        assert!(line.contains(span) && line.ends_with(said), "{line}\n{log}");
    }
    assert!(lines[0].contains("cache_status=\"miss\""), "{log}");
    assert!(lines[0].contains(" lookup_seconds="), "{log}");
    assert!(lines[2].contains("cache_status=\"hit\""), "{log}");
    // The second verdict, on what the application said.
    assert!(
        lines[4].contains("ownership{session_id=dbe96112830a"),
        "{log}"
    );
    assert!(lines[4].contains("code=\"session-absent\""), "{log}");
    // A request for no session is in none.
    for line in &lines[5..] {
        assert!(!line.contains("ownership{"), "{log}");
    }
    assert_eq!(lines.len(), 7, "{log}");
    let statuses = lines
        .iter()
        .filter(|line| line.contains("otel.status_code"));
    assert_eq!(
        statuses.count(),
        1,
        "only session-absent is an error: {log}"
    );
}

#[test]
fn the_span_of_a_refused_request_says_why() {
    let down =
        lookup_fn(async |_| Err::<Option<Session>, _>(LookupError::unavailable("it is down")));
    let layer = builder(down).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let log = logged("info,tower_ownership::request=debug", async |_| {
        let request = request(&format!("/session/{SESSION}"));
        let Ok(_) = service.oneshot(request).await;
    })
    .text();
    let span = log.split("ownership{").nth(1).unwrap();
    let span = span.split_once('}').unwrap().0;
    for field in [
        "code=\"lookup-unavailable\"",
        "detail=",
        "cause=it is down",
        "otel.status_code=\"ERROR\"",
    ] {
        assert!(span.contains(field), "no {field} in {span}");
    }
}

#[test]
fn without_a_filter_that_asks_for_it_there_is_no_span() {
    let log = spanned("info");
    assert_eq!(log.matches(": served").count(), 3, "{log}");
    assert!(!log.contains("ownership{"), "{log}");
}

/// What a layer says of itself while these paths are asked for.
fn said_of(paths: impl Iterator<Item = String>) -> String {
    let layer = builder(owned_by("me")).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let log = logged("tower_ownership::layer=warn", async |_| {
        for path in paths {
            let Ok(_) = service.clone().oneshot(request(&path)).await;
        }
    });
    log.text()
}

#[test]
fn a_layer_that_finds_no_session_says_so_once_with_a_path_and_where_it_looks() {
    let log = said_of((0..300).map(|number| format!("/{SESSION}/page{number}?secret")));
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("the first 100 requests"), "{log}");
    assert!(log.contains("path=\"/…dbe96112830a/page99\""), "{log}");
    assert!(!log.contains(SESSION), "{log}");
    assert!(log.contains("the path segment after /session"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_layer_that_found_a_session_once_says_nothing_of_requests_without_one() {
    let found = std::iter::once(format!("/session/{SESSION}"));
    let log = said_of(found.chain((0..300).map(|number| format!("/page{number}"))));
    assert_eq!(log, "");
    let late = (0..99).map(|number| format!("/page{number}"));
    let log = said_of(late.chain([format!("/session/{SESSION}"), "/page".to_owned()]));
    assert_eq!(log, "");
}
