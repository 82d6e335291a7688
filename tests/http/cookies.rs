//! Dead cookies and twin cookies, as browsers send them, over a real server.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::Request, routing::any};
use http::{HeaderMap, Method};
use tower_ownership::{
    Cookie, FlyReplay, Header, LookupError, MemoryDirectory, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, Session, SessionAbsent, SessionId, SessionLookup, SessionStatus,
    explain::Finding,
    extract::{ExtractSession, FirstOf},
    lookup_fn,
    observe::Observed,
    session::SessionIds,
};

use crate::support::{
    client::{Answer, request, send},
    fixture::{ME, OWNER, SESSION, id, machine},
    log::logged,
    server::serve,
};

/// A session of this machine beside [`SESSION`].
const TWIN: &str = "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11";
const OVER: &str = "3f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b33";
const ELSEWHERE: &str = "4f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b44";
const UNKNOWN: &str = "ff0c5a52-3c1f-4d57-9a50-0d4c8f2f6bff";

fn sessions() -> MemoryDirectory {
    let sessions = MemoryDirectory::new().for_ids(SessionIds::uuid());
    let id = |text: &str| text.parse::<SessionId>().unwrap();
    sessions.insert(Session::owned_by(id(SESSION), machine(ME)));
    sessions.insert(Session::owned_by(id(TWIN), machine(ME)));
    sessions.insert(Session::owned_by(id(ELSEWHERE), machine(OWNER)));
    sessions.insert(Session::new(id(OVER), SessionStatus::Over));
    sessions
}

fn sid() -> Cookie {
    Cookie::named("sid").unwrap()
}

fn builder(lookup: impl SessionLookup, extract: impl ExtractSession) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(extract)
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

fn layer(extract: impl ExtractSession) -> OwnershipLayerBuilder {
    builder(sessions(), extract)
}

/// The session that the layer knows, and the cookie lines that the application sees.
async fn seen(request: Request) -> String {
    let owned = request.extensions().get::<tower_ownership::Owned>();
    let owned = owned.map_or("none".to_owned(), |owned| owned.id().to_string());
    let lines = request.headers().get_all("cookie").into_iter();
    let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
    format!("{owned} {lines:?}")
}

async fn ask_with(
    layer: OwnershipLayerBuilder,
    path: &str,
    lines: &[&str],
    others: &[(&'static str, &str)],
) -> Answer {
    let router = Router::new()
        .route("/absent", any(async || axum::Extension(SessionAbsent)))
        .fallback(any(seen));
    let addr = serve(router.layer(layer.build().unwrap())).await;
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("cookie", line.parse().unwrap());
    }
    for (name, value) in others {
        headers.append(*name, value.parse().unwrap());
    }
    let asking = request(Method::GET, format!("http://{addr}{path}")).headers(headers);
    send(asking).await
}

async fn ask(layer: OwnershipLayerBuilder, lines: &[&str]) -> Answer {
    ask_with(layer, "/login", lines, &[]).await
}

fn sees(answer: &Answer, owned: &str, lines: &[&str]) {
    let text = format!("{owned} {lines:?}");
    assert_eq!((answer.status, &answer.text), (200, &text), "{answer:?}");
}

#[tokio::test]
async fn a_dead_cookie_locks_no_user_out() {
    for dead in [UNKNOWN, OVER, "", "\"\"", "garbage", "%00", "%ff", ".."] {
        let line = format!("theme=dark; sid={dead}; a=\"b\"");
        let answer = ask(layer(sid()), &[&line]).await;
        sees(&answer, "none", &["theme=dark; a=\"b\""]);
        let answer = ask(layer(sid()), &[&format!("sid={dead}")]).await;
        sees(&answer, "none", &[]);
    }
}

#[tokio::test]
async fn a_living_session_is_served_with_its_cookies_as_they_were_sent() {
    let lines = [
        format!("a=b;sid={SESSION} ;c"),
        format!("sid=\"{SESSION}\""),
    ];
    let lines = [lines[0].as_str(), lines[1].as_str()];
    sees(&ask(layer(sid()), &lines).await, SESSION, &lines);
    let answer = ask(layer(sid()), &[&format!("sid={ELSEWHERE}")]).await;
    assert_eq!(answer.status, 409, "{answer:?}");
}

#[tokio::test]
async fn the_next_place_is_asked_after_a_dead_cookie() {
    let places = || FirstOf::new(sid()).or(Header::named("x-session").unwrap());
    let dead = format!("sid={OVER}; a=b");
    let header = [("x-session", SESSION)];
    let answer = ask_with(layer(places()), "/", &[&dead], &header).await;
    sees(&answer, SESSION, &["a=b"]);
    // What cannot be taken out refuses as ever.
    let header = [("x-session", UNKNOWN)];
    let answer = ask_with(layer(places()), "/", &[&dead], &header).await;
    answer.is_refused(404, "session-unknown");
    let path = FirstOf::new(PathSegment::after("/session").unwrap()).or(sid());
    let path = ask_with(layer(path), &format!("/session/{OVER}"), &[&dead], &[]).await;
    path.is_refused(410, "session-over");
}

#[tokio::test]
async fn a_layer_that_requires_a_session_refuses_with_the_code_of_the_dead_cookie() {
    for (dead, status, code) in [
        (UNKNOWN, 404, "session-unknown"),
        (OVER, 410, "session-over"),
        ("garbage", 404, "session-unknown"),
        ("", 404, "session-unknown"),
        ("%ff", 400, "session-malformed"),
    ] {
        let line = format!("sid={dead}");
        for layer in [layer(sid()).requires_session(), layer(sid().refuse_dead())] {
            ask(layer, &[&line]).await.is_refused(status, code);
        }
    }
    let answer = ask(layer(sid()).requires_session(), &["a=b"]).await;
    answer.is_refused(404, "session-missing");
    let twins = format!("sid={OVER}; sid={UNKNOWN}");
    let answer = ask(layer(sid()).requires_session(), &[&twins]).await;
    answer.is_refused(410, "session-over");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_handler_that_needs_a_session_refuses_with_the_code_of_the_dead_cookie() {
    let handler = async |owned: tower_ownership::Owned| owned.id().to_string();
    let router = Router::new().fallback(any(handler));
    let addr = serve(router.layer(layer(sid()).build().unwrap())).await;
    let asking = request(Method::GET, format!("http://{addr}/"));
    let answer = send(asking.header("cookie", format!("sid={OVER}"))).await;
    answer.is_refused(410, "session-over");
}

#[tokio::test]
async fn of_twin_cookies_the_one_that_lives_wins() {
    for (lines, left) in [
        (
            format!("sid={OVER}; a=b; sid={SESSION}"),
            format!("a=b; sid={SESSION}"),
        ),
        (
            format!("sid={SESSION}; sid={UNKNOWN}"),
            format!("sid={SESSION}"),
        ),
        (format!("sid=; sid={SESSION}"), format!("sid={SESSION}")),
        (
            format!("sid={SESSION}; sid=deleted"),
            format!("sid={SESSION}"),
        ),
        (
            format!("sid={OVER}; sid=%ff; sid={UNKNOWN}; sid={SESSION}; sid=x"),
            format!("sid={SESSION}"),
        ),
        // One session in two spellings.
        (
            format!("sid={SESSION}; sid={}", SESSION.to_uppercase()),
            format!("sid={SESSION}"),
        ),
    ] {
        let answer = ask(layer(sid()), &[&lines]).await;
        sees(&answer, SESSION, &[&left]);
    }
    let answer = ask(layer(sid()), &[&format!("sid={OVER}; sid={ELSEWHERE}")]).await;
    assert_eq!(answer.status, 409, "{answer:?}");
}

/// A replay carries the request as the client sent it.
#[tokio::test]
async fn the_owner_finds_the_twin_that_a_replay_was_for() {
    let line = format!("sid={OVER}; sid={SESSION}");
    let replayed = [("fly-replay-src", "instance=e2863555a91708;state=own.1")];
    let answer = ask_with(layer(sid()), "/", &[&line], &replayed).await;
    sees(&answer, SESSION, &[&format!("sid={SESSION}")]);
}

#[tokio::test]
async fn twin_cookies_that_are_all_dead_pass_as_none() {
    let lines = [
        format!("sid={OVER}; sid=deleted"),
        format!("sid={UNKNOWN}; a=b"),
    ];
    let answer = ask(layer(sid()), &[&lines[0], &lines[1]]).await;
    sees(&answer, "none", &["a=b"]);
}

#[tokio::test]
async fn twin_cookies_that_both_live_are_malformed() {
    for other in [TWIN, ELSEWHERE] {
        let line = format!("sid={SESSION}; sid={other}");
        let answer = ask(layer(sid()), &[&line]).await;
        answer.is_refused(400, "session-malformed");
    }
    let dead = format!("sid={SESSION}; sid={OVER}");
    let answer = ask(layer(sid().refuse_dead()), &[&dead]).await;
    answer.is_refused(400, "session-malformed");
}

#[tokio::test]
async fn more_than_four_different_cookies_are_refused_without_a_lookup() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let unknown = move || {
        let counts = Arc::clone(&counts);
        lookup_fn(move |_| {
            counts.fetch_add(1, Ordering::SeqCst);
            async { Ok(None) }
        })
    };
    let lines = |count| {
        let cookies: Vec<_> = (0..count).map(|n| format!("sid=s{n}")).collect();
        cookies.join("; ")
    };
    let answer = ask(builder(unknown(), sid()), &[&lines(5)]).await;
    answer.is_refused(400, "session-malformed");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    sees(
        &ask(builder(unknown(), sid()), &[&lines(4)]).await,
        "none",
        &[],
    );
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_directory_that_does_not_answer_says_nothing_of_a_cookie() {
    let down = || lookup_fn(async |_| Err(LookupError::unavailable("down")));
    for line in [
        format!("sid={SESSION}"),
        format!("sid={SESSION}; sid={OVER}"),
    ] {
        let answer = ask(builder(down(), sid()), &[&line]).await;
        answer.is_refused(503, "lookup-unavailable");
    }
    // Even where another one lives: this one could live as well.
    let of_one = lookup_fn(
        async |session: SessionId| match session.to_string().as_str() {
            SESSION => Ok(Some(Session::owned_by(session, machine(ME)))),
            _ => std::future::pending().await,
        },
    );
    let limit = Duration::from_millis(300);
    let began = Instant::now();
    let layer = builder(of_one, sid()).lookup_timeout(limit);
    let line = format!("sid={UNKNOWN}; sid={SESSION}; sid={OVER}; sid={TWIN}");
    let answer = ask(layer, &[&line]).await;
    answer.is_refused(503, "lookup-unavailable");
    // All at once, and not one after the other.
    assert!(began.elapsed() < 2 * limit, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refusal_expires_a_dead_cookie_where_it_was_told_how() {
    const EXPIRED: &str = "sid=; Max-Age=0; Path=/; HttpOnly";
    let expires = || sid().expires("/").unwrap();
    for dead in [UNKNOWN, OVER, "", "garbage", "%ff"] {
        let line = format!("sid={dead}");
        for layer in [
            layer(expires()).requires_session(),
            layer(expires().refuse_dead()),
            layer(FirstOf::new(Header::named("x-session").unwrap()).or(expires()))
                .requires_session(),
        ] {
            let answer = ask(layer, &[&line]).await;
            assert!(answer.status >= 400, "{answer:?}");
            assert_eq!(answer.header("set-cookie"), Some(EXPIRED), "{dead}");
        }
        let answer = ask(layer(sid().refuse_dead()), &[&line]).await;
        assert_eq!(answer.header("set-cookie"), None);
    }
    let living = format!("sid={SESSION}");
    let answer = ask_with(layer(expires()), "/absent", &[&living], &[]).await;
    answer.is_refused(410, "session-absent");
    assert_eq!(answer.header("set-cookie"), Some(EXPIRED));
    // Of two that live, one is right.
    let answer = ask(layer(expires()), &[&format!("{living}; sid={TWIN}")]).await;
    answer.is_refused(400, "session-malformed");
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn only_a_session_of_the_cookie_expires_it() {
    let places = || {
        let header = Header::named("x-session").unwrap();
        FirstOf::new(header).or(sid().expires("/").unwrap())
    };
    let cookie = format!("sid={SESSION}");
    let header = [("x-session", OVER)];
    let answer = ask_with(layer(places()), "/", &[&cookie], &header).await;
    answer.is_refused(410, "session-over");
    assert_eq!(answer.header("set-cookie"), None);
    let header = [("x-session", SESSION)];
    let answer = ask_with(layer(places()), "/absent", &[&cookie], &header).await;
    answer.is_refused(410, "session-absent");
    assert_eq!(answer.header("set-cookie"), None);
    let down = || lookup_fn(async |_| Err(LookupError::unavailable("down")));
    let answer = ask(builder(down(), sid().expires("/").unwrap()), &[&cookie]).await;
    answer.is_refused(503, "lookup-unavailable");
    assert_eq!(answer.header("set-cookie"), None);
}

#[test]
fn the_log_says_what_was_taken_out_and_the_verdict_is_one() {
    let verdicts = Arc::new(Mutex::new(Vec::new()));
    let log = logged(
        "tower_ownership=debug,tower_ownership::verdict=trace",
        async |_| {
            for line in [
                format!("sid={OVER}"),
                format!("sid={UNKNOWN}; sid={SESSION}"),
            ] {
                let told = Arc::clone(&verdicts);
                let layer = layer(sid()).on_verdict(move |seen: &Observed<'_>| {
                    let session = seen.session.map(ToString::to_string);
                    told.lock().unwrap().push((seen.verdict.as_str(), session));
                });
                ask(layer, &[&line]).await;
            }
        },
    );
    let verdicts = verdicts.lock().unwrap().clone();
    assert_eq!(
        verdicts,
        [("pass", None), ("pass", Some(SESSION.to_owned()))]
    );
    let log = log.text();
    let taken_out: Vec<_> = log
        .lines()
        .filter(|line| line.contains("::extract"))
        .collect();
    let said = |line: &str, code: &str, end: &str| {
        line.contains("DEBUG")
            && line.contains(&format!("rejection_code=\"{code}\" session_id={end}"))
            && line.contains("the cookie sid")
    };
    assert_eq!(taken_out.len(), 2, "{log}");
    // What the request waited for is the lookup of the twins.
    let served = log.lines().find(|line| line.contains("served here"));
    assert!(served.unwrap().contains(" lookup_seconds="), "{log}");
    assert!(said(taken_out[0], "session-over", "0d4c8f2f6b33"), "{log}");
    assert!(
        said(taken_out[1], "session-unknown", "0d4c8f2f6bff"),
        "{log}"
    );
    assert!(!log.contains(OVER) && !log.contains(UNKNOWN), "{log}");
    let count = log
        .lines()
        .filter(|line| line.contains("::verdict"))
        .count();
    assert_eq!(count, 2, "{log}");
}

/// What a closure finds is refused: the layer does not know where it stands.
#[tokio::test]
async fn a_closure_refuses_its_dead_session() {
    let closure = |head: &tower_ownership::Head<'_>| sid().session(head);
    let answer = ask(layer(closure), &[&format!("sid={OVER}")]).await;
    answer.is_refused(410, "session-over");
    let answer = ask(layer(closure), &[&format!("sid={OVER}; sid={SESSION}")]).await;
    answer.is_refused(400, "session-malformed");
}

/// An extractor that says it took out what it still finds.
#[tokio::test]
async fn a_request_does_not_pass_with_a_session_that_is_still_there() {
    struct Lies(Cookie);
    impl ExtractSession for Lies {
        fn session(
            &self,
            head: &tower_ownership::Head<'_>,
        ) -> Result<Option<SessionId>, tower_ownership::session::MalformedSession> {
            self.0.session(head)
        }

        fn candidates(&self, head: &tower_ownership::Head<'_>) -> Vec<SessionId> {
            self.0.candidates(head)
        }

        fn forget(&self, _: &mut http::request::Parts, _: Option<&SessionId>) -> bool {
            true
        }
    }
    for (line, status, code) in [
        (format!("sid={OVER}"), 410, "session-over"),
        ("sid=".to_owned(), 404, "session-unknown"),
        (format!("sid={OVER}; sid={UNKNOWN}"), 410, "session-over"),
        (
            format!("sid={OVER}; sid={SESSION}"),
            400,
            "session-malformed",
        ),
    ] {
        ask(layer(Lies(sid())), &[&line])
            .await
            .is_refused(status, code);
    }
}

async fn finding(layer: OwnershipLayerBuilder, line: &str) -> (Finding, String, serde_json::Value) {
    let layer = layer.build().unwrap();
    let (head, ()) = http::Request::get("/")
        .header("cookie", line)
        .body(())
        .unwrap()
        .into_parts();
    let explanation = layer.explain(&head).await;
    assert_eq!(head.headers["cookie"], line);
    let json = serde_json::to_value(&explanation).unwrap();
    (explanation.finding, explanation.notes.join("\n"), json)
}

#[tokio::test]
async fn an_explanation_says_what_is_taken_out() {
    let (found, notes, _) = finding(layer(sid()), &format!("sid={OVER}")).await;
    assert_eq!(found, Finding::NoSession);
    assert!(
        notes.contains("session-over") && notes.contains("…0d4c8f2f6b33"),
        "{notes}"
    );
    assert!(!notes.contains(OVER), "{notes}");

    let twins = format!("sid={UNKNOWN}; sid={SESSION}; sid=%ff");
    let (found, notes, json) = finding(layer(sid()), &twins).await;
    assert_eq!(found, Finding::Fine);
    assert_eq!(notes.lines().count(), 2, "{notes}");
    assert_eq!(json["session"]["id"], format!("…{}", id().short()));

    let (found, ..) = finding(layer(sid()), &format!("sid={TWIN}; sid={SESSION}")).await;
    assert_eq!(found, Finding::SessionMalformed);

    for (dead, expected) in [
        (OVER, Finding::SessionOver),
        (UNKNOWN, Finding::SessionUnknown),
        ("garbage", Finding::SessionUnknown),
    ] {
        let expires = sid().expires("/").unwrap();
        let required = layer(expires).requires_session();
        let (found, _, json) = finding(required, &format!("sid={dead}")).await;
        assert_eq!(found, expected);
        assert!(json.to_string().contains("sid=; Max-Age=0"), "{json:#}");
    }
}
