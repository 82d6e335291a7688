//! MCP since revision 2026-07-28: no sessions, but handles that tools give out and take as arguments.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::request::Parts;
use axum::{Router, routing::any_service};
use rmcp::handler::server::{common::Extension, wrapper::Parameters};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use rmcp::{schemars, tool, tool_router};
use serde_json::json;
use tower_ownership::testing::HopKind;
use tower_ownership::{
    FlyReplay, MemoryDirectory, OwnershipLayer, SessionId, extract::McpParam, ownership::Registrar,
    render::McpRenderer,
};
use uuid::Uuid;

use crate::fleet::{OWNER, Server, WRONG, edge, machine_id};
use crate::support::left_out;
use crate::support::mcp::{McpClient, Sdk};

/// The counters that one replica holds.
type Counters = Arc<Mutex<HashMap<String, u64>>>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Counter {
    #[schemars(extend("x-mcp-header" = "Counter-Id"))]
    counter_id: String,
}

struct Tools {
    machine: &'static str,
    counters: Counters,
}

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Makes a counter, and returns its id")]
    async fn open(&self, Extension(head): Extension<Parts>) -> String {
        let id = Uuid::new_v4().to_string();
        let registrar = head.extensions.get::<Registrar>().expect("inserted");
        let session = SessionId::parse(&id).expect("an id");
        registrar.register(session).await.expect("a new session");
        self.counters.lock().unwrap().insert(id.clone(), 0);
        id
    }

    #[tool(description = "Adds one to a counter")]
    async fn increment(&self, Parameters(counter): Parameters<Counter>) -> String {
        match self.counters.lock().unwrap().get_mut(&counter.counter_id) {
            Some(count) => {
                *count += 1;
                format!("{count} on {}", self.machine)
            }
            None => format!("not held by {}", self.machine),
        }
    }
}

async fn replica(machine: &'static str, directory: MemoryDirectory) -> Server {
    let layer = OwnershipLayer::builder(directory.clone())
        .directory(directory)
        .session(McpParam::named("Counter-Id").unwrap())
        .insert_registrar()
        .render(McpRenderer::new())
        .machine(machine_id(machine))
        .replay(FlyReplay::new());
    let counters = Counters::default();
    let mcp = StreamableHttpService::new(
        move || {
            let counters = Arc::clone(&counters);
            Ok(Tools { machine, counters })
        },
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let router = Router::new().route("/mcp", any_service(mcp));
    Server::start(router.layer(layer.build().unwrap())).await
}

#[tokio::test]
async fn a_handle_leads_calls_to_the_replica_that_gave_it_out() {
    let Some(mut client) = McpClient::start(Sdk::Python) else {
        let why = "it is not installed; tests/run installs it";
        return left_out("MCP's handles with the client for Python", why);
    };
    let directory = MemoryDirectory::new();
    let edge = edge().start().await.unwrap();
    let mut replicas = Vec::new();
    for machine in [OWNER, WRONG] {
        let replica = replica(machine, directory.another_process()).await;
        edge.add(machine, replica.addr);
        replicas.push(replica);
    }
    let connected = client.connect_by_discovery(&edge.url("/mcp")).await;
    assert_eq!(connected.unwrap()["protocol"], "2026-07-28");
    edge.land_on(OWNER);
    let handle = client.call("open").await.unwrap();
    let counter = json!({ "counter_id": handle });
    for count in 1..=4 {
        edge.land_on(if count % 2 == 0 { OWNER } else { WRONG });
        let text = client.call_with("increment", counter.clone()).await;
        assert_eq!(text.unwrap(), format!("{count} on {OWNER}"));
    }
    let hops = edge.hops();
    let replayed = hops.iter().filter(|hop| hop.kind == HopKind::Replayed);
    assert_eq!(replayed.count(), 2);

    let other = json!({ "counter_id": Uuid::new_v4().to_string() });
    let error = client.call_with("increment", other).await.unwrap_err();
    assert_eq!(error.code, Some(-32_001), "{error:?}");
}
