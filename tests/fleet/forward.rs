//! Machines that carry requests to each other, without any proxy.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tower_ownership::forward::{Forward, Forwarding};
use tower_ownership::{
    Address, CachePolicy, MemoryDirectory, OwnershipLayer, OwnershipLayerBuilder, PathSegment,
    Session, SessionId,
};

use crate::application::Application;
use crate::fleet::{OWNER, Server, WRONG, machine_id, new_session};

mod bodies;
mod calls;
mod clients;
mod connect;
mod connections;
mod containers;
mod draining;
mod expectations;
mod failures;
mod grpc_web;
mod grpcio;
mod heads;
mod hops;
mod mcp;
mod requests;
mod streams;
mod targets;
mod tls;
mod tunnels;
mod upgrades;

/// Where the machines of these tests are.
const HERE: [&str; 1] = ["127.0.0.0/8"];

fn builder(machine: &str, sessions: &MemoryDirectory) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(sessions.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine_id(machine))
        // What these tests change, they want to see in the next answer.
        .cache_policy(CachePolicy::always_ask())
}

fn forward() -> Forward {
    Forward::to_owner_address(HERE).unwrap()
}

/// Fails soon, for owners that do not answer.
fn impatient() -> Forward {
    forward()
        .connect_timeout(Duration::from_millis(500))
        .response_timeout(Duration::from_millis(200))
}

fn layer(
    machine: &str,
    sessions: &MemoryDirectory,
    forward: Forward,
) -> OwnershipLayer<Forwarding> {
    builder(machine, sessions).forward(forward).build().unwrap()
}

fn session_at(id: &SessionId, machine: &str, at: &str) -> Session {
    let address: Address = at.parse().unwrap();
    Session::owned_by(id.clone(), machine_id(machine)).with_address(address)
}

/// One machine: its application within a layer that forwards.
struct Machine {
    id: &'static str,
    application: Application,
    server: Server,
}

impl Machine {
    async fn start(id: &'static str, sessions: &MemoryDirectory, forward: Forward) -> Self {
        Self::with(id, layer(id, sessions, forward), |router| router).await
    }

    async fn with(
        id: &'static str,
        layer: OwnershipLayer<Forwarding>,
        more: impl FnOnce(Router) -> Router,
    ) -> Self {
        let application = Application::on(id);
        let router = more(application.router()).layer(layer);
        Self {
            id,
            application,
            server: Server::start(router).await,
        }
    }
}

/// Two machines with one directory, and no proxy.
struct Pair {
    sessions: MemoryDirectory,
    wrong: Machine,
    owner: Machine,
}

impl Pair {
    async fn start() -> Self {
        Self::with(|router| router).await
    }

    /// With more routes at the owner.
    async fn with(more: impl FnOnce(Router) -> Router) -> Self {
        Self::by(forward(), more).await
    }

    async fn by(carrying: Forward, more: impl FnOnce(Router) -> Router) -> Self {
        let sessions = MemoryDirectory::new();
        let wrong = Machine::start(WRONG, &sessions, carrying).await;
        let at_owner = layer(OWNER, &sessions, forward());
        let owner = Machine::with(OWNER, at_owner, more).await;
        Self {
            sessions,
            wrong,
            owner,
        }
    }

    /// A new session of the owner.
    fn session(&self) -> SessionId {
        let id = new_session();
        self.give(&id, &self.owner);
        id
    }

    fn give(&self, id: &SessionId, to: &Machine) {
        let at = to.server.url("");
        self.sessions.insert(session_at(id, to.id, &at));
    }

    /// The URL of a session's path at the machine that does not own it.
    fn url(&self, session: &SessionId, rest: &str) -> String {
        self.wrong.server.url(&format!("/session/{session}{rest}"))
    }
}

/// A machine that forwards, in front of an owner that is no layer but whatever the test makes of it.
struct Alone {
    wrong: Machine,
    session: SessionId,
}

impl Alone {
    async fn before(owner: SocketAddr, forward: Forward) -> Self {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        sessions.insert(session_at(&session, OWNER, &format!("http://{owner}")));
        let wrong = Machine::start(WRONG, &sessions, forward).await;
        Self { wrong, session }
    }

    fn url(&self) -> String {
        self.wrong.server.url(&format!("/session/{}", self.session))
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}
