//! What load balancers and operators are told of a machine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::Router;
use http::{Method, Request, Response, StatusCode};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_ownership::{
    FlyReplay, LookupError, MachineId, MemoryDirectory, NodeState, OwnershipLayer, PathSegment,
    SessionLookup,
    health::{Check, HealthBuilder, HealthService},
    lookup_fn,
};

use crate::support::{
    fixture::{ME, SESSION},
    server::serve,
};

fn layer(lookup: impl SessionLookup) -> OwnershipLayer {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(ME.parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .build()
        .unwrap()
}

fn well() -> HealthBuilder {
    layer(MemoryDirectory::new()).health()
}

/// A directory that fails while `down`, with more to say than anybody should read.
fn failing(down: &Arc<AtomicBool>) -> impl SessionLookup {
    let down = Arc::clone(down);
    lookup_fn(move |_| {
        let secret = format!("host=db.internal password=hunter2 session={SESSION}");
        let failed = LookupError::unavailable("no connection could be opened").with_source(secret);
        let answer = if down.load(Ordering::SeqCst) {
            Err(failed)
        } else {
            Ok(None)
        };
        async move { answer }
    })
}

async fn ask(health: &HealthService, method: Method, path: &str) -> Response<String> {
    let request = Request::builder().method(method).uri(path).body(());
    health.clone().oneshot(request.unwrap()).await.unwrap()
}

async fn ready(health: &HealthService) -> (StatusCode, Value) {
    let response = ask(health, Method::GET, "/ready").await;
    let body = serde_json::from_str(response.body()).unwrap();
    (response.status(), body)
}

async fn page(health: &HealthService) -> Value {
    let response = ask(health, Method::GET, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_str(response.body()).unwrap()
}

fn not_ready(failing: &[&str]) -> (StatusCode, Value) {
    let body = json!({ "ready": false, "failing": failing });
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

fn is_ready() -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "ready": true }))
}

#[tokio::test]
async fn a_machine_that_is_well_says_so_on_every_page() {
    let health = well().build();
    let live = ask(&health, Method::GET, "/live").await;
    assert_eq!(
        (live.status(), live.body().as_str()),
        (StatusCode::OK, r#"{"live":true}"#)
    );
    assert_eq!(ready(&health).await, is_ready());
    let page = page(&health).await;
    assert_eq!(page["ready"], true);
    let names: Vec<_> = page["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["identity", "node", "directory"]);
    assert!(page.get("machine").is_none());
    let shown = well().show_machine(true).build();
    assert_eq!(self::page(&shown).await["machine"], ME);
}

#[tokio::test]
async fn nobody_may_keep_an_answer_and_head_has_no_body() {
    let health = well().build();
    for (method, path, status) in [
        (Method::GET, "/live", 200),
        (Method::GET, "/ready", 200),
        (Method::GET, "/", 200),
        (Method::GET, "", 200),
        (Method::GET, "/liver", 404),
        (Method::POST, "/live/", 404),
        (Method::POST, "/live", 405),
        (Method::OPTIONS, "/ready", 405),
        (Method::DELETE, "/", 405),
    ] {
        let uri = format!("http://health{path}");
        let response = ask(&health, method.clone(), &uri).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/json");
        let allow = response
            .headers()
            .get("allow")
            .map(|allow| allow.to_str().unwrap());
        assert_eq!(allow, (status == 405).then_some("GET, HEAD"));
        if method == Method::GET {
            let head = ask(&health, Method::HEAD, &uri).await;
            assert_eq!(head.status(), status);
            assert!(head.body().is_empty());
            let length = response.body().len().to_string();
            assert_eq!(head.headers()["content-length"], *length);
        }
    }
}

#[tokio::test]
async fn a_machine_that_gives_its_sessions_up_is_alive_and_not_ready() {
    for (standing, failing) in [
        (NodeState::Draining, &["node"][..]),
        (NodeState::Fenced, &["identity", "node"]),
        (NodeState::Removed, &["node"]),
    ] {
        let layer = layer(MemoryDirectory::new());
        let health = layer.health().build();
        assert_eq!(ready(&health).await, is_ready());
        layer.node().advance(standing);
        assert_eq!(ready(&health).await, not_ready(failing));
        let live = ask(&health, Method::GET, "/live").await;
        assert_eq!(live.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_machine_that_waits_for_its_presence_is_ready_when_that_has_begun() {
    let layer = OwnershipLayer::builder(MemoryDirectory::new())
        .session(PathSegment::after("/session").unwrap())
        .machine(ME.parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .require_membership()
        .build()
        .unwrap();
    let health = layer.health().build();
    assert_eq!(ready(&health).await, not_ready(&["node"]));
    layer.node().joined();
    assert_eq!(ready(&health).await, is_ready());
}

#[tokio::test]
async fn a_directory_that_fails_is_said_and_may_be_tolerated() {
    let down = Arc::new(AtomicBool::new(true));
    let layer = layer(failing(&down));
    assert_eq!(
        ready(&layer.health().build()).await,
        not_ready(&["directory"])
    );
    let tolerant = layer.health().directory_optional(true).build();
    assert_eq!(ready(&tolerant).await, is_ready());
    let directory = page(&tolerant).await["components"][2].clone();
    assert_eq!(
        (&directory["ok"], &directory["required"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(directory["reason"], "no connection could be opened");
    down.store(false, Ordering::SeqCst);
    // The pause after failures ends.
    let began = Instant::now();
    let health = layer.health().build();
    while ready(&health).await != is_ready() {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "it is not asked again"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_directory_that_hangs_costs_a_probe_no_more_than_its_patience() {
    let layer = layer(lookup_fn(|_| std::future::pending()));
    let patience = Duration::from_millis(20);
    let health = layer.health().timeout(patience).build();
    assert_eq!(ready(&health).await, not_ready(&["directory"]));
}

#[tokio::test]
async fn no_page_tells_a_secret_or_a_session() {
    let down = Arc::new(AtomicBool::new(true));
    let layer = layer(failing(&down));
    let health = layer.health().canary(SESSION.parse().unwrap()).build();
    for path in ["/live", "/ready", "/", "/unknown"] {
        let response = ask(&health, Method::GET, path).await;
        for secret in ["hunter2", "db.internal", SESSION, "807efe44", ME] {
            assert!(!response.body().contains(secret), "{}", response.body());
        }
    }
}

#[tokio::test]
async fn checks_of_the_applications_count_if_they_are_required() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = {
        let full = Arc::clone(&full);
        move || {
            if full.load(Ordering::SeqCst) {
                Check::failing("it is full").with_age(Duration::from_secs(3))
            } else {
                Check::ok("there is room")
            }
        }
    };
    let health = well()
        .check("disk", disk)
        .optional_check("watch", || Check::failing("it is connecting"))
        .build();
    assert_eq!(ready(&health).await, is_ready());
    full.store(true, Ordering::SeqCst);
    assert_eq!(ready(&health).await, not_ready(&["disk"]));
    assert_eq!(
        page(&health).await["components"][3],
        json!({
            "name": "disk",
            "ok": false,
            "required": true,
            "reason": "it is full",
            "ageMs": 3_000,
        })
    );
}

#[tokio::test]
async fn a_check_that_panics_is_not_well_and_takes_nothing_along() {
    fn panics() -> Check {
        panic!("as a test wants it");
    }
    let health = well().check("mine", panics).build();
    assert_eq!(ready(&health).await, not_ready(&["mine"]));
    assert_eq!(ready(&health).await, not_ready(&["mine"]));
}

async fn status(method: Method, url: String) -> StatusCode {
    let request = reqwest::Client::new().request(method, url);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.status()
}

#[tokio::test]
async fn any_router_can_mount_it() {
    let layer = layer(MemoryDirectory::new());
    let nested = Router::new().nest_service("/health", layer.health().build());
    let whole = layer.health().path_prefix("/health/").build();
    let routed = Router::new()
        .route_service("/health", whole.clone())
        .route_service("/health/{*page}", whole.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hyper = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(whole.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });

    for addr in [serve(nested).await, serve(routed).await, hyper] {
        for (method, path, expected) in [
            (Method::GET, "/health", 200),
            (Method::GET, "/health/live", 200),
            (Method::GET, "/health/ready", 200),
            (Method::HEAD, "/health/ready", 200),
            (Method::POST, "/health/ready", 405),
            (Method::GET, "/health/nothing", 404),
        ] {
            let status = status(method.clone(), format!("http://{addr}{path}")).await;
            assert_eq!(status, expected, "{addr} {method} {path}");
        }
    }
}
