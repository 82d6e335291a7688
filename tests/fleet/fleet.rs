//! Machines that share a directory, behind an edge.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_ownership::session::SessionIds;
use tower_ownership::testing::{FlyEdge, FlyEdgeBuilder, HopKind};
use tower_ownership::{
    CachePolicy, FlyReplay, MachineId, MemoryDirectory, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, Session, SessionId, SessionLookup,
};
use uuid::Uuid;

use crate::application::Application;

/// Where every fresh request lands.
pub const WRONG: &str = "5683d9a1b2c3d4";
/// Who owns most sessions.
pub const OWNER: &str = "e286544f716d89";
/// Who sometimes comes to own one.
pub const THIRD: &str = "90801679a10038";

pub fn machine_id(name: &str) -> MachineId {
    name.parse().unwrap()
}

pub fn new_session() -> SessionId {
    Uuid::new_v4().into()
}

/// The layer of one machine, as most tests want it.
pub fn layer(machine: &str, lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine_id(machine))
        .replay(FlyReplay::new())
        // What these tests change, they want to see in the next answer.
        .cache_policy(CachePolicy::always_ask())
}

/// An edge whose failures come quickly, with fresh requests landing on [`WRONG`].
pub fn edge() -> FlyEdgeBuilder {
    FlyEdge::builder()
        .land_on(WRONG)
        .connect_attempts(2)
        .connect_pause(Duration::from_millis(1))
}

/// One HTTP server on a port of its own. It stops listening when it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(router: Router) -> Self {
        Self::with(async move |listener| axum::serve(listener, router).await.unwrap()).await
    }

    /// Serves whatever `serve` makes of the listener.
    pub async fn with<F, W>(serve: F) -> Self
    where
        F: FnOnce(TcpListener) -> W,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener));
        Self { addr, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Stops listening, and waits until the port is closed.
    pub async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One machine: its application behind the layer.
pub struct Machine {
    pub id: &'static str,
    pub application: Application,
    pub server: Server,
}

impl Machine {
    pub async fn start(id: &'static str, layer: OwnershipLayerBuilder) -> Self {
        Self::mounted(id, layer, &|router, layer| router.layer(layer.clone())).await
    }

    /// A machine whose layer stands around the application as `mount` says.
    pub async fn mounted(
        id: &'static str,
        layer: OwnershipLayerBuilder,
        mount: &dyn Fn(Router, &OwnershipLayer) -> Router,
    ) -> Self {
        let application = Application::on(id);
        let router = mount(application.router(), &layer.build().unwrap());
        Self {
            id,
            application,
            server: Server::start(router).await,
        }
    }

    pub fn served(&self, session: &SessionId) -> usize {
        self.application.served(session)
    }
}

/// Three machines behind an edge.
pub struct Fleet {
    pub edge: FlyEdge,
    pub sessions: MemoryDirectory,
    pub wrong: Machine,
    pub owner: Machine,
    pub third: Machine,
}

impl Fleet {
    pub async fn start() -> Self {
        Self::with(edge(), layer).await
    }

    /// A fleet with another edge, or another layer on its machines.
    pub async fn with(
        edge: FlyEdgeBuilder,
        layer: impl Fn(&'static str, MemoryDirectory) -> OwnershipLayerBuilder,
    ) -> Self {
        Self::mounted(edge, layer, |router, layer| router.layer(layer.clone())).await
    }

    /// A fleet whose layers stand around the applications as `mount` says.
    pub async fn mounted(
        edge: FlyEdgeBuilder,
        layer: impl Fn(&'static str, MemoryDirectory) -> OwnershipLayerBuilder,
        mount: impl Fn(Router, &OwnershipLayer) -> Router,
    ) -> Self {
        let sessions = MemoryDirectory::new().for_ids(SessionIds::uuid());
        let start = |id| Machine::mounted(id, layer(id, sessions.clone()), &mount);
        let (wrong, owner, third) = (start(WRONG).await, start(OWNER).await, start(THIRD).await);
        let edge = edge.start().await.unwrap();
        for machine in [&wrong, &owner, &third] {
            edge.add(machine.id, machine.server.addr);
        }
        Self {
            edge,
            sessions,
            wrong,
            owner,
            third,
        }
    }

    /// A new session that [`OWNER`] owns.
    pub fn session(&self) -> SessionId {
        self.session_of(OWNER)
    }

    pub fn session_of(&self, machine: &str) -> SessionId {
        let id = new_session();
        self.give(id.clone(), machine);
        id
    }

    /// Writes into the directory that `machine` owns the session from now on.
    pub fn give(&self, id: SessionId, machine: &str) {
        self.sessions
            .insert(Session::owned_by(id, machine_id(machine)));
    }

    /// The machines that the last request came to, and why.
    pub fn way(&self) -> Vec<(String, HopKind)> {
        let hops = self.edge.hops();
        let last = hops.last().expect("a hop").request_id.clone();
        let hops = self.edge.hops_of(&last).into_iter();
        hops.map(|hop| (hop.machine, hop.kind)).collect()
    }

    pub async fn shutdown(mut self) {
        for machine in [&mut self.wrong, &mut self.owner, &mut self.third] {
            machine.server.stop().await;
        }
        self.edge.shutdown().await;
    }
}
