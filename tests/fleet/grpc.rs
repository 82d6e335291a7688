//! The layer around a tonic server: unary calls and streams, by a session in the metadata.

use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server as GrpcServer};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Answered;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::{HealthReporter, health_reporter};
use tower_ownership::testing::{EdgeMachine, FlyEdge, FlyEdgeBuilder, HopKind};
use tower_ownership::{
    FlyReplay, Header, MemoryDirectory, OwnershipLayerBuilder, Session, SessionId,
};

use crate::fleet::{OWNER, Server, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::SOON;

/// Two gRPC servers: the owner says that it serves, the wrong machine that it does not.
struct Pair {
    wrong: Server,
    owner: Server,
    health: HealthReporter,
    edge: FlyEdge,
    sessions: MemoryDirectory,
    session: SessionId,
}

fn by_metadata(machine: &str, sessions: MemoryDirectory) -> OwnershipLayerBuilder {
    layer(machine, sessions)
        .session(Header::named("x-session-id").unwrap())
        .replay(FlyReplay::new().replay_unknown_length(true))
}

async fn grpc(layer: OwnershipLayerBuilder, status: ServingStatus) -> (Server, HealthReporter) {
    let (health, service) = health_reporter();
    health.set_service_status("app", status).await;
    let layer = layer.build().unwrap();
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
        Self::with(edge(), by_metadata).await
    }

    async fn with(
        edge: FlyEdgeBuilder,
        layer: fn(&str, MemoryDirectory) -> OwnershipLayerBuilder,
    ) -> Self {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
        let wrong = layer(WRONG, sessions.clone());
        let (wrong, _) = grpc(wrong, ServingStatus::NotServing).await;
        let owner = layer(OWNER, sessions.clone());
        let (owner, health) = grpc(owner, ServingStatus::Serving).await;
        let edge = edge.start().await.unwrap();
        for (id, server) in [(WRONG, &wrong), (OWNER, &owner)] {
            edge.add_machine(EdgeMachine::new(id, server.addr).h2_backend(true));
        }
        Self {
            wrong,
            owner,
            health,
            edge,
            sessions,
            session,
        }
    }

    fn asking(&self) -> Request<HealthCheckRequest> {
        for_session(&self.session.to_string())
    }
}

fn for_session(id: &str) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest {
        service: "app".into(),
    });
    request
        .metadata_mut()
        .insert("x-session-id", id.parse().unwrap());
    request.set_timeout(SOON);
    request
}

fn client(addr: std::net::SocketAddr) -> HealthClient<Channel> {
    HealthClient::new(
        Endpoint::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect_lazy(),
    )
}

async fn check(
    addr: std::net::SocketAddr,
    request: Request<HealthCheckRequest>,
) -> Result<Answered, Status> {
    let answer = client(addr).check(request).await?;
    Ok(answer.into_inner().status())
}

#[tokio::test]
async fn a_unary_call_reaches_the_owner() {
    let pair = Pair::start().await;
    for addr in [pair.owner.addr, pair.edge.addr()] {
        let status = check(addr, pair.asking()).await.unwrap();
        assert_eq!(status, Answered::Serving);
    }
    let way: Vec<_> = pair
        .edge
        .hops()
        .into_iter()
        .map(|hop| (hop.machine, hop.kind))
        .collect();
    assert_eq!(
        way,
        [
            (WRONG.to_owned(), HopKind::Landed),
            (OWNER.to_owned(), HopKind::Replayed),
        ]
    );
}

#[tokio::test]
async fn a_call_without_a_session_is_served_where_it_lands() {
    let pair = Pair::start().await;
    let request = Request::new(HealthCheckRequest {
        service: "app".into(),
    });
    let status = check(pair.edge.addr(), request).await.unwrap();
    assert_eq!(status, Answered::NotServing, "the wrong machine's word");
}

#[tokio::test]
async fn a_stream_from_the_owner_arrives_message_by_message() {
    let pair = Pair::start().await;
    for addr in [pair.owner.addr, pair.edge.addr()] {
        let mut watch = client(addr)
            .watch(pair.asking())
            .await
            .unwrap()
            .into_inner();
        let mut expected = [
            (ServingStatus::NotServing, Answered::Serving),
            (ServingStatus::Unknown, Answered::NotServing),
            (ServingStatus::Serving, Answered::Unknown),
        ]
        .into_iter();
        // Each change is made only after the message before it is here.
        for (next, now) in expected.by_ref() {
            let message = timeout(SOON, watch.next()).await.expect("not held back");
            assert_eq!(message.unwrap().unwrap().status(), now);
            pair.health.set_service_status("app", next).await;
        }
    }
}

#[tokio::test]
async fn where_no_proxy_acts_the_call_fails_with_a_status_that_says_so() {
    let pair = Pair::with(edge().honour_replay(false), by_metadata).await;
    for addr in [pair.wrong.addr, pair.edge.addr()] {
        let status = check(addr, pair.asking()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        let message = status.message();
        assert!(message.starts_with("replay-not-honoured: "), "{message}");
        let code = status.metadata().get("ownership-code").unwrap();
        assert_eq!(code, "replay-not-honoured");

        let stream = client(addr).watch(pair.asking()).await;
        assert_eq!(stream.unwrap_err().code(), Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn an_owner_that_does_not_listen_is_unavailable() {
    let mut pair = Pair::start().await;
    pair.owner.stop().await;
    let status = check(pair.edge.addr(), pair.asking()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().starts_with("owner-unreachable: "),
        "{status:?}"
    );
    assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
}

#[tokio::test]
async fn refusals_are_statuses_of_their_own() {
    let pair = Pair::start().await;
    let starting = new_session();
    pair.sessions.insert(Session::new(
        starting.clone(),
        tower_ownership::SessionStatus::Starting,
    ));
    for (id, code, name) in [
        ("nonsense".to_owned(), Code::NotFound, "session-unknown"),
        (new_session().to_string(), Code::NotFound, "session-unknown"),
        (starting.to_string(), Code::Unavailable, "session-starting"),
    ] {
        let status = check(pair.edge.addr(), for_session(&id)).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.message().starts_with(name), "{status:?}");
    }
}

#[tokio::test]
async fn no_metadata_makes_the_wrong_server_answer() {
    let pair = Pair::with(edge().pass_forged_headers(true), by_metadata).await;
    for (name, value) in [
        ("fly-replay-src", "state=own.1"),
        ("fly-replay-src", "state=own.2"),
        ("fly-replay-failed", "reason=timeout"),
        ("fly-preferred-instance-unavailable", OWNER),
        ("fly-replay-cache-status", "hit"),
        ("x-session-id", "00000000-0000-4000-8000-000000000000"),
    ] {
        for addr in [pair.wrong.addr, pair.edge.addr()] {
            let mut asking = pair.asking();
            asking.metadata_mut().append(name, value.parse().unwrap());
            // The wrong server would say that it does not serve.
            let answer = check(addr, asking).await;
            assert_ne!(answer.ok(), Some(Answered::NotServing), "{name}: {value}");
        }
    }
    // Two sessions are none, even at their owner.
    let mut both = pair.asking();
    let other = new_session().to_string().parse().unwrap();
    both.metadata_mut().append("x-session-id", other);
    let status = check(pair.owner.addr, both).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_call_is_not_carried_unless_the_builder_lets_unknown_lengths_pass() {
    let pair = Pair::with(edge(), |machine, sessions| {
        by_metadata(machine, sessions).replay(FlyReplay::new())
    })
    .await;
    let status = check(pair.edge.addr(), pair.asking()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status.message().starts_with("not-replayable: "),
        "{status:?}"
    );
    // The owner itself takes it all the same.
    assert!(check(pair.owner.addr, pair.asking()).await.is_ok());
}
