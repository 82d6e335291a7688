//! The harness itself: what every other test stands on holds.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::support::browser::Browser;
use crate::support::database::{Database, connect};
use crate::support::incident::PreviewSession;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;
use crate::support::tls::{TlsCluster, connect_tls};
use crate::support::{left_out, until};

/// Long for what should take milliseconds, short for somebody who waits.
const SOON: Duration = Duration::from_secs(20);

const PAGE: &str = "<title>A page</title><script>document.title += ' that runs'</script>";

/// Enough for any answer that is going to come from a server that works.
const SILENCE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn every_database_is_its_own() {
    let (one, other) = (Database::fresh().await, Database::fresh().await);
    one.incident_table().await;
    other.incident_table().await;
    let id = one.insert(&PreviewSession::owned_by("m1")).await;

    let count = "SELECT count(*) FROM preview_sessions WHERE id = $1";
    let here = one.client().await.query_one(count, &[&id]).await.unwrap();
    let there = other.client().await.query_one(count, &[&id]).await.unwrap();
    assert_eq!((here.get::<_, i64>(0), there.get::<_, i64>(0)), (1, 0));
}

#[tokio::test]
async fn statements_and_connections_are_counted() {
    let database = Database::fresh().await;
    let client = connect(&database.url()).await.unwrap();
    client.query("SELECT 1,\n 2", &[]).await.unwrap();
    client.simple_query("SELECT 1,\n 2").await.unwrap();
    assert_eq!(database.statements_with("SELECT 1,\n 2"), 2);
    assert_eq!(database.connections_made(), 1);
    assert_eq!(database.connections().await, 1);
}

#[tokio::test]
async fn backends_of_one_database_can_be_killed() {
    let (one, other) = (Database::fresh().await, Database::fresh().await);
    let (victim, survivor) = (one.client().await, other.client().await);
    assert_eq!(one.kill_backends().await, 1);
    assert!(victim.simple_query("SELECT 1").await.is_err());
    assert!(survivor.simple_query("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_stopped_server_comes_back_with_its_data_on_its_port() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;

    cluster.stop();
    assert!(connect(&database.url()).await.is_err());

    cluster.start();
    let client = connect(&database.url()).await.unwrap();
    let rows = client.query("SELECT id FROM preview_sessions", &[]).await;
    assert_eq!(rows.unwrap()[0].get::<_, uuid::Uuid>(0), id);
}

#[tokio::test]
async fn a_frozen_server_says_nothing_until_it_is_thawed() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    let client = connect(&database.url()).await.unwrap();

    cluster.freeze();
    let question = client.simple_query("SELECT 1");
    tokio::pin!(question);
    assert!(timeout(SILENCE, &mut question).await.is_err());
    // The kernel accepts, and the server does not answer.
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.port())).is_ok());
    assert!(timeout(SILENCE, connect(&database.url())).await.is_err());

    cluster.thaw();
    assert!(timeout(SOON, question).await.unwrap().is_ok());
}

#[tokio::test]
async fn pgbouncer_gives_a_client_another_connection_for_its_next_transaction() {
    let database = Database::fresh().await;
    let Some(pooler) = PgBouncer::in_front_of(&database) else {
        return left_out("the harness's PgBouncer", "PgBouncer is not installed");
    };
    let one = connect(&pooler.url(&database)).await.unwrap();
    let other = connect(&pooler.url(&database)).await.unwrap();

    let statement = one.prepare("SELECT 1").await.unwrap();
    let first = backend(&one).await;
    other.batch_execute("BEGIN").await.unwrap();
    assert_eq!(backend(&other).await, first);
    assert_ne!(backend(&one).await, first);

    // Which is why a prepared statement is not there any more.
    let error = one.query(&statement, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));

    // No more server connections than the pool has.
    one.batch_execute("BEGIN").await.unwrap();
    let third = connect(&pooler.url(&database)).await.unwrap();
    assert!(timeout(SILENCE, backend(&third)).await.is_err());
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(
        database.connections().await,
        i64::from(PgBouncer::POOL_SIZE)
    );
}

#[tokio::test]
async fn tls_is_spoken_to_those_who_know_the_authority() {
    let Some(server) = TlsCluster::start() else {
        return left_out("the harness's TLS", "this PostgreSQL was built without it");
    };
    let database = server.cluster.database().await;
    let port = server.cluster.port();
    for host in ["localhost", "127.0.0.1"] {
        let url = database.url().replace("127.0.0.1", host) + "?sslmode=require";
        let client = connect_tls(&url, &server.authority).await.unwrap();
        let row = client
            .query_one(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await;
        assert!(row.unwrap().get::<_, bool>(0), "{host}:{port}");
        assert!(connect_tls(&url, &server.stranger).await.is_err());
    }
    assert!(connect(&database.url()).await.is_err());
}

#[tokio::test]
async fn a_relay_can_be_cut_and_restored() {
    let database = Database::fresh().await;
    let relay = Relay::to(database.port()).await;
    let url = database.url_through(relay.port());
    let client = connect(&url).await.unwrap();
    assert!(client.simple_query("SELECT 1").await.is_ok());

    relay.cut().await;
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert!(connect(&url).await.is_err());

    relay.restore().await;
    let client = connect(&url).await.unwrap();
    assert!(client.simple_query("SELECT 1").await.is_ok());
    assert_eq!(relay.accepted(), 2);
}

#[tokio::test]
async fn a_black_hole_swallows_and_gives_back() {
    let database = Database::fresh().await;
    let relay = Relay::to(database.port()).await;
    let url = database.url_through(relay.port());
    let client = connect(&url).await.unwrap();

    relay.black_hole().await;
    let question = client.simple_query("SELECT 1");
    tokio::pin!(question);
    assert!(timeout(SILENCE, &mut question).await.is_err());
    assert!(timeout(SILENCE, connect(&url)).await.is_err());

    relay.restore().await;
    assert!(timeout(SOON, question).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_browser_opens_a_page_and_leaves_nothing() {
    let Some(browser) = Browser::open().await else {
        return left_out(
            "the harness's browser",
            "Chromium or its driver is not installed",
        );
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", get(async || Html(PAGE)));
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    browser.client.goto(&url).await.unwrap();
    assert_eq!(browser.client.title().await.unwrap(), "A page that runs");
    let picture = std::fs::read(browser.screenshot("harness").await).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));

    let dir = browser.dir().to_owned();
    assert!(!processes_of(&dir).is_empty());
    drop(browser);
    until("the browser has ended", || processes_of(&dir).is_empty());
    assert!(!dir.exists());
    server.abort();
}

/// The server process that answers `client`.
async fn backend(client: &Client) -> String {
    let answer = client
        .simple_query("SELECT pg_backend_pid()")
        .await
        .unwrap();
    let row = answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap().to_owned()
}

/// The processes whose command line names `dir`.
fn processes_of(dir: &Path) -> Vec<PathBuf> {
    let dir = dir.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|process| process.path())
        .filter(|process| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(dir)
        })
        .collect()
}
