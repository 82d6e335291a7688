//! gRPC calls, over HTTP/2 from end to end.

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
use tower_ownership::{Header, MemoryDirectory, SessionId};

use super::{builder, forward, session_at};
use crate::fleet::{OWNER, Server, WRONG, new_session};
use crate::support::client::SOON;

struct Pair {
    wrong: Server,
    owner: Server,
    health: HealthReporter,
    session: SessionId,
}

async fn grpc(
    machine: &str,
    sessions: &MemoryDirectory,
    status: ServingStatus,
) -> (Server, HealthReporter) {
    let (health, service) = health_reporter();
    health.set_service_status("app", status).await;
    let layer = builder(machine, sessions)
        .session(Header::named("x-session-id").unwrap())
        .forward(forward())
        .build()
        .unwrap();
    let server = Server::with(async move |listener| {
        GrpcServer::builder()
            .layer(layer)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    })
    .await;
    (server, health)
}

impl Pair {
    async fn start() -> Self {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        let (wrong, _) = grpc(WRONG, &sessions, ServingStatus::NotServing).await;
        let (owner, health) = grpc(OWNER, &sessions, ServingStatus::Serving).await;
        sessions.insert(session_at(&session, OWNER, &owner.url("")));
        Self {
            wrong,
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
