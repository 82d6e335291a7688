//! The HTTP contract, line by line: every test bears the name of the line it holds to.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, header, request::Builder};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_ownership::{
    Address, FlyReplay, Header, LookupError, MemoryDirectory, Owned, OwnershipLayer,
    OwnershipLayerBuilder, PathSegment, Redirect, Rejection, RejectionCode, Session, SessionAbsent,
    SessionLookup, SessionStatus, lookup_fn, session::SessionIds,
};

use crate::support::fixture::{ME, OWNER, SESSION, directory, id, machine};

fn elsewhere() -> MemoryDirectory {
    directory(Session::owned_by(id(), machine(OWNER)))
}

fn mine() -> MemoryDirectory {
    directory(Session::owned_by(id(), machine(ME)))
}

fn fails(error: fn() -> LookupError) -> impl SessionLookup {
    lookup_fn(move |_| async move { Err(error()) })
}

fn layer(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

fn redirecting(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    layer(lookup).replay(Redirect::to_template("https://{owner}.example.com").unwrap())
}

fn get() -> Builder {
    Request::get(format!("/session/{SESSION}/page?a=b"))
}

/// Sends one request through the layer to an application that says what it saw.
async fn send(layer: OwnershipLayerBuilder, request: Builder) -> Answer {
    let application = service_fn(|request: Request<Full<Bytes>>| async move {
        let text = match request.extensions().get::<Owned>() {
            Some(owned) => format!("the application, for {}", owned.id()),
            None => "the application".to_owned(),
        };
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let service = layer.build().unwrap().layer(application);
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = service.oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { head, body }
}

struct Answer {
    head: http::response::Parts,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.head
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    fn problem(&self) -> Value {
        assert_eq!(
            self.header(header::CONTENT_TYPE),
            Some("application/problem+json")
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    fn is_from_the_application(&self) {
        assert_eq!(self.head.status, StatusCode::OK);
        assert!(self.body.starts_with(b"the application"), "{:?}", self.body);
        assert_eq!(self.header(header::CACHE_CONTROL), None);
    }

    /// Checks what holds for every refusal.
    fn is_refused(&self, code: RejectionCode, status: u16, retry_after: Option<&str>) {
        let problem = self.problem();
        assert_eq!(problem["code"], code.as_str(), "{problem}");
        assert_eq!(self.head.status.as_u16(), status);
        assert_eq!(problem["status"], status);
        let seconds = self
            .header(header::RETRY_AFTER)
            .map(|seconds| seconds.parse::<u64>().unwrap());
        assert_eq!(problem["retryAfter"].as_u64(), seconds);
        // Spread over the sessions.
        let least: Option<u64> = retry_after.map(|seconds| seconds.parse().unwrap());
        let longest = least.map(|least| (2 * least).max(2));
        assert!(least <= seconds && seconds <= longest, "{seconds:?}");
        assert_eq!(self.header(header::CACHE_CONTROL), Some("no-store"));
        assert!(
            self.header(header::VARY)
                .unwrap()
                .to_lowercase()
                .contains("accept")
        );
        for name in ["type", "title", "detail"] {
            assert!(
                !problem[name].as_str().unwrap().is_empty(),
                "{name} in {problem}"
            );
        }
        // The answer of a replay is written once for all sessions.
        let is_written_once = code == RejectionCode::ReplayNotHonoured;
        assert_eq!(problem["timestamp"].is_string(), !is_written_once);
        assert_eq!(
            (&problem["machine"], &problem["owner"]),
            (&Value::Null, &Value::Null)
        );
        if code != RejectionCode::ReplayNotHonoured {
            let rejection = self
                .head
                .extensions
                .get::<Rejection>()
                .expect("travels along");
            assert_eq!(rejection.code(), code);
            assert_eq!(self.header("fly-replay"), None);
            assert_eq!(self.header(header::LOCATION), None);
        }
    }
}

#[tokio::test]
async fn no_session_in_the_request_passes() {
    send(
        layer(fails(|| LookupError::unavailable("down"))),
        Request::get("/"),
    )
    .await
    .is_from_the_application();
}

#[tokio::test]
async fn session_malformed_is_400() {
    let answer = send(layer(mine()), Request::get("/session/%ff")).await;
    answer.is_refused(RejectionCode::SessionMalformed, 400, None);
    assert_eq!(answer.problem()["sessionId"], Value::Null);
}

#[tokio::test]
async fn session_missing_is_404_where_every_request_has_to_name_a_session() {
    let answer = send(layer(mine()).requires_session(), Request::get("/about")).await;
    answer.is_refused(RejectionCode::SessionMissing, 404, None);
    let detail = answer.problem()["detail"].to_string();
    assert!(detail.contains("/session"), "{detail}");
    send(layer(mine()), Request::get("/about"))
        .await
        .is_from_the_application();
    send(layer(mine()).requires_session(), get())
        .await
        .is_from_the_application();
}

#[tokio::test]
async fn an_id_that_no_session_can_have_is_unknown_without_a_lookup() {
    let down = || fails(|| LookupError::unavailable("down"));
    let long = format!("/session/{}", "x".repeat(256));
    for path in ["/session/%0a", &long] {
        let answer = send(layer(down()), Request::get(path)).await;
        answer.is_refused(RejectionCode::SessionUnknown, 404, None);
        assert_eq!(answer.problem()["sessionId"], Value::Null);
    }
    let uuids = MemoryDirectory::new().for_ids(SessionIds::uuid());
    uuids.insert(Session::owned_by("lobby".parse().unwrap(), machine(ME)));
    let answer = send(layer(uuids), Request::get("/session/lobby")).await;
    answer.is_refused(RejectionCode::SessionUnknown, 404, None);
}

#[tokio::test]
async fn a_session_may_have_any_name() {
    for (name, path) in [
        ("lobby", "lobby"),
        ("the blue room", "the%20blue%20room"),
        ("bsk_8fK2/x", "bsk_8fK2%2Fx"),
        ("Zo\u{eb}", "Zo%C3%AB"),
    ] {
        let sessions = MemoryDirectory::new();
        sessions.insert(Session::owned_by(name.parse().unwrap(), machine(ME)));
        let layer = OwnershipLayer::builder(sessions)
            .session(tower_ownership::Query::named("room").unwrap())
            .machine(machine(ME))
            .replay(FlyReplay::new());
        let answer = send(layer, Request::get(format!("/?room={path}"))).await;
        answer.is_from_the_application();
    }
}

#[tokio::test]
async fn session_unknown_is_404() {
    let answer = send(layer(MemoryDirectory::new()), get()).await;
    answer.is_refused(RejectionCode::SessionUnknown, 404, None);
    assert_eq!(answer.problem()["sessionId"], SESSION);
}

#[tokio::test]
async fn session_over_is_410() {
    let ended = Session::new(id(), SessionStatus::Over).with_owner(machine(ME));
    send(layer(directory(ended)), get())
        .await
        .is_refused(RejectionCode::SessionOver, 410, None);
    let expired = Session::owned_by(id(), machine(ME)).with_remaining(Duration::ZERO);
    send(layer(directory(expired)), get())
        .await
        .is_refused(RejectionCode::SessionOver, 410, None);
}

#[tokio::test]
async fn session_forbidden_is_403_on_every_machine_alike() {
    for lookup in [mine(), elsewhere()] {
        let guarded = layer(lookup)
            .guard(|head, session| head.headers.contains_key("x-user") && *session.id() == id());
        send(guarded, get())
            .await
            .is_refused(RejectionCode::SessionForbidden, 403, None);
    }
    let guarded = layer(mine()).guard(|head, _| head.headers.contains_key("x-user"));
    send(guarded, get().header("x-user", "ada"))
        .await
        .is_from_the_application();
}

#[tokio::test]
async fn session_starting_is_503_with_retry_after_1() {
    for session in [
        Session::new(id(), SessionStatus::Active),
        Session::new(id(), SessionStatus::Starting),
        Session::new(id(), SessionStatus::Starting).with_owner(machine(ME)),
    ] {
        send(layer(directory(session)), get()).await.is_refused(
            RejectionCode::SessionStarting,
            503,
            Some("1"),
        );
    }
}

#[tokio::test]
async fn owner_is_me_passes_with_owned() {
    let answer = send(layer(mine()), get()).await;
    answer.is_from_the_application();
    assert_eq!(answer.body, format!("the application, for {SESSION}"));
}

#[tokio::test]
async fn owner_is_another_machine_replays_with_409_and_a_readable_body() {
    let answer = send(layer(elsewhere()), get()).await;
    answer.is_refused(RejectionCode::ReplayNotHonoured, 409, None);
    assert_eq!(
        answer.header("fly-replay"),
        Some("instance=e2863555a91708;timeout=5s;fallback=force_self;state=own.1")
    );
    let detail = answer.problem()["detail"].to_string();
    assert!(
        detail.contains("no proxy honoured") && detail.contains("fly-replay"),
        "{detail}"
    );
}

#[tokio::test]
async fn the_status_of_a_replay_can_be_set() {
    let layer = layer(elsewhere()).replay(FlyReplay::new().status(StatusCode::MISDIRECTED_REQUEST));
    send(layer, get())
        .await
        .is_refused(RejectionCode::ReplayNotHonoured, 421, None);
}

#[tokio::test]
async fn owner_is_another_machine_redirects_and_keeps_the_method() {
    for method in [Method::GET, Method::POST] {
        let answer = send(redirecting(elsewhere()), get().method(method)).await;
        assert_eq!(answer.head.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(
            answer.header(header::LOCATION).unwrap(),
            format!("https://{OWNER}.example.com/session/{SESSION}/page?a=b")
        );
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    }
}

#[tokio::test]
async fn owner_unreachable_is_503_with_the_reason_and_the_time_and_never_replays_again() {
    let report = format!("instance={OWNER};replay_source={ME};reason=timeout;elapsed_ms=5003");
    let answer = send(
        layer(elsewhere()),
        get().header("fly-replay-failed", report),
    )
    .await;
    answer.is_refused(RejectionCode::OwnerUnreachable, 503, Some("5"));
    let detail = answer.problem()["detail"].to_string();
    assert!(
        detail.contains("5003 ms") && detail.contains("timeout"),
        "{detail}"
    );
}

#[tokio::test]
async fn owner_unreachable_does_not_blame_a_machine_that_was_not_tried() {
    let report = "instance=a-former-owner;reason=no_candidate;elapsed_ms=1";
    let answer = send(
        layer(elsewhere()),
        get().header("fly-replay-failed", report),
    )
    .await;
    answer.is_refused(RejectionCode::OwnerUnreachable, 503, Some("5"));
    assert!(
        answer.problem()["detail"]
            .to_string()
            .contains("Meanwhile another one has it")
    );
}

#[tokio::test]
async fn owner_unreachable_when_the_proxy_could_not_use_the_preferred_machine() {
    let missed = get().header("fly-preferred-instance-unavailable", OWNER);
    send(layer(elsewhere()), missed).await.is_refused(
        RejectionCode::OwnerUnreachable,
        503,
        Some("5"),
    );
    let another = get().header("fly-preferred-instance-unavailable", "1234");
    send(layer(elsewhere()), another)
        .await
        .is_refused(RejectionCode::ReplayNotHonoured, 409, None);
}

#[tokio::test]
async fn replay_loop_is_508_after_the_allowed_hops() {
    let arrived =
        |hops: u8| get().header("fly-replay-src", format!("instance=a;t=1;state=own.{hops}"));
    let answer = send(layer(elsewhere()), arrived(1)).await;
    assert!(
        answer
            .header("fly-replay")
            .unwrap()
            .ends_with("state=own.2")
    );
    send(layer(elsewhere()), arrived(2))
        .await
        .is_refused(RejectionCode::ReplayLoop, 508, None);
    send(layer(elsewhere()).max_hops(1), arrived(1))
        .await
        .is_refused(RejectionCode::ReplayLoop, 508, None);
    send(layer(mine()), arrived(200))
        .await
        .is_from_the_application();
}

#[tokio::test]
async fn replay_loop_is_508_for_a_redirect_to_where_the_request_came_from() {
    let came_to_the_owner = get().header("host", format!("{OWNER}.Example.com:443"));
    send(redirecting(elsewhere()), came_to_the_owner)
        .await
        .is_refused(RejectionCode::ReplayLoop, 508, None);

    let below = |path: &str| {
        let base = Redirect::to_template(&format!("https://edge.example.com{path}")).unwrap();
        layer(elsewhere())
            .session(Header::mcp_session_id())
            .replay(base)
    };
    let at = |path: &str| {
        Request::get(path)
            .header("host", "edge.example.com")
            .header("mcp-session-id", SESSION)
    };
    send(below("/m/{owner}"), at(&format!("/m/{OWNER}/page")))
        .await
        .is_refused(RejectionCode::ReplayLoop, 508, None);
    let first = send(below("/m/{owner}"), at("/page")).await;
    assert_eq!(
        first.header(header::LOCATION).unwrap(),
        format!("https://edge.example.com/m/{OWNER}/page")
    );
}

#[tokio::test]
async fn not_replayable_is_421_for_a_redirect_of_no_path() {
    let redirecting = || redirecting(elsewhere()).session(Header::mcp_session_id());
    let to = |target: &str| {
        Request::options(target)
            .header("mcp-session-id", SESSION)
            .header("host", "example.com")
    };
    send(redirecting(), to("*"))
        .await
        .is_refused(RejectionCode::NotReplayable, 421, None);
    let answer = send(redirecting(), to("http://example.com?a=b")).await;
    assert_eq!(
        answer.header(header::LOCATION).unwrap(),
        format!("https://{OWNER}.example.com/?a=b")
    );
}

#[tokio::test]
async fn not_replayable_is_413_for_a_body_over_the_limit() {
    let post = |length: u64| get().method(Method::POST).header("content-length", length);
    send(layer(elsewhere()), post(1_000_001)).await.is_refused(
        RejectionCode::NotReplayable,
        413,
        None,
    );
    send(layer(elsewhere()), post(1_000_000)).await.is_refused(
        RejectionCode::ReplayNotHonoured,
        409,
        None,
    );
    send(layer(mine()), post(1_000_001))
        .await
        .is_from_the_application();
    let raised = layer(elsewhere()).replay(FlyReplay::new().body_limit(2_000_000));
    send(raised, post(1_000_001))
        .await
        .is_refused(RejectionCode::ReplayNotHonoured, 409, None);
}

#[tokio::test]
async fn not_replayable_is_413_for_a_body_of_unknown_length_unless_allowed() {
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let chunked = || {
            get()
                .method(method.clone())
                .header("transfer-encoding", "chunked")
        };
        send(layer(elsewhere()), chunked()).await.is_refused(
            RejectionCode::NotReplayable,
            413,
            None,
        );
        let h2 = || get().method(method.clone()).version(Version::HTTP_2);
        send(layer(elsewhere()), h2())
            .await
            .is_refused(RejectionCode::NotReplayable, 413, None);
        let allowed = layer(elsewhere()).replay(FlyReplay::new().replay_unknown_length(true));
        send(allowed, h2())
            .await
            .is_refused(RejectionCode::ReplayNotHonoured, 409, None);
    }
}

#[tokio::test]
async fn not_replayable_is_421_for_an_upgrade_with_a_redirect() {
    let upgrade = || {
        get()
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
    };
    send(redirecting(elsewhere()), upgrade()).await.is_refused(
        RejectionCode::NotReplayable,
        421,
        None,
    );
    send(layer(elsewhere()), upgrade()).await.is_refused(
        RejectionCode::ReplayNotHonoured,
        409,
        None,
    );
    let offer = |protocols| get().header("upgrade", protocols);
    let answer = send(redirecting(elsewhere()), offer("h2c")).await;
    assert_eq!(answer.head.status, StatusCode::TEMPORARY_REDIRECT);
    send(redirecting(elsewhere()), offer("h2c, websocket"))
        .await
        .is_refused(RejectionCode::NotReplayable, 421, None);
    let switched_off = layer(elsewhere()).replay(FlyReplay::new().replay_upgrades(false));
    send(switched_off, upgrade())
        .await
        .is_refused(RejectionCode::NotReplayable, 421, None);
}

#[tokio::test]
async fn not_replayable_is_421_for_a_cors_preflight_with_a_redirect() {
    let preflight = || {
        get()
            .method(Method::OPTIONS)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
    };
    send(redirecting(elsewhere()), preflight())
        .await
        .is_refused(RejectionCode::NotReplayable, 421, None);
    send(layer(elsewhere()), preflight()).await.is_refused(
        RejectionCode::ReplayNotHonoured,
        409,
        None,
    );
}

#[tokio::test]
async fn not_replayable_is_421_without_an_address_to_redirect_to() {
    let to_address =
        |lookup| layer(lookup).replay(Redirect::to_session_address(["*.example.com"]).unwrap());
    send(to_address(elsewhere()), get())
        .await
        .is_refused(RejectionCode::NotReplayable, 421, None);
    let at = |url: &str| {
        directory(
            Session::owned_by(id(), machine(OWNER)).with_address(Address::parse(url).unwrap()),
        )
    };
    let answer = send(to_address(at("https://a.example.com/base/")), get()).await;
    assert_eq!(
        answer.header(header::LOCATION).unwrap(),
        format!("https://a.example.com/base/session/{SESSION}/page?a=b")
    );
}

#[tokio::test]
async fn session_absent_is_410_when_the_application_says_so() {
    let application = service_fn(|_: Request<Full<Bytes>>| async {
        let mut response = Response::new(Full::new(Bytes::from("what session?")));
        response.extensions_mut().insert(SessionAbsent);
        Ok::<_, Infallible>(response)
    });
    let service = layer(mine()).build().unwrap().layer(application);
    let request = get().body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = service.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { head, body }.is_refused(RejectionCode::SessionAbsent, 410, None);

    let in_its_form = get().method(Method::HEAD).header("accept", "text/html");
    let request = in_its_form.body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = service.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let content_type = head.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(head.status == StatusCode::GONE && content_type.starts_with("text/html"));
    assert!(body.collect().await.unwrap().to_bytes().is_empty());

    // Where no session is at stake, the application's own word is not ours to change.
    let elsewhere = Request::get("/").body(Full::new(Bytes::new())).unwrap();
    let Ok(response) = service.oneshot(elsewhere).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn directory_corrupt_is_502() {
    let corrupt = layer(fails(|| LookupError::corrupt("the owner is no machine id")));
    send(corrupt, get())
        .await
        .is_refused(RejectionCode::DirectoryCorrupt, 502, None);
    let another: tower_ownership::SessionId =
        "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let mixed_up = lookup_fn(move |_| {
        let session = Session::owned_by(another.clone(), machine(ME));
        async { Ok(Some(session)) }
    });
    let mixed_up = send(layer(mixed_up), get()).await;
    mixed_up.is_refused(RejectionCode::DirectoryCorrupt, 502, None);
    let stranger = directory(
        Session::owned_by(id(), machine(OWNER))
            .with_address(Address::parse("https://evil.example").unwrap()),
    );
    let to_address = Redirect::to_session_address(["*.example.com"]).unwrap();
    send(layer(stranger).replay(to_address), get())
        .await
        .is_refused(RejectionCode::DirectoryCorrupt, 502, None);
}

#[tokio::test]
async fn lookup_unavailable_is_503_when_the_lookup_fails() {
    for error in [
        || LookupError::unavailable("refused"),
        || LookupError::timeout("slow"),
    ] {
        send(layer(fails(error)), get()).await.is_refused(
            RejectionCode::LookupUnavailable,
            503,
            Some("1"),
        );
    }
}

#[tokio::test]
async fn lookup_unavailable_is_503_when_the_lookup_takes_too_long() {
    let never = lookup_fn(|_| std::future::pending());
    let layer = layer(never).lookup_timeout(Duration::from_millis(20));
    send(layer, get())
        .await
        .is_refused(RejectionCode::LookupUnavailable, 503, Some("1"));
}

#[tokio::test]
async fn head_has_no_body() {
    let answer = send(layer(MemoryDirectory::new()), get().method(Method::HEAD)).await;
    assert_eq!((answer.head.status.as_u16(), answer.body.len()), (404, 0));
    let answer = send(layer(elsewhere()), get().method(Method::HEAD)).await;
    assert!(answer.header("fly-replay").is_some() && answer.body.is_empty());
}

#[tokio::test]
async fn a_browser_reads_a_page_and_never_raw_json() {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let starting = directory(Session::new(id(), SessionStatus::Starting));
    for (lookup, status) in [
        (MemoryDirectory::new(), 404),
        (starting, 503),
        (elsewhere(), 409),
    ] {
        let answer = send(layer(lookup), get().header("accept", accept)).await;
        assert_eq!(answer.head.status.as_u16(), status);
        assert!(
            answer
                .header(header::CONTENT_TYPE)
                .unwrap()
                .starts_with("text/html")
        );
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
        assert!(
            answer.body.starts_with(b"<!doctype html>")
                || answer.body.starts_with(b"<!DOCTYPE html>")
        );
    }
}

#[tokio::test]
async fn grpc_reads_a_200_with_its_status_in_the_headers() {
    let call = || {
        get()
            .method(Method::POST)
            .header("content-type", "application/grpc")
    };
    let answer = send(layer(MemoryDirectory::new()), call()).await;
    assert_eq!(answer.head.status, StatusCode::OK);
    assert_eq!(answer.header("grpc-status"), Some("5"));
    assert!(answer.body.is_empty());
    let answer = send(layer(elsewhere()), call()).await;
    assert_eq!(answer.head.status, StatusCode::OK);
    assert!(answer.header("fly-replay").is_some() && answer.header("grpc-status").is_some());
}

#[tokio::test]
async fn machine_ids_are_told_only_when_the_builder_says_so() {
    let problem = send(layer(elsewhere()).expose_internals(true), get())
        .await
        .problem();
    assert_eq!(
        (problem["machine"].as_str(), problem["owner"].as_str()),
        (Some(ME), Some(OWNER))
    );
    for layer in [layer(elsewhere()), layer(MemoryDirectory::new())] {
        let answer = send(layer, get()).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains(ME));
    }
}

#[tokio::test]
async fn the_renderer_can_be_replaced_and_no_store_still_holds() {
    let rendering = || {
        layer(MemoryDirectory::new()).render(|rejection: &Rejection, _| {
            Response::builder()
                .status(418)
                .body(Bytes::from(rejection.code().as_str()))
                .unwrap()
        })
    };
    let answer = send(rendering(), get()).await;
    assert_eq!(
        (answer.head.status.as_u16(), &answer.body[..]),
        (418, &b"session-unknown"[..])
    );
    let head = send(rendering(), get().method(Method::HEAD)).await;
    assert_eq!((head.head.status.as_u16(), head.body.len()), (418, 0));
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
}

#[tokio::test]
async fn the_wrong_machine_never_serves_under_any_header_a_client_can_send() {
    let headers = [
        (
            "fly-replay-src",
            "instance=e2863555a91708;region=iad;t=1;state=own.1",
        ),
        ("fly-replay-src", "instance=e2863555a91708;state=own.0"),
        ("fly-replay-src", "garbage;;;=;state="),
        (
            "fly-replay-failed",
            "instance=e2863555a91708;reason=no_candidate",
        ),
        ("fly-replay-failed", ""),
        ("fly-replay-cache-status", "hit"),
        ("fly-preferred-instance-unavailable", OWNER),
        ("fly-preferred-instance-unavailable", ME),
        ("fly-force-instance-id", ME),
        ("fly-prefer-instance-id", ME),
        ("fly-replay", "instance=56837ddda10348"),
        ("x-forwarded-host", "e2863555a91708.example.com"),
        ("host", "e2863555a91708.example.com"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("accept", "text/html"),
        ("content-type", "application/grpc"),
        ("content-length", "18446744073709551616"),
        ("x-http-method-override", "GET"),
    ];
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    for method in methods {
        for first in headers {
            for second in headers {
                for builder in [layer(elsewhere()), redirecting(elsewhere())] {
                    let request = get()
                        .method(method.clone())
                        .header(first.0, first.1)
                        .header(second.0, second.1);
                    let answer = send(builder, request).await;
                    assert!(
                        !answer.body.starts_with(b"the application"),
                        "{method} {first:?} {second:?}"
                    );
                    assert!(answer.header(header::CACHE_CONTROL).is_some());
                }
            }
        }
    }
}
