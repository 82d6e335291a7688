//! The same replicas behind a real nginx, which sends requests to them in turn.

use serde_json::json;

use crate::life::migrate;
use crate::nginx::LOOPBACK;
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::left_out;
use crate::support::mcp::{McpClient, Sdk};
use crate::support::nginx::Nginx;

const A: &str = "aaaa00000001";
const B: &str = "bbbb00000002";

async fn every_call_counts_on_the_replica_that_holds_the_session(sdk: Sdk) {
    let Some(mut client) = McpClient::start(sdk) else {
        let what = format!("MCP with the client for {sdk:?}, behind nginx");
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
        ];
        Container::start_example("mcp", &variables)
    });
    let Some(nginx) = Nginx::start(&replicas.each_ref().map(|replica| replica.addr), LOOPBACK)
    else {
        return left_out("MCP behind nginx", "nginx is not installed");
    };
    client.connect(&nginx.url("/mcp")).await.unwrap();
    assert_eq!(
        client.tools().await.unwrap(),
        json!(["increment", "increment_later"])
    );
    let first = client.call("increment").await.unwrap();
    let owner = first.strip_prefix("1 on ").expect(&first);
    for count in 2..=9 {
        let text = client.call("increment").await.unwrap();
        assert_eq!(text, format!("{count} on {owner}"));
        let uri = format!("counter:{count}");
        client.event(&uri, |event| event["uri"] == uri).await;
    }
    assert!(client.close().await.is_ok());
    assert_eq!(nginx.log(), "", "no warning, no error");
}

#[tokio::test]
async fn python() {
    every_call_counts_on_the_replica_that_holds_the_session(Sdk::Python).await;
}

#[tokio::test]
async fn typescript() {
    every_call_counts_on_the_replica_that_holds_the_session(Sdk::TypeScript).await;
}
