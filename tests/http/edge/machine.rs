//! Machines behind the edge, and clients in front of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tower_ownership::testing::{EdgeErrorKind, FlyEdge, FlyEdgeBuilder};

pub const ONE: &str = "5683d9a1b2c3d4";
pub const TWO: &str = "e286544f716d89";
pub const THREE: &str = "90801679a10038";

/// A request as a machine saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A field of a header such as `fly-replay-src`.
    pub fn field(&self, header: &str, field: &str) -> Option<&str> {
        self.header(header)?
            .split(';')
            .find_map(|part| part.strip_prefix(field)?.strip_prefix('='))
    }
}

/// A machine that remembers what it saw.
#[derive(Clone, Debug)]
pub struct Machine {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Machine {
    /// Answers with what `answer` makes of each request, once that has been read to its end.
    pub async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Seen) -> Response + Send + Sync + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, memory) = (Arc::new(answer), Arc::clone(&seen));
        let addr = serve(move |request| {
            let (answer, memory) = (Arc::clone(&answer), Arc::clone(&memory));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap();
                let trailers = body.trailers().cloned();
                let request = Seen {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body: body.to_bytes(),
                    trailers,
                };
                let response = answer(&request);
                memory.lock().unwrap().push(request);
                response
            }
        })
        .await;
        Self { addr, seen }
    }

    /// Answers 200 with its name.
    pub async fn named(name: &'static str) -> Self {
        Self::start(move |_| Response::new(Body::from(name))).await
    }

    /// Answers with a replay, the way our middleware does.
    pub async fn replaying(instruction: &'static str) -> Self {
        Self::start(move |_| replay(instruction)).await
    }

    /// Answers with a replay the first time it sees a request, and 200 when that falls back.
    pub async fn owning_up(name: &'static str, instruction: &'static str) -> Self {
        Self::start(move |seen| {
            if seen.headers.contains_key("fly-replay-failed") {
                Response::new(Body::from(name))
            } else {
                replay(instruction)
            }
        })
        .await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the machine saw a request")
    }
}

/// Serves HTTP/1.1 and cleartext HTTP/2 until the runtime ends.
pub async fn serve<F, W>(handler: F) -> SocketAddr
where
    F: Fn(http::Request<hyper::body::Incoming>) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = handler.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let response = handler(request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    addr
}

/// Serves an axum application until the runtime ends.
pub async fn serve_app(app: axum::Router) -> SocketAddr {
    serve(move |request: http::Request<hyper::body::Incoming>| {
        let app = app.clone();
        async move {
            let request: Request = request.map(Body::new);
            tower::ServiceExt::oneshot(app, request).await.unwrap()
        }
    })
    .await
}

pub fn replay(instruction: &str) -> Response {
    Response::builder()
        .status(409)
        .header("fly-replay", instruction)
        .header("x-emitter", "seen")
        .body(Body::from("the emitter's own text"))
        .unwrap()
}

pub fn replay_json(document: &str) -> Response {
    Response::builder()
        .header("content-type", "application/vnd.fly.replay+json")
        .body(Body::from(document.to_owned()))
        .unwrap()
}

/// An edge whose failures come quickly, with fresh requests landing on [`ONE`].
pub fn edge() -> FlyEdgeBuilder {
    FlyEdge::builder()
        .land_on(ONE)
        .connect_attempts(2)
        .connect_pause(Duration::from_millis(1))
}

/// An edge in front of these machines; the first one is where requests land.
pub async fn edge_with(machines: &[(&str, &Machine)]) -> FlyEdge {
    let edge = edge().start().await.unwrap();
    for (id, machine) in machines {
        edge.add(*id, machine.addr);
    }
    edge
}

/// An address that refuses connections: it was bound a moment ago, and never listened on.
pub fn closed_addr() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

pub async fn get(edge: &FlyEdge, path: &str) -> reqwest::Response {
    client().get(edge.url(path)).send().await.unwrap()
}

/// The name of the machine that answered.
pub async fn who(edge: &FlyEdge, path: &str) -> String {
    get(edge, path).await.text().await.unwrap()
}

pub fn kinds(edge: &FlyEdge) -> Vec<EdgeErrorKind> {
    edge.events().into_iter().map(|event| event.kind).collect()
}

/// The edge's answer when it gives up: empty, and without a word about why.
pub async fn assert_bad_gateway(response: reqwest::Response) {
    assert_eq!(response.status(), 502);
    assert!(response.headers().get("fly-replay").is_none());
    assert!(response.headers().get("x-emitter").is_none());
    assert_eq!(response.bytes().await.unwrap(), "");
}
