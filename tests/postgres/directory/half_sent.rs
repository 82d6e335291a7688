//! What reaches the server, and what does not, when a process stops in the middle of a write.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tower_ownership::{CachePolicy, PostgresLookup};
use uuid::Uuid;

use super::{Process, machine, migrated, owned_by, unowned};
use crate::support::database::Database;

/// The bytes of a simple query before its text: its type and its length.
const HEAD: usize = 5;

/// A way to the server on which everything from a client's first COMMIT on is lost, and nobody
/// notices: to the server, the client is there and says nothing.
async fn without_commit(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut sent = Vec::new();
                loop {
                    let begin = sent.len();
                    if from_client.read_buf(&mut sent).await.unwrap_or(0) == 0 {
                        break;
                    }
                    let commit = sent.windows(7).position(|part| part == b"COMMIT\0");
                    let end = commit.map_or(sent.len(), |at| at - HEAD);
                    if to_server
                        .write_all(&sent[begin..end.max(begin)])
                        .await
                        .is_err()
                    {
                        return;
                    }
                    if commit.is_some() {
                        break;
                    }
                }
                // The server's side stays open.
                tokio::time::sleep(Duration::from_secs(600)).await;
                drop(to_server);
            });
        }
    });
    port
}

const NOT_IDLE: &str = "SELECT count(*) = 0 FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";

const IDLE: &str = "SELECT count(*) = 1 FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle in transaction'";

#[tokio::test]
async fn a_write_without_its_commit_frees_its_row() {
    for parameters in ["", "?pgbouncer=true"] {
        let database = migrated().await;
        machine(&database, "m1", 0.0, "").await;
        let port = without_commit(database.port()).await;
        let url = format!("{}{parameters}", database.url_through(port));
        let lookup = PostgresLookup::builder(url).ownership();
        let stopped = Process::with("m1", lookup, CachePolicy::new());
        let id = owned_by(&database, "m1").await;
        let session = id.into();
        let released = stopped.directory.release(&session, &stopped.node);
        let (released, ()) = tokio::join!(released, database.eventually(IDLE));
        released.unwrap_err();
        frees(&database, id).await;
    }
}

/// Behind a pooler. Where the connection is ours alone, a claim is one statement without a COMMIT.
#[tokio::test]
async fn a_claim_without_its_commit_frees_its_row() {
    let database = migrated().await;
    machine(&database, "m1", 0.0, "").await;
    let port = without_commit(database.port()).await;
    let url = format!("{}?pgbouncer=true", database.url_through(port));
    let lookup = PostgresLookup::builder(url).ownership();
    let stopped = Process::with("m1", lookup, CachePolicy::new());
    let id = unowned(&database).await;
    let seen = Process::of("m2", &database).read(id).await;
    let (claimed, ()) = tokio::join!(stopped.try_claim(seen), database.eventually(IDLE));
    claimed.unwrap_err();
    frees(&database, id).await;
    let other = Process::of("m2", &database);
    assert_eq!(other.claim(id).await.epoch(), Some(1));
}

/// Waits until the row can be written by others, which is soon.
async fn frees(database: &Database, id: Uuid) {
    let began = std::time::Instant::now();
    database.eventually(NOT_IDLE).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let lock = format!("SELECT FROM preview_sessions WHERE id = '{id}' FOR UPDATE NOWAIT");
    database.execute(&lock).await;
}

#[tokio::test]
async fn a_read_without_its_commit_is_ended() {
    let database = migrated().await;
    let port = without_commit(database.port()).await;
    let url = format!("{}?pgbouncer=true", database.url_through(port));
    let lookup = PostgresLookup::builder(url).ownership();
    let stopped = Process::with("m1", lookup, CachePolicy::new());
    let id = unowned(&database).await;
    assert_eq!(stopped.answer(id).await, "lookup-unavailable");
    database.eventually(NOT_IDLE).await;
}
