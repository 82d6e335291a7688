//! A machine as the edge knows it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::tasks::Tasks;

type Waking = Pin<Box<dyn Future<Output = io::Result<SocketAddr>> + Send>>;
type Wake = Arc<dyn Fn() -> Waking + Send + Sync>;

/// A machine to register with a [`FlyEdge`](super::FlyEdge).
///
/// ```
/// use tower_ownership::testing::EdgeMachine;
///
/// let machine = EdgeMachine::new("e286544f716d89", "127.0.0.1:8080".parse().unwrap())
///     .app("previews")
///     .region("ord");
/// ```
#[derive(Clone, Debug)]
pub struct EdgeMachine {
    id: String,
    place: Place,
    app: Option<String>,
    region: Option<String>,
    organization: String,
    network: String,
    h2_backend: bool,
}

#[derive(Clone)]
enum Place {
    Running(SocketAddr),
    Stopped(Wake),
}

impl EdgeMachine {
    /// A running machine that listens on `addr` (cleartext).
    #[must_use]
    pub fn new(id: impl Into<String>, addr: SocketAddr) -> Self {
        Self::at(id.into(), Place::Running(addr))
    }

    /// A stopped machine. The first request for it calls `wake`, which starts it and says where it
    /// listens; the request then waits, up to its replay's timeout, and is delivered.
    ///
    /// `wake` runs once for any number of waiting requests, goes on when they give up, and is
    /// called again only after it failed.
    #[must_use]
    pub fn stopped<F, W>(id: impl Into<String>, wake: F) -> Self
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = io::Result<SocketAddr>> + Send + 'static,
    {
        let wake: Wake = Arc::new(move || Box::pin(wake()));
        Self::at(id.into(), Place::Stopped(wake))
    }

    fn at(id: String, place: Place) -> Self {
        Self {
            id,
            place,
            app: None,
            region: None,
            organization: "personal".to_owned(),
            network: "default".to_owned(),
            h2_backend: false,
        }
    }

    /// The app it belongs to. Default: the edge's.
    #[must_use]
    pub fn app(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    /// The code of the region it runs in. Default: the edge's.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The organisation that its app belongs to. Default: `personal`, for all. A replay from another one is
    /// refused unless [`FlyEdgeBuilder::replay_source`](super::FlyEdgeBuilder::replay_source) allows it.
    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = organization.into();
        self
    }

    /// The private network that its app is in. Default: `default`, for all. A replay from another one is refused
    /// unless [`FlyEdgeBuilder::cross_network_replays`](super::FlyEdgeBuilder::cross_network_replays)
    /// allows it.
    #[must_use]
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.network = network.into();
        self
    }

    /// Speak cleartext HTTP/2 to it, as `h2_backend = true` in `fly.toml` does; gRPC needs it.
    /// Default: `false`, HTTP/1.1.
    #[must_use]
    pub fn h2_backend(mut self, on: bool) -> Self {
        self.h2_backend = on;
        self
    }

    pub(super) fn into_slot(self, app: &str, region: &str) -> Slot {
        Slot {
            id: self.id,
            app: self.app.unwrap_or_else(|| app.to_owned()),
            region: self.region.unwrap_or_else(|| region.to_owned()),
            organization: self.organization,
            network: self.network,
            h2_backend: self.h2_backend,
            place: Mutex::new(self.place),
            waking: Arc::default(),
        }
    }
}

/// A registered machine.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) region: String,
    pub(super) organization: String,
    pub(super) network: String,
    pub(super) h2_backend: bool,
    place: Mutex<Place>,
    /// Held while the machine is being woken.
    waking: Arc<tokio::sync::Mutex<()>>,
}

impl Slot {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.place(), Place::Running(_))
    }

    /// Where it listens; wakes it first if it is stopped.
    pub(super) async fn addr(self: &Arc<Self>, tasks: &Tasks) -> io::Result<SocketAddr> {
        if let Place::Running(addr) = self.place() {
            return Ok(addr);
        }
        let (done, woken) = oneshot::channel();
        let slot = Arc::clone(self);
        // A task of its own: the machine goes on starting when the request that woke it gives up.
        tasks
            .spawn(async move {
                let _ = done.send(slot.wake().await);
            })
            .detach();
        woken.await.unwrap_or_else(|_| {
            Err(io::Error::other(
                "the wake hook panicked, or the edge is down",
            ))
        })
    }

    async fn wake(&self) -> io::Result<SocketAddr> {
        let _one_at_a_time = self.waking.lock().await;
        let wake = match self.place() {
            Place::Running(addr) => return Ok(addr),
            Place::Stopped(wake) => wake,
        };
        let addr = wake().await?;
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Place::Running(addr);
        Ok(addr)
    }

    fn place(&self) -> Place {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(addr) => f.debug_tuple("Running").field(addr).finish(),
            Self::Stopped(_) => f.write_str("Stopped"),
        }
    }
}
