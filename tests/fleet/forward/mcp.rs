//! MCP in two replicas without any proxy: the official clients, whose requests land on either in turn.

use serde_json::json;

use crate::life::migrate;
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::mcp::{McpClient, Sdk};
use crate::support::{left_out, until_async};

/// Where the replicas count.
const A: &str = "aaaa00000001";
const B: &str = "bbbb00000002";

async fn every_call_counts_on_the_replica_that_holds_the_session(sdk: Sdk) {
    let Some(mut client) = McpClient::start(sdk) else {
        let what = format!("MCP with the client for {sdk:?}, through forward");
        return left_out(&what, "it is not installed; tests/run installs it");
    };
    let database = Database::fresh().await;
    migrate(&database).await;
    let url = database.url();
    let replicas = [A, B].map(|machine| {
        let variables = [
            ("MACHINE", machine),
            ("DATABASE_URL", url.as_str()),
            ("ADDRESS", "http://127.0.0.1:{PORT}"),
            ("FORWARD_TO", "127.0.0.1"),
        ];
        Container::start_example("mcp", &variables)
    });
    let urls = replicas.each_ref().map(|replica| replica.url("/mcp"));
    client.connect_in_turn(&urls).await.unwrap();
    let tools = client.tools().await.unwrap();
    assert_eq!(tools, json!(["increment", "increment_later"]));
    let first = client.call("increment").await.unwrap();
    let owner = first.strip_prefix("1 on ").expect(&first);
    for count in 2..=9 {
        let text = client.call("increment").await.unwrap();
        assert_eq!(text, format!("{count} on {owner}"));
        let uri = format!("counter:{count}");
        client.event(&uri, |event| event["uri"] == uri).await;
    }
    assert!(client.close().await.is_ok());
    // Each replica was asked, and one of them had nothing to serve from.
    for replica in &replicas {
        let log = replica.log();
        assert!(!log.contains(" WARN ") && !log.contains("ERROR"), "{log}");
    }
    until_async("the session is over", async || {
        let client = database.client().await;
        let left = "SELECT count(*) FROM preview_sessions WHERE ended_at IS NULL";
        client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}

#[tokio::test]
async fn python() {
    every_call_counts_on_the_replica_that_holds_the_session(Sdk::Python).await;
}

#[tokio::test]
async fn typescript() {
    every_call_counts_on_the_replica_that_holds_the_session(Sdk::TypeScript).await;
}
