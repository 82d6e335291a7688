//! The layer around each kind of server, over real sockets: directly and through the edge.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Path;
use axum::routing::get as on_get;
use axum::{Extension, Router};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use reqwest::Method;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_ownership::testing::FlyEdge;
use tower_ownership::{
    Header, MemoryDirectory, Owned, OwnershipLayer, Session, SessionAbsent, SessionId,
};

use crate::fleet::{OWNER, Server, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::{Answer, get, request, send};

/// Two servers behind an edge, and a session that [`OWNER`] owns.
struct Pair {
    wrong: Server,
    owner: Server,
    edge: FlyEdge,
    session: SessionId,
}

impl Pair {
    async fn of<F, W>(serve: F) -> Self
    where
        F: Fn(TcpListener, &'static str, MemoryDirectory) -> W,
        W: Future<Output = ()> + Send + 'static,
    {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
        let wrong = Server::with(|listener| serve(listener, WRONG, sessions.clone())).await;
        let owner = Server::with(|listener| serve(listener, OWNER, sessions.clone())).await;
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, wrong.addr);
        edge.add(OWNER, owner.addr);
        Self {
            wrong,
            owner,
            edge,
            session,
        }
    }

    /// Whatever the framework is, this is what the layer does around it.
    async fn serves_at_the_owner_only(&self) {
        let path = format!("/session/{}", self.session);
        for url in [self.owner.url(&path), self.edge.url(&path)] {
            let answer = get(url).await;
            assert_eq!(
                (answer.status, answer.text),
                (200, format!("{} at {OWNER}", self.session))
            );
        }
        let answer = get(self.wrong.url(&path)).await;
        answer.is_refused(409, "replay-not-honoured");
        let replay = answer.header("fly-replay").unwrap();
        assert!(
            replay.starts_with(&format!("instance={OWNER};")),
            "{replay}"
        );
        let unknown = format!("/session/{}", new_session());
        for base in [self.owner.url(""), self.wrong.url(""), self.edge.url("")] {
            get(format!("{base}{unknown}"))
                .await
                .is_refused(404, "session-unknown");
            assert_eq!(get(format!("{base}/healthz")).await.text, "healthy");
        }
    }
}

fn serve(machine: &'static str) -> axum::routing::MethodRouter {
    on_get(
        async move |Path(id): Path<SessionText>, Extension(owned): Extension<Owned>| {
            assert_eq!(
                id,
                owned.id().to_string(),
                "the proof is for the session in the path"
            );
            format!("{} at {machine}", owned.id())
        },
    )
}
type SessionText = String;

#[tokio::test]
async fn around_a_whole_axum_router() {
    let pair = Pair::of(|listener, machine, sessions| {
        let router = Router::new()
            .route("/session/{id}", serve(machine))
            .route("/healthz", on_get(async || "healthy"))
            .layer(layer(machine, sessions).build().unwrap());
        async move { axum::serve(listener, router).await.unwrap() }
    })
    .await;
    pair.serves_at_the_owner_only().await;

    // Around the whole router it also guards what the router has no route for.
    let path = format!("/session/{}/no/such/route", pair.session);
    assert_eq!(get(pair.edge.url(&path)).await.code(), None);
    get(pair.wrong.url(&path))
        .await
        .is_refused(409, "replay-not-honoured");
}

async fn with_route_layer() -> Pair {
    Pair::of(|listener, machine, sessions| {
        // Also reads a header, so that a request for any route can name a session.
        let header = Header::named("x-session-id").unwrap();
        let path = tower_ownership::PathSegment::after("/session").unwrap();
        let both = tower_ownership::extract::FirstOf::new(path).or(header);
        let router = Router::new()
            .route("/session/{id}", serve(machine))
            .route_layer(layer(machine, sessions).session(both).build().unwrap())
            // Added after the layer, so outside of it.
            .route("/healthz", on_get(async || "healthy"));
        async move { axum::serve(listener, router).await.unwrap() }
    })
    .await
}

#[tokio::test]
async fn around_the_routes_of_an_axum_router() {
    let pair = with_route_layer().await;
    pair.serves_at_the_owner_only().await;
}

#[tokio::test]
async fn routes_outside_of_a_route_layer_are_not_asked_for_a_session() {
    let pair = with_route_layer().await;
    for id in ["nonsense".to_owned(), pair.session.to_string()] {
        let asking = request(Method::GET, pair.wrong.url("/healthz"));
        let answer = send(asking.header("x-session-id", id)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "healthy"));
    }
    // A route layer does not run where no route matches: axum's own 404, on any machine.
    let path = format!("/session/{}/no/such/route", pair.session);
    let answer = get(pair.wrong.url(&path)).await;
    assert_eq!((answer.status, answer.code()), (404, None));
}

fn bare(request: &Request<Incoming>, machine: &str) -> Response<Full<Bytes>> {
    let text = match request.extensions().get::<Owned>() {
        Some(owned) => format!("{} at {machine}", owned.id()),
        None => "healthy".to_owned(),
    };
    Response::new(Full::new(text.into()))
}

#[tokio::test]
async fn around_a_bare_hyper_service() {
    let pair = Pair::of(|listener, machine, sessions| {
        let layer = layer(machine, sessions).build().unwrap();
        let service = layer.layer(service_fn(async move |request| {
            Ok::<_, Infallible>(bare(&request, machine))
        }));
        async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        }
    })
    .await;
    pair.serves_at_the_owner_only().await;
}

#[tokio::test]
async fn layers_outside_and_inside_of_ours_keep_working() {
    // Ours replaces the response body's type; what stands around it must not care.
    let pair = Pair::of(|listener, machine, sessions| {
        let noting = axum::middleware::from_fn(
            async |request: axum::extract::Request, next: axum::middleware::Next| {
                let mut response = next.run(request).await;
                response
                    .headers_mut()
                    .insert("x-noted", "yes".parse().unwrap());
                response.map(|body| Body::new(body.map_frame(|frame| frame)))
            },
        );
        let router = Router::new()
            .route("/session/{id}", serve(machine))
            .route("/healthz", on_get(async || "healthy"))
            .layer(noting.clone())
            .layer(layer(machine, sessions).build().unwrap())
            .layer(noting);
        async move { axum::serve(listener, router).await.unwrap() }
    })
    .await;
    pair.serves_at_the_owner_only().await;
    let refused = get(pair.wrong.url(&format!("/session/{}", pair.session))).await;
    assert_eq!(refused.header("x-noted"), Some("yes"));
}

#[tokio::test]
async fn an_application_that_lost_the_session_says_so_through_every_hop() {
    let pair = Pair::of(|listener, machine, sessions| {
        let router = Router::new()
            .route("/session/{id}", on_get(async || Extension(SessionAbsent)))
            .layer(layer(machine, sessions).build().unwrap());
        async move { axum::serve(listener, router).await.unwrap() }
    })
    .await;
    let answer: Answer = get(pair.edge.url(&format!("/session/{}", pair.session))).await;
    answer.is_refused(410, "session-absent");
    assert_eq!(answer.json()["sessionId"], pair.session.to_string());
}

#[tokio::test]
async fn one_layer_serves_many_routers() {
    // What a process with several listeners does: one layer, cloned.
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let shared: OwnershipLayer = layer(OWNER, sessions).build().unwrap();
    for _ in 0..2 {
        let router = Router::new()
            .route("/session/{id}", serve(OWNER))
            .layer(shared.clone());
        let server = Server::start(router).await;
        let answer = get(server.url(&format!("/session/{session}"))).await;
        assert_eq!(answer.status, 200);
    }
}
