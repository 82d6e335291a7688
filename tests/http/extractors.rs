//! What handlers of axum take and return: the feature `axum`, over a real server.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request, middleware::Next, routing::get as on_get};
use bytes::Bytes;
use http::Response;
use tower_ownership::{
    FlyReplay, Observe, Owned, OwnershipLayerBuilder, PathSegment, Rejection, SessionAbsent,
    axum::OwnedRejection, observe::Observed, render::RenderContext,
};

use crate::support::{
    client::{Answer, HTML, get, request, send},
    fixture::{ME, SESSION, machine, owned_by},
    server::serve,
};

/// The words of the layer for a request without a session, with and without an extractor.
const MISSING: &str = "A session is looked for in the path segment after /session/, and this \
                       request names none there.";

fn builder() -> OwnershipLayerBuilder {
    tower_ownership::OwnershipLayer::builder(owned_by(ME))
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

async fn owned(owned: Owned) -> String {
    format!("owned {}", owned.id())
}

async fn perhaps(owned: Option<Owned>) -> String {
    owned.map_or("none".to_owned(), |owned| format!("some {}", owned.id()))
}

async fn fallible(owned: Result<Owned, OwnedRejection>) -> Result<String, OwnedRejection> {
    owned.map(|owned| owned.id().to_string())
}

async fn absent(_: Owned) -> Result<String, SessionAbsent> {
    Err(SessionAbsent)
}

fn routes() -> Router {
    Router::new()
        .route("/session/{id}", on_get(owned))
        .route("/session/{id}/perhaps", on_get(perhaps))
        .route("/session/{id}/absent", on_get(absent))
        .route("/owned", on_get(owned))
        .route("/perhaps", on_get(perhaps))
        .route("/fallible", on_get(fallible))
        .route("/absent", on_get(async || SessionAbsent))
}

/// One request to the routes in the layer.
async fn ask(layer: OwnershipLayerBuilder, path: &str) -> Answer {
    let router = routes().layer(layer.build().unwrap());
    ask_router(router, path).await
}

async fn ask_router(router: Router, path: &str) -> Answer {
    let path = path.replace("{id}", SESSION);
    get(format!("http://{}{path}", serve(router).await)).await
}

fn is_mistake(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.text.as_str()), (500, text));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[tokio::test]
async fn a_handler_takes_the_session_that_its_request_names() {
    let answer = ask(builder(), "/session/{id}").await;
    assert_eq!(
        (answer.status, answer.text),
        (200, format!("owned {SESSION}"))
    );
    let answer = ask(builder(), "/session/{id}/perhaps").await;
    assert_eq!(answer.text, format!("some {SESSION}"));
}

#[tokio::test]
async fn an_optional_session_is_none_where_the_request_names_none() {
    let answer = ask(builder(), "/perhaps").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "none"));
}

#[tokio::test]
async fn a_handler_that_needs_a_session_is_as_a_layer_that_requires_one() {
    for path in ["/owned", "/fallible"] {
        let answer = ask(builder(), path).await;
        answer.is_refused(404, "session-missing");
        let required = ask(builder().requires_session(), path).await;
        required.is_refused(404, "session-missing");
        for answer in [answer, required] {
            assert_eq!(answer.json()["detail"], MISSING);
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}

#[tokio::test]
async fn a_missing_session_is_told_in_the_form_that_the_client_reads() {
    let addr = serve(routes().layer(builder().build().unwrap())).await;
    let url = format!("http://{addr}/owned");
    let asking = request(reqwest::Method::GET, url.clone()).header("accept", HTML);
    let answer = send(asking).await;
    answer.is_refused(404, "session-missing");
    assert!(answer.text.contains("Nothing was chosen to open"));
    let answer = send(request(reqwest::Method::HEAD, url)).await;
    assert_eq!((answer.status, answer.text.as_str()), (404, ""));
}

#[tokio::test]
async fn the_renderer_and_the_observer_of_the_layer_take_part() {
    #[derive(Clone, Default)]
    struct Verdicts(Arc<Mutex<Vec<String>>>);
    impl Observe for Verdicts {
        fn observe(&self, seen: &Observed<'_>) {
            self.0.lock().unwrap().push(format!("{:?}", seen.verdict));
        }
    }
    let verdicts = Verdicts::default();
    let render = |rejection: &Rejection, _: RenderContext| {
        Response::new(Bytes::from(format!("mine: {}", rejection.code().as_str())))
    };
    let layer = builder().render(render).on_verdict(verdicts.clone());
    assert_eq!(ask(layer, "/owned").await.text, "mine: session-missing");
    let verdicts = verdicts.0.lock().unwrap().clone();
    assert_eq!(verdicts, ["Pass", "Reject(SessionMissing)"]);
}

#[tokio::test]
async fn a_route_without_a_layer_says_so() {
    for path in ["/owned", "/session/{id}", "/fallible"] {
        is_mistake(
            &ask_router(routes(), path).await,
            "The handler takes `Owned`, and there is no `OwnershipLayer` around its route.\n",
        );
    }
}

#[tokio::test]
async fn a_layer_that_does_not_tell_its_handlers_says_so() {
    let answer = ask(builder().insert_owned(false), "/session/{id}").await;
    is_mistake(
        &answer,
        "The handler takes `Owned`, and the `OwnershipLayer` around its route does not insert it: \
         it was built with `insert_owned(false)`.\n",
    );
    // That no session is named is true all the same.
    let answer = ask(builder().insert_owned(false), "/owned").await;
    answer.is_refused(404, "session-missing");
}

#[tokio::test]
async fn a_middleware_that_drops_extensions_is_told_as_that() {
    let drops = axum::middleware::from_fn(async |mut request: Request, next: Next| {
        request.extensions_mut().remove::<Owned>();
        next.run(request).await
    });
    let router = routes().layer(drops).layer(builder().build().unwrap());
    is_mistake(
        &ask_router(router, "/session/{id}").await,
        "The handler takes `Owned`, and a middleware between the `OwnershipLayer` and the handler \
         removed it from the request's extensions.\n",
    );
}

#[tokio::test]
async fn a_handler_returns_that_it_does_not_hold_the_session() {
    let answer = ask(builder(), "/session/{id}/absent").await;
    answer.is_refused(410, "session-absent");
    assert_eq!(answer.json()["sessionId"], SESSION);
}

#[tokio::test]
async fn an_absent_session_is_not_found_where_no_layer_answers_for_it() {
    for answer in [
        ask_router(routes(), "/absent").await,
        ask(builder(), "/absent").await,
    ] {
        assert_eq!(
            (answer.status, answer.code(), answer.text.as_str()),
            (404, None, "This machine does not hold the session.\n")
        );
    }
}

#[tokio::test]
async fn a_handler_takes_the_registrar() {
    async fn create(registrar: tower_ownership::ownership::Registrar) -> String {
        let id: tower_ownership::SessionId = uuid::Uuid::new_v4().into();
        let owned = registrar.register(id).await.unwrap();
        format!("registered {:?}", owned.epoch())
    }
    let sessions = owned_by(ME);
    let layer = tower_ownership::OwnershipLayer::builder(sessions.clone())
        .directory(sessions)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new());
    let router = |layer: OwnershipLayerBuilder| {
        let routes = Router::new().route("/rooms", on_get(create));
        routes.layer(layer.build().unwrap())
    };
    let answer = ask_router(router(layer.insert_registrar()), "/rooms").await;
    assert_eq!(answer.text, "registered Some(1)");
    let answer = ask_router(router(builder()), "/rooms").await;
    is_mistake(
        &answer,
        "The handler takes `Registrar`, and there is no `OwnershipLayer` around its route that was \
         built with `insert_registrar()`.\n",
    );
}
