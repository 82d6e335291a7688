//! gRPC calls, over HTTP/2 from end to end.

use std::time::Duration;

use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server as GrpcServer};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Answered;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::{HealthReporter, health_reporter};
use tower_ownership::{Header, MemoryDirectory, Node, NodeState, SessionId};

use super::{builder, forward, session_at};
use crate::fleet::{OWNER, Server, WRONG, new_session};
use crate::support::client::SOON;

struct Pair {
    wrong: Server,
    /// The node of the machine that carries.
    carrier: Node,
    owner: Server,
    health: HealthReporter,
    session: SessionId,
}

async fn grpc(
    machine: &str,
    sessions: &MemoryDirectory,
    status: ServingStatus,
) -> (Server, HealthReporter, Node) {
    let (health, service) = health_reporter();
    health.set_service_status("app", status).await;
    let layer = builder(machine, sessions)
        .session(Header::named("x-session-id").unwrap())
        .forward(forward().stream_grace(Duration::from_millis(100)))
        .build()
        .unwrap();
    let node = layer.node().clone();
    let server = Server::with(async move |listener| {
        GrpcServer::builder()
            .layer(layer)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    })
    .await;
    (server, health, node)
}

impl Pair {
    async fn start() -> Self {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        let (wrong, _, carrier) = grpc(WRONG, &sessions, ServingStatus::NotServing).await;
        let (owner, health, _) = grpc(OWNER, &sessions, ServingStatus::Serving).await;
        sessions.insert(session_at(&session, OWNER, &owner.url("")));
        Self {
            wrong,
            carrier,
            owner,
            health,
            session,
        }
    }

    async fn client(&self) -> HealthClient<tonic::transport::Channel> {
        let wrong = Endpoint::from_shared(self.wrong.url("")).unwrap();
        HealthClient::new(wrong.connect().await.unwrap())
    }

    fn asking(&self) -> Request<HealthCheckRequest> {
        let mut request = Request::new(HealthCheckRequest {
            service: "app".into(),
        });
        let session = self.session.to_string().parse().unwrap();
        request.metadata_mut().insert("x-session-id", session);
        request
    }

    async fn check(&self) -> Result<Answered, Status> {
        let answer = self.client().await.check(self.asking()).await?;
        Ok(answer.into_inner().status())
    }
}

#[tokio::test]
async fn unary_calls_reach_the_owner() {
    let pair = Pair::start().await;
    assert_eq!(pair.check().await.unwrap(), Answered::Serving);
    let calls = (0..200).map(|_| pair.check());
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap(), Answered::Serving);
    }
}

#[tokio::test]
async fn a_status_comes_back_in_trailers() {
    let pair = Pair::start().await;
    let mut unknown = pair.asking();
    unknown.get_mut().service = "unknown".into();
    let status = pair.client().await.check(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.metadata().get("ownership-code"), None);
}

#[tokio::test]
async fn a_stream_arrives_message_by_message() {
    let mut pair = Pair::start().await;
    let watch = pair.client().await.watch(pair.asking()).await.unwrap();
    let mut watch = watch.into_inner();
    for (next, now) in [
        (ServingStatus::NotServing, Answered::Serving),
        (ServingStatus::Serving, Answered::NotServing),
    ] {
        let message = timeout(SOON, watch.next()).await.expect("not held back");
        assert_eq!(message.unwrap().unwrap().status(), now);
        pair.health.set_service_status("app", next).await;
    }
    // A call that breaks is an error, and no end that looks like one.
    let message = timeout(SOON, watch.next()).await.unwrap();
    assert_eq!(message.unwrap().unwrap().status(), Answered::Serving);
    pair.owner.stop().await;
}

#[tokio::test]
async fn an_owner_that_is_down_is_unavailable() {
    let mut pair = Pair::start().await;
    pair.owner.stop().await;
    let status = pair.check().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let message = status.message();
    assert!(message.starts_with("owner-unreachable: "), "{message}");
}

type Bytes = axum::body::Bytes;
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Starts a call of a client with a connection of its own.
async fn call(
    addr: std::net::SocketAddr,
    path: String,
    body: Body,
) -> http::Response<hyper::body::Incoming> {
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (run, io) = (
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    );
    let (mut sender, connection) = hyper::client::conn::http2::handshake(run, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let call = http::Request::post(format!("http://{addr}{path}"))
        .header("content-type", "application/grpc")
        .body(body);
    sender.send_request(call.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_stalled_call_of_one_client_delays_no_other_client() {
    use http_body_util::{BodyExt as _, Full, StreamBody};

    let chunks = || {
        let chunk = Bytes::from(vec![1; 65_536]);
        futures_util::stream::repeat_with(move || Ok::<_, std::convert::Infallible>(chunk.clone()))
    };
    let pair = super::Pair::with(|router| {
        // One reads no body, and one writes without end.
        let hold = async |body: axum::body::Body| {
            std::future::pending::<()>().await;
            drop(body);
        };
        let flood = async move || axum::body::Body::from_stream(chunks());
        let length = async |body: Bytes| body.len().to_string();
        router
            .route("/session/{id}/hold", axum::routing::post(hold))
            .route("/session/{id}/flood", axum::routing::post(flood))
            .route("/session/{id}/length", axum::routing::post(length))
    })
    .await;
    let (session, addr) = (pair.session(), pair.wrong.server.addr);
    let path = |rest| format!("/session/{session}/{rest}");
    let full = |length| Full::new(Bytes::from(vec![1; length])).boxed_unsync();
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&sent);
    let endless = StreamBody::new(chunks().map(move |chunk| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        chunk.map(hyper::body::Frame::data)
    }));
    let held = tokio::spawn(call(addr, path("hold"), endless.boxed_unsync()));
    let mut last = 0;
    crate::support::until_async("the upload stalls", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = sent.load(std::sync::atomic::Ordering::SeqCst);
        std::mem::replace(&mut last, now) == now && now > 0
    })
    .await;
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(call(addr, path("flood"), full(5)).await);
    }
    let answer = timeout(SOON, call(addr, path("length"), full(5))).await;
    let answer = answer.expect("it does not wait for other clients");
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "5");
    held.abort();
}

#[tokio::test]
async fn a_stream_that_a_draining_machine_carries_ends_as_unavailable() {
    let pair = Pair::start().await;
    let watch = pair.client().await.watch(pair.asking()).await;
    let mut watch = watch.unwrap().into_inner();
    let first = timeout(SOON, watch.next()).await.unwrap().unwrap();
    assert_eq!(first.unwrap().status(), Answered::Serving);
    pair.carrier.advance(NodeState::Draining);
    let end = timeout(SOON, watch.next()).await.unwrap().unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
}
