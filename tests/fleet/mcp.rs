//! MCP in two replicas: the example `mcp` as processes behind the edge, with the official clients.
//!
//! Each test runs with each client. What they assert of its messages stands in the manual's page `mcp`.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tower_ownership::testing::{FlyEdge, HopKind};

use crate::fleet::edge;
use crate::life::migrate;
use crate::support::client::{Answer, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::mcp::{McpClient, McpError, Sdk};
use crate::support::{left_out, until_async};

/// Machines as Fly names them.
const A: &str = "aaaa00000001";
const B: &str = "bbbb00000002";
/// How long a killed replica takes to be lost.
const LOST_AFTER_MS: &str = "3000";
/// Longer than that.
const LOST: Duration = Duration::from_secs(15);
/// Shorter than that, and longer than a few requests of a client take.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Two replicas behind an edge that takes turns, and a client.
struct Scene {
    database: Database,
    edge: FlyEdge,
    replicas: Vec<(&'static str, Container)>,
    client: McpClient,
}

impl Scene {
    /// `None` if the client is not installed.
    async fn start(sdk: Sdk) -> Option<Self> {
        let Some(client) = McpClient::start(sdk) else {
            let what = format!("MCP with the client for {sdk:?}");
            left_out(&what, "it is not installed; tests/run installs it");
            return None;
        };
        let database = Database::fresh().await;
        migrate(&database).await;
        let edge = edge().start().await.unwrap();
        edge.land_anywhere();
        let mut scene = Self {
            database,
            edge,
            replicas: Vec::new(),
            client,
        };
        for machine in [A, B] {
            scene.add(machine);
        }
        Some(scene)
    }

    /// Starts a replica, in place of one that has ended.
    fn add(&mut self, machine: &'static str) {
        let url = self.database.url();
        let variables = [
            ("MACHINE", machine),
            ("DATABASE_URL", url.as_str()),
            ("LOST_AFTER_MS", LOST_AFTER_MS),
        ];
        let replica = Container::start_example("mcp", &variables);
        self.edge.add(machine, replica.addr);
        self.replicas.push((machine, replica));
    }

    /// Takes a replica out of the scene. The edge still sends requests to where it was.
    fn take(&mut self, machine: &str) -> Container {
        let at = self.replicas.iter().position(|(name, _)| *name == machine);
        self.replicas.remove(at.expect("it runs")).1
    }

    fn url(&self) -> String {
        self.edge.url("/mcp")
    }

    /// Begins a session, counts to 1, and hears of it on the standing stream. Returns the session's
    /// owner, and the other replica.
    async fn begin(&mut self) -> (&'static str, &'static str) {
        let url = self.url();
        self.client.connect(&url).await.unwrap();
        let owner = self.count(1).await;
        (owner, if owner == A { B } else { A })
    }

    /// Has the counter say `count`, in the answer and on the standing stream. Returns the replica that
    /// counted.
    async fn count(&mut self, count: u64) -> &'static str {
        let text = self.client.call("increment").await.unwrap();
        let machine = text.strip_prefix(&format!("{count} on "));
        let machine = machine.unwrap_or_else(|| panic!("not {count}, but {text:?}"));
        let uri = format!("counter:{count}");
        self.client
            .event(&uri, |event| {
                event["notification"] == "notifications/resources/updated" && event["uri"] == uri
            })
            .await;
        if machine == A { A } else { B }
    }

    /// The client says at once that the session is gone.
    async fn is_gone(&mut self) {
        let error = self.client.call("increment").await.unwrap_err();
        assert_eq!(
            Meaning::of(self.client.sdk, &error),
            Meaning::StartOver,
            "{error:?}"
        );
    }

    /// Calls until the client says so.
    async fn until_gone(&mut self) {
        let began = Instant::now();
        loop {
            let error = self.client.call("increment").await.unwrap_err();
            match Meaning::of(self.client.sdk, &error) {
                Meaning::StartOver => return,
                Meaning::AskAgain => {}
            }
            assert!(began.elapsed() < LOST, "{error:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The DELETE of a session that is gone is refused too.
    async fn closes_what_is_gone(&mut self) {
        let closed = self.client.close().await;
        match self.client.sdk {
            Sdk::Python => {
                assert!(closed.is_ok());
                let log = self.client.log();
                assert!(log.contains(&"Session termination failed: 404"), "{log:?}");
            }
            Sdk::TypeScript => assert_eq!(
                closed.unwrap_err().message,
                "Streamable HTTP error: Failed to terminate session: Not Found"
            ),
        }
    }

    /// The application's part after a loss: another session, which is served at once. Returns its owner.
    async fn starts_over(&mut self) -> &'static str {
        self.client.forget_events();
        let began = Instant::now();
        let (owner, _) = self.begin().await;
        assert_eq!(self.count(2).await, owner);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        owner
    }

    /// Runs a slow call, and `then` as soon as its answer has begun.
    async fn during_a_call(&mut self, then: impl FnOnce()) -> Result<String, McpError> {
        self.edge.clear_log();
        let edge = &self.edge;
        let begun = async || {
            edge.hops()
                .iter()
                .any(|hop| hop.status.is_some_and(|s| s == 200))
        };
        let interrupt = async {
            until_async("the answer begins", begun).await;
            then();
        };
        // Longer than the tool takes, and than the client tries to resume.
        let seconds = if self.client.sdk == Sdk::Python {
            10
        } else {
            5
        };
        let call = self.client.call_within(seconds, "increment_later");
        tokio::join!(call, interrupt).0
    }

    /// The sessions that are not over, and their owners.
    async fn sessions(&self) -> Vec<(String, Option<String>)> {
        let question = "SELECT id::text, container_id FROM preview_sessions WHERE ended_at IS NULL";
        let rows = self.database.client().await.query(question, &[]).await;
        let rows = rows.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// What a replica itself answers to a call in this session.
    async fn ask(&self, machine: &str, session: &str) -> Answer {
        let (_, replica) = self
            .replicas
            .iter()
            .find(|(name, _)| *name == machine)
            .unwrap();
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
        let request = request(Method::POST, replica.url("/mcp"))
            .header("mcp-session-id", session)
            .header("accept", "application/json, text/event-stream");
        send(request.json(&call)).await
    }
}

/// What an application can read from an error.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    StartOver,
    AskAgain,
}

impl Meaning {
    /// The Python client tells what the error of JSON-RPC says, the TypeScript client the HTTP status and
    /// the body.
    fn of(sdk: Sdk, error: &McpError) -> Self {
        let begins = match sdk {
            Sdk::Python => "This session",
            Sdk::TypeScript => {
                r#"Streamable HTTP error: Error POSTing to endpoint: {"jsonrpc":"2.0""#
            }
        };
        assert!(error.message.starts_with(begins), "{error:?}");
        match (sdk, error.code) {
            (Sdk::Python, Some(-32_001)) | (Sdk::TypeScript, Some(404)) => Self::StartOver,
            (Sdk::Python, Some(-32_000)) | (Sdk::TypeScript, Some(503)) => Self::AskAgain,
            _ => panic!("{error:?}"),
        }
    }
}

async fn every_call_counts_on_the_replica_that_holds_the_session(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    assert_eq!(
        scene.client.tools().await.unwrap(),
        json!(["increment", "increment_later"])
    );
    scene.edge.clear_log();
    for count in 2..=9 {
        assert_eq!(scene.count(count).await, owner);
    }
    let landed_on = |machine: &str| {
        let hops = scene.edge.hops();
        let landed = hops.iter().filter(|hop| hop.kind == HopKind::Landed);
        landed.filter(|hop| hop.machine == machine).count()
    };
    assert_eq!((landed_on(owner), landed_on(other)), (4, 4));
    let sessions = scene.sessions().await;
    let [(session, Some(of))] = sessions.as_slice() else {
        panic!("{sessions:?}");
    };
    assert_eq!(of, owner);

    // DELETE
    assert!(scene.client.close().await.is_ok());
    assert_eq!(scene.sessions().await, []);
    if sdk == Sdk::Python {
        // rmcp answers as the specification allows, and this client expects 200 or 204.
        let complaint = "Session termination failed: 202";
        assert!(
            scene.client.log().contains(&complaint),
            "{:?}",
            scene.client.log()
        );
    }
    for machine in [owner, other] {
        let answer = scene.ask(machine, session).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json()["error"]["code"], -32_001);
        assert_eq!(answer.code(), Some("session-over"));
    }
}

async fn a_session_of_a_killed_replica_is_gone_once_it_is_lost(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    scene.take(owner).kill();
    scene.edge.land_on(other);
    let error = scene.client.call("increment").await.unwrap_err();
    assert_eq!(
        Meaning::of(sdk, &error),
        Meaning::AskAgain,
        "the owner may be back in a moment"
    );
    scene.until_gone().await;
    scene.closes_what_is_gone().await;
    assert_eq!(scene.starts_over().await, other);
}

async fn a_new_session_does_not_wait_for_the_loss_of_the_old_one(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    scene.take(owner).kill();
    scene.edge.land_on(other);
    scene.client.call("increment").await.unwrap_err();
    assert_eq!(scene.starts_over().await, other);
}

async fn a_restarted_replica_says_that_its_sessions_are_gone(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, _) = scene.begin().await;
    scene.take(owner).kill();
    scene.add(owner);
    scene.is_gone().await;
    scene.closes_what_is_gone().await;
    scene.starts_over().await;
}

async fn a_drained_replica_ends_its_streams_and_exits(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    let replica = scene.take(owner);
    let began = Instant::now();
    replica.ask_to_stop();
    let status = tokio::task::spawn_blocking(|| replica.exit_status()).await;
    assert_eq!(status.unwrap(), 0);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    // The client asks for its stream twice more, and then no longer.
    scene.edge.remove(owner);
    let last = match sdk {
        Sdk::Python => "GET stream max reconnection attempts (2) exceeded",
        Sdk::TypeScript => "Maximum reconnection attempts (2) exceeded.",
    };
    scene.client.event(last, |event| event["log"] == last).await;
    scene.is_gone().await;
    scene.closes_what_is_gone().await;
    assert_eq!(scene.starts_over().await, other);
}

/// How the application learns that an answer will not come.
fn assert_cut_off(sdk: Sdk, result: &Result<String, McpError>) {
    let (message, code) = match sdk {
        // After two attempts to resume, as many as the server said apart.
        Sdk::Python => (
            "SSE stream ended and reconnection attempts were exhausted",
            -32_000,
        ),
        // By its own timeout alone, which is 60 s by default.
        Sdk::TypeScript => ("MCP error -32001: Request timed out", -32_001),
    };
    let expected = McpError {
        message: message.to_owned(),
        code: Some(code),
    };
    assert_eq!(*result, Err(expected));
}

async fn a_call_in_flight_is_finished_before_a_drain_ends(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    let replica = scene.take(owner);
    let result = scene.during_a_call(|| replica.ask_to_stop()).await;
    assert!(result.is_ok(), "{result:?}");
    scene.edge.remove(owner);
    assert_eq!(scene.starts_over().await, other);
}

async fn a_call_in_flight_is_cut_off_by_a_kill(sdk: Sdk) {
    let Some(mut scene) = Scene::start(sdk).await else {
        return;
    };
    let (owner, other) = scene.begin().await;
    let replica = scene.take(owner);
    let result = scene.during_a_call(|| replica.kill()).await;
    assert_cut_off(sdk, &result);
    scene.edge.land_on(other);
    assert_eq!(scene.starts_over().await, other);
}

#[tokio::test]
async fn a_client_that_discovers_revision_2026_07_28_has_no_session() {
    let Some(mut scene) = Scene::start(Sdk::Python).await else {
        return;
    };
    let url = scene.url();
    let connected = scene.client.connect_by_discovery(&url).await.unwrap();
    assert_eq!(connected["protocol"], "2026-07-28");
    for machine in [A, B] {
        scene.edge.land_on(machine);
        let text = scene.client.call("increment").await.unwrap();
        assert_eq!(
            text,
            format!("1 on {machine}"),
            "no memory from call to call"
        );
    }
    assert_eq!(scene.sessions().await, []);
}

macro_rules! with_each_client {
    ($($test:ident),* $(,)?) => {
        mod python {
            $(#[tokio::test] async fn $test() { super::$test(super::Sdk::Python).await; })*
        }
        mod typescript {
            $(#[tokio::test] async fn $test() { super::$test(super::Sdk::TypeScript).await; })*
        }
    };
}

with_each_client!(
    every_call_counts_on_the_replica_that_holds_the_session,
    a_session_of_a_killed_replica_is_gone_once_it_is_lost,
    a_new_session_does_not_wait_for_the_loss_of_the_old_one,
    a_restarted_replica_says_that_its_sessions_are_gone,
    a_drained_replica_ends_its_streams_and_exits,
    a_call_in_flight_is_finished_before_a_drain_ends,
    a_call_in_flight_is_cut_off_by_a_kill,
);
