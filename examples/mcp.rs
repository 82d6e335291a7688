//! An MCP server (rmcp) that keeps its sessions in memory, in two replicas behind a proxy:
//! `cargo run --example mcp --features testing`
//!
//! With `DATABASE_URL` (a table as in the example `node`), each process is one replica:
//! `MACHINE=a PORT=3000 cargo run --example mcp --features testing`. With `ADDRESS=http://10.0.0.11:3000`, at which
//! nginx reaches it, it expects `examples/nginx` in front. With `FORWARD_TO=10.0.0.0/8` beside that (and the feature
//! `forward`), it needs no proxy: it carries requests to the replicas in that network itself.

use std::{
    env,
    error::Error,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::{Router, http::StatusCode, middleware::map_response, response::Response};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use rmcp::{Peer, RoleServer, model::ResourceUpdatedNotificationParam, tool, tool_router};
use tokio::net::TcpListener;
use tower_ownership::{
    Address, CachePolicy, FlyReplay, Header, MachineId, MemoryDirectory, NginxReplay, Node,
    OwnershipLayer, PostgresLookup, SessionAbsent,
    extract::ResponseHeader,
    node::{NodeDirectory, RunningNode},
    render::McpRenderer,
    shutdown_signal,
    testing::FlyEdge,
};

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// The state of one session. It is in this process and nowhere else.
struct Counter {
    machine: String,
    count: AtomicU64,
}

#[tool_router(server_handler)]
impl Counter {
    #[tool(description = "Adds one to the session's counter")]
    async fn increment(&self, client: Peer<RoleServer>) -> String {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        // Travels on the session's standing stream (GET).
        let changed = ResourceUpdatedNotificationParam::new(format!("counter:{count}"));
        let _ = client.notify_resource_updated(changed).await;
        format!("{count} on {}", self.machine)
    }

    #[tool(description = "The same, three seconds later")]
    async fn increment_later(&self, client: Peer<RoleServer>) -> String {
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.increment(client).await
    }
}

/// How requests get to the replica that holds their session.
enum Handover {
    Fly,
    Nginx(Address),
    #[cfg(feature = "forward")]
    Forward(Address, Box<tower_ownership::forward::Forward>),
}

impl Handover {
    fn read() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let Ok(address) = env::var("ADDRESS") else {
            return Ok(Self::Fly);
        };
        let address = address.parse()?;
        #[cfg(feature = "forward")]
        if let Ok(allowed) = env::var("FORWARD_TO") {
            let allowed = allowed.split(',');
            let forward = tower_ownership::forward::Forward::to_owner_address(allowed)?;
            return Ok(Self::Forward(address, Box::new(forward)));
        }
        Ok(Self::Nginx(address))
    }
}

async fn replica<D: NodeDirectory>(
    directory: D,
    machine: String,
    lost_after: Duration,
    listener: TcpListener,
    handover: Handover,
) -> Ended {
    let node = Node::builder(directory)
        .machine(machine.parse::<MachineId>()?) // left out, the platform is asked
        .session(Header::mcp_session_id())
        .layer(|layer| layer.registers(ResponseHeader::mcp_session_id()))
        .layer(|layer| layer.ends_streams().render(McpRenderer::new()))
        .layer(|layer| layer.cache_policy(CachePolicy::new().owned(lost_after / 3)))
        .heartbeat(|heartbeat| heartbeat.interval(lost_after / 5))
        .volatile() // a session ends with its process, and its client starts over
        .linger(Duration::from_secs(1));
    match handover {
        Handover::Fly => {
            let node = node.replay(FlyReplay::new()).start().await?;
            serve(node, Router::layer, machine, listener).await
        }
        Handover::Nginx(address) => {
            let node = node.address(&address).replay(NginxReplay::new());
            serve(node.start().await?, Router::layer, machine, listener).await
        }
        #[cfg(feature = "forward")]
        Handover::Forward(address, forward) => {
            let node = node.address(&address).forward(*forward);
            serve(node.start().await?, Router::layer, machine, listener).await
        }
    }
}

/// `around`: the type of a layer says whether it carries requests itself.
async fn serve<D: NodeDirectory, F: Clone>(
    node: RunningNode<D, F>,
    around: fn(Router, OwnershipLayer<F>) -> Router,
    machine: String,
    listener: TcpListener,
) -> Ended {
    let counter = move || {
        let (machine, count) = (machine.clone(), AtomicU64::new(0));
        Ok(Counter { machine, count })
    };
    let sessions = Arc::new(LocalSessionManager::default());
    // Once deployed, the configuration has to allow the hosts that clients name.
    let mcp = StreamableHttpService::new(counter, sessions, StreamableHttpServerConfig::default());
    let app = Router::new().route_service("/mcp", mcp).layer(map_response(
        async |mut response: Response| {
            // rmcp does not hold the session, as after a restart.
            if response.status() == StatusCode::NOT_FOUND {
                response.extensions_mut().insert(SessionAbsent);
            }
            response
        },
    ));
    let app = around(app, node.layer());
    let stop = shutdown_signal();
    println!("{} serving {}", node.machine(), listener.local_addr()?);
    let served = node.serve(stop, |drained| {
        axum::serve(listener, app).with_graceful_shutdown(drained)
    });
    Ok(served.await?)
}

#[tokio::main]
async fn main() -> Ended {
    tracing_subscriber::fmt::init();
    let lost_after = env::var("LOST_AFTER_MS").map_or(Ok(15_000), |text| text.parse());
    let lost_after = Duration::from_millis(lost_after?);
    if let Ok(url) = env::var("DATABASE_URL") {
        let lookup = PostgresLookup::builder(url).ownership();
        let directory = lookup.lost_after(lost_after).build()?.directory()?;
        let listener = TcpListener::bind(format!("[::]:{}", env::var("PORT")?)).await?;
        let machine = env::var("MACHINE")?;
        return replica(directory, machine, lost_after, listener, Handover::read()?).await;
    }
    let at = ([127, 0, 0, 1], 4000).into();
    let edge = FlyEdge::builder().listen(at).start().await?;
    println!("an MCP client may connect to {}", edge.url("/mcp"));
    let directory = MemoryDirectory::new().with_lost_after(lost_after);
    let start = async |machine: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        edge.add(machine, listener.local_addr()?);
        let directory = directory.another_process();
        let machine = machine.to_owned();
        replica(directory, machine, lost_after, listener, Handover::Fly).await
    };
    tokio::try_join!(start("a"), start("b"))?;
    Ok(())
}
