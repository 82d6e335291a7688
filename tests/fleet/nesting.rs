//! axum's `nest` takes its prefix off the path, and what is inside sees the rest. These tests say
//! where to put the layer, and that the wrong place fails closed where a handler asks for `Owned`.

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get as on_get;
use axum::{Extension, Router};
use tower::make::Shared;
use tower::{Layer, ServiceExt};
use tower_ownership::testing::{EdgeErrorKind, FlyEdge, HopKind};
use tower_ownership::{
    FlyReplay, MemoryDirectory, Owned, OwnershipLayerBuilder, PathSegment, Session, SessionId,
    replay::ReplayCache,
};

use crate::fleet::{OWNER, Server, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::get;

fn theirs() -> (MemoryDirectory, SessionId) {
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
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
async fn answers(router: impl Fn(MemoryDirectory) -> Router, path: &str) -> (u16, u16) {
    let (sessions, theirs) = theirs();
    let mine = new_session();
    sessions.insert(Session::owned_by(mine.clone(), machine_id(WRONG)));
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
    let merged = |sessions: MemoryDirectory| {
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

#[tokio::test]
async fn around_the_router_as_a_service_it_runs_before_anything_is_routed() {
    let (sessions, theirs) = theirs();
    let router = Router::new().nest("/session", pages());
    let service = layer(WRONG, sessions).build().unwrap().layer(router);
    // `axum::serve` wants axum's own body back.
    let service = ServiceExt::<Request>::map_response(service, |response| response.map(Body::new));
    let server =
        Server::with(async |listener| axum::serve(listener, Shared::new(service)).await.unwrap())
            .await;
    for path in [
        format!("/session/{theirs}"),
        format!("//session/{theirs}/no/route"),
    ] {
        get(server.url(&path))
            .await
            .is_refused(409, "replay-not-honoured");
    }
    assert_eq!(get(server.url("/elsewhere")).await.status, 404);
}

/// Two machines with such routers behind an edge, and a session that [`OWNER`] owns.
struct Pair {
    edge: FlyEdge,
    session: SessionId,
    _servers: [Server; 2],
}

impl Pair {
    async fn of(router: impl Fn(&'static str, MemoryDirectory) -> Router) -> Self {
        let (sessions, session) = theirs();
        let wrong = Server::start(router(WRONG, sessions.clone())).await;
        let owner = Server::start(router(OWNER, sessions)).await;
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, wrong.addr);
        edge.add(OWNER, owner.addr);
        Self {
            edge,
            session,
            _servers: [wrong, owner],
        }
    }

    async fn ask(&self) -> (u16, String) {
        let answer = get(self.edge.url(&format!("/app/session/{}", self.session))).await;
        (answer.status, answer.text)
    }

    /// What two requests come to, hop by hop.
    async fn hops_of_two(&self) -> Vec<HopKind> {
        for _ in 0..2 {
            assert_eq!(self.ask().await, (200, self.session.to_string()));
        }
        let hops = self.edge.hops().into_iter();
        hops.map(|hop| hop.kind).collect()
    }
}

fn remembering(machine: &str, sessions: MemoryDirectory, prefix: &str) -> OwnershipLayerBuilder {
    layer(machine, sessions).replay(FlyReplay::new().cache(ReplayCache::under(prefix)))
}

/// `/app/session/{id}`, with a layer that sees only `/session/{id}`.
fn inside(layer: OwnershipLayerBuilder) -> Router {
    let layer = layer.session(after("/session")).build().unwrap();
    Router::new().nest("/app", Router::new().nest("/session", pages()).layer(layer))
}

#[tokio::test]
async fn outside_of_a_nested_router_the_replay_cache_knows_the_path_that_the_proxy_knows() {
    let pair = Pair::of(|machine, sessions| {
        let layer = remembering(machine, sessions, "/app/session").session(after("/app/session"));
        Router::new()
            .nest("/app/session", pages())
            .layer(layer.build().unwrap())
    })
    .await;
    let expected = [HopKind::Landed, HopKind::Replayed, HopKind::CacheHit];
    assert_eq!(pair.hops_of_two().await, expected);
}

#[tokio::test]
async fn inside_of_a_nested_router_nothing_is_remembered_under_the_proxys_prefix() {
    let pair = Pair::of(|machine, sessions| inside(remembering(machine, sessions, "/app/session")));
    let (landed, replayed) = (HopKind::Landed, HopKind::Replayed);
    let expected = [landed, replayed, landed, replayed];
    assert_eq!(pair.await.hops_of_two().await, expected);
}

#[tokio::test]
async fn inside_of_a_nested_router_the_proxy_refuses_the_prefix_that_is_left() {
    let pair =
        Pair::of(|machine, sessions| inside(remembering(machine, sessions, "/session"))).await;
    assert_eq!(pair.ask().await, (502, String::new()));
    assert_eq!(pair.edge.events()[0].kind, EdgeErrorKind::MalformedReplay);
}
