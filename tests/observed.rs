//! What an operator sees of each request: one event, and one call of the hook.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_ownership::{
    FlyReplay, LookupError, MachineId, MemoryLookup, Observed, OwnershipLayer, PathSegment,
    Session, SessionId, SessionLookup, lookup_fn,
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

const SESSION: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn owned_by(owner: &str) -> MemoryLookup {
    let lookup = MemoryLookup::new();
    let id: SessionId = SESSION.parse().unwrap();
    lookup.insert(Session::owned_by(id, owner.parse().unwrap()));
    lookup
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
    let (log, told) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let tell = Arc::clone(&told);
    let service = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .on_verdict(move |seen: &Observed<'_>| {
            let owner = seen.owner.map(MachineId::as_str);
            let why = (seen.detail.is_some(), seen.error.is_some());
            let all = (owner, seen.arrival.hops(), seen.age.is_some(), why);
            tell.lock().unwrap().push(format!("{all:?}"));
        })
        .build()
        .unwrap()
        .layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
    let request = Request::get(path).header(name, value).body(()).unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let Ok(_) = runtime.block_on(service.oneshot(request));
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
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
            "me=\"me\"",
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
            "INFO",
            "owner=\"other\"",
            "(Some(\"other\"), 1, true, (false, false))",
        ),
        (
            sent(MemoryLookup::new(), &session, 0),
            "INFO",
            "code=\"session-unknown\"",
            "(None, 0, true, (true, false))",
        ),
        (
            sent(down(), &session, 0),
            "WARN",
            "error=down: refused",
            "(None, 0, true, (true, true))",
        ),
        (
            sent(mine(), "/session/x", 0),
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
    for lookup in [owned_by("me"), owned_by("other"), MemoryLookup::new()] {
        let (log, _) = sent(lookup, &format!("/session/{SESSION}"), 0);
        assert!(log.contains("session=807efe44 "), "{log}");
        assert!(!log.contains("dbe96112830a"), "{log}");
    }
}

#[test]
fn a_replay_that_failed_is_told_with_its_reason_and_who_had_asked_for_it() {
    let report = "instance=other;replay_source=another;reason=no_candidate;elapsed_ms=5";
    let session = format!("/session/{SESSION}");
    let (log, _) = sent_with(owned_by("other"), &session, ("fly-replay-failed", report));
    for told in [
        "code=\"owner-unreachable\"",
        "replay.failed=\"no_candidate\"",
        "replay.source=\"another\"",
    ] {
        assert!(log.contains(told), "{told} in {log}");
    }
}
