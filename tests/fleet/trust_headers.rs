//! No header that a client can send makes the wrong machine serve.
//!
//! The edge lets every forged header through, which is the worst that an application has to stand.

use reqwest::{Method, RequestBuilder};
use tower_ownership::{Header, Query, SessionId, extract::FirstOf};

use crate::fleet::{Fleet, OWNER, WRONG, edge, layer};
use crate::support::client::{Answer, get, request, send};

/// What becomes of a request with a forged header.
#[derive(Debug)]
enum Fate {
    /// The forgery changes nothing: the owner serves.
    Served,
    /// This very request is refused, with this status and code.
    Refused(u16, &'static str),
}
use Fate::{Refused, Served};

const LOOP: Fate = Refused(508, "replay-loop");
const UNREACHABLE: Fate = Refused(503, "owner-unreachable");

fn forgeries() -> Vec<(&'static str, String, Fate)> {
    let forge = |name, value: &str, fate| (name, value.to_owned(), fate);
    let of =
        |machine: &str, state: &str| format!("instance={machine};region=iad;t=1;state={state}");
    vec![
        forge("fly-replay-src", "state=own.0", Served),
        forge("fly-replay-src", "state=own.1", Served),
        forge("fly-replay-src", "state=own.2", LOOP),
        forge("fly-replay-src", &of(OWNER, "own.2"), LOOP),
        forge("fly-replay-src", "state=own.255", LOOP),
        forge("fly-replay-src", "state=own.256", Served),
        forge("fly-replay-src", "state=own.-1", Served),
        forge("fly-replay-src", &of(OWNER, "own.1"), Served),
        forge("fly-replay-src", &of(WRONG, "own.1"), Served),
        forge("fly-replay-failed", "", UNREACHABLE),
        forge("fly-replay-failed", "nonsense", UNREACHABLE),
        forge(
            "fly-replay-failed",
            &format!("instance={WRONG};reason=timeout"),
            UNREACHABLE,
        ),
        forge(
            "fly-replay-failed",
            &format!("instance={OWNER};replay_source={WRONG};reason=no_candidate;elapsed_ms=1"),
            UNREACHABLE,
        ),
        forge("fly-preferred-instance-unavailable", OWNER, UNREACHABLE),
        forge("fly-preferred-instance-unavailable", WRONG, Served),
        forge("fly-preferred-instance-unavailable", "?", Served),
        forge("fly-replay-cache-status", "hit", Served),
        forge("fly-replay-cache-status", "miss", Served),
        forge("fly-replay-cache-control", "skip", Served),
        forge("fly-force-instance-id", WRONG, Served),
        forge("fly-prefer-instance-id", WRONG, Served),
        forge("fly-force-region", "iad", Served),
        forge("fly-prefer-region", "iad", Served),
        forge("fly-replay", &format!("instance={WRONG}"), Served),
        forge("fly-machine-id", WRONG, Served),
        forge("fly-src", WRONG, Served),
        forge("ownership-machine", WRONG, Served),
        forge("ownership-owner", WRONG, Served),
        forge("host", WRONG, Served),
        forge("host", &format!("{WRONG}.vm.app.internal"), Served),
        forge("x-forwarded-host", WRONG, Served),
        forge("x-forwarded-for", "127.0.0.1", Served),
        forge("forwarded", "for=127.0.0.1;host=localhost", Served),
        forge("x-original-url", "/healthz", Served),
        forge("x-rewrite-url", "/healthz", Served),
        forge("x-http-method-override", "CONNECT", Served),
        forge(
            "x-session-id",
            "00000000-0000-4000-8000-000000000000",
            Served,
        ),
        forge(
            "cookie",
            "fly-machine-id=wrong; session=00000000-0000-4000-8000-000000000000",
            Served,
        ),
        forge("cache-control", "no-cache", Served),
    ]
}

#[tokio::test]
async fn no_header_makes_the_wrong_machine_serve_and_none_outlives_its_request() {
    let fleet = Fleet::with(edge().pass_forged_headers(true), layer).await;
    for (name, value, fate) in forgeries() {
        let session = fleet.session();
        let path = format!("/session/{session}");
        let forged = |url| request(Method::GET, url).header(name, &value);
        let what = format!("{name}: {value}");

        let answer = send(forged(fleet.edge.url(&path))).await;
        match fate {
            Served => assert_eq!(
                (answer.status, what.as_str()),
                (200, what.as_str()),
                "{answer:?}"
            ),
            Refused(status, code) => {
                assert_eq!(
                    (answer.status, answer.code()),
                    (status, Some(code)),
                    "{what}"
                );
            }
        }
        // Without a proxy in between, there is nobody who could hand it over.
        let answer = send(forged(fleet.wrong.server.url(&path))).await;
        assert!(
            [409, 503, 508].contains(&answer.status),
            "{what}: {answer:?}"
        );
        assert_eq!(fleet.wrong.served(&session), 0, "{what}");

        // The next request of an honest client is served as if nothing had been.
        get(fleet.edge.url(&path)).await.is_served_by(OWNER);
    }
}

#[tokio::test]
async fn forged_headers_piled_up_are_no_stronger_than_one() {
    let fleet = Fleet::with(edge().pass_forged_headers(true), layer).await;
    let session = fleet.session();
    let path = format!("/session/{session}");
    let pile = |mut request: RequestBuilder| {
        for (name, value, _) in forgeries() {
            if name != "host" {
                request = request.header(name, value);
            }
        }
        request
    };
    for url in [fleet.edge.url(&path), fleet.wrong.server.url(&path)] {
        let answer = send(pile(request(Method::GET, url))).await;
        answer.is_refused(503, "owner-unreachable");
    }
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn the_count_of_hops_cannot_be_lowered_by_adding_a_smaller_one() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let counts = ["state=own.0", "state=own.2", "instance=a;state=own.1"];
    for turn in 0..counts.len() {
        let url = fleet.wrong.server.url(&format!("/session/{session}"));
        let mut forged = request(Method::GET, url);
        for at in 0..counts.len() {
            forged = forged.header("fly-replay-src", counts[(turn + at) % counts.len()]);
        }
        send(forged).await.is_refused(508, "replay-loop");
    }
}

#[tokio::test]
async fn no_method_makes_the_wrong_machine_serve() {
    let fleet = Fleet::start().await;
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
    ] {
        let session = fleet.session();
        let path = format!("/session/{session}");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for url in [fleet.edge.url(&path), fleet.wrong.server.url(&path)] {
            send(request(method.clone(), url)).await;
        }
        assert_eq!(fleet.wrong.served(&session), 0, "{method}");
        assert_eq!(fleet.owner.served(&session), 1, "{method}");
    }
}

/// A fleet that finds sessions in a header or, failing that, in the query.
async fn by_header_or_query() -> Fleet {
    Fleet::with(edge().pass_forged_headers(true), |machine, sessions| {
        let header = Header::named("x-session-id").unwrap();
        let query = Query::named("session").unwrap();
        layer(machine, sessions).session(FirstOf::new(header).or(query))
    })
    .await
}

async fn with_ids(url: String, ids: &[SessionId]) -> Answer {
    let mut asking = request(Method::GET, url);
    for id in ids {
        asking = asking.header("x-session-id", id.to_string());
    }
    send(asking).await
}

#[tokio::test]
async fn whoever_names_two_sessions_gets_neither() {
    let fleet = by_header_or_query().await;
    let (theirs, mine) = (fleet.session(), fleet.session_of(WRONG));
    let path = format!("/session/{theirs}");
    for base in [fleet.wrong.server.url(""), fleet.edge.url("")] {
        for ids in [
            [theirs.clone(), mine.clone()],
            [mine.clone(), theirs.clone()],
        ] {
            let answer = with_ids(format!("{base}{path}"), &ids).await;
            answer.is_refused(400, "session-malformed");
            let query = format!("{base}{path}?session={}&session={}", ids[0], ids[1]);
            get(query).await.is_refused(400, "session-malformed");
        }
    }
    assert_eq!(fleet.wrong.served(&theirs), 0);
    // The same one twice is one.
    let url = fleet.edge.url(&path);
    with_ids(url, &[theirs.clone(), theirs])
        .await
        .is_served_by(OWNER);
}
