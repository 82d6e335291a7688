//! axum's `nest` takes its prefix off the path, and what is inside sees the rest. These tests say
//! where to put the layer, and that the wrong place fails closed where a handler asks for `Owned`.

use axum::routing::get as on_get;
use axum::{Extension, Router};
use tower_ownership::{MemoryLookup, Owned, PathSegment, Session, SessionId};

use crate::client::get;
use crate::fleet::{OWNER, Server, WRONG, layer, machine_id, new_session};

fn theirs() -> (MemoryLookup, SessionId) {
    let (sessions, session) = (MemoryLookup::new(), new_session());
    sessions.insert(Session::owned_by(session, machine_id(OWNER)));
    (sessions, session)
}

fn pages() -> Router {
    Router::new().route(
        "/{id}",
        on_get(async |Extension(owned): Extension<Owned>| owned.id().to_string()),
    )
}

fn after(prefix: &str) -> PathSegment {
    PathSegment::after(prefix).unwrap()
}

/// What a request for the session of another machine gets, and one for a session of this machine.
async fn answers(router: impl Fn(MemoryLookup) -> Router, path: &str) -> (u16, u16) {
    let (sessions, theirs) = theirs();
    let mine = new_session();
    sessions.insert(Session::owned_by(mine, machine_id(WRONG)));
    let server = Server::start(router(sessions)).await;
    let status = async |id: SessionId| {
        get(server.url(&path.replace("ID", &id.to_string())))
            .await
            .status
    };
    (status(theirs).await, status(mine).await)
}

#[tokio::test]
async fn outside_of_a_nested_router_the_layer_sees_the_whole_path() {
    let around_everything = |sessions| {
        let layer = layer(WRONG, sessions).session(after("/app/session"));
        Router::new()
            .nest("/app/session", pages())
            .layer(layer.build().unwrap())
    };
    assert_eq!(
        answers(around_everything, "/app/session/ID").await,
        (409, 200)
    );
}

#[tokio::test]
async fn inside_of_a_nested_router_the_layer_sees_what_is_left_of_the_path() {
    let inside = |sessions| {
        let layer = layer(WRONG, sessions).session(after("/"));
        Router::new().nest("/app/session", pages().layer(layer.build().unwrap()))
    };
    assert_eq!(answers(inside, "/app/session/ID").await, (409, 200));
}

#[tokio::test]
async fn a_prefix_that_the_router_took_off_finds_no_session_and_the_handler_is_not_reached() {
    let inside = |sessions| {
        // Wrong on purpose: inside, the path is only `/ID`.
        let layer = layer(WRONG, sessions).session(after("/app/session"));
        Router::new().nest("/app/session", pages().layer(layer.build().unwrap()))
    };
    // Both pass the layer as requests for no session; without `Owned` axum does not call the
    // handler.
    assert_eq!(answers(inside, "/app/session/ID").await, (500, 500));
}

#[tokio::test]
async fn merged_routers_keep_their_own_layers() {
    let merged = |sessions: MemoryLookup| {
        let layer = layer(WRONG, sessions).build().unwrap();
        let pages = Router::new().nest("/session", pages());
        Router::new()
            .route("/healthz", on_get(async || "healthy"))
            .merge(pages.layer(layer))
    };
    assert_eq!(answers(merged, "/session/ID").await, (409, 200));
    let (sessions, _) = theirs();
    let server = Server::start(merged(sessions)).await;
    assert_eq!(get(server.url("/healthz")).await.text, "healthy");
}
