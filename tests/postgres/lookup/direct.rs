//! Connections that we have to ourselves, and those that only look like it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_ownership::{LookupErrorKind, PostgresLookup};
use uuid::Uuid;

use super::{find, found, slow, with_session};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::left_out::left_out;
use crate::support::pgbouncer::PgBouncer;

/// What goes before each query where the connection's own settings cannot be relied on.
const WRAPPING: &str = "BEGIN READ ONLY";

#[tokio::test]
async fn a_servers_own_connection_is_told_its_limits_once() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for _ in 0..5 {
        found(&lookup, id).await;
    }
    assert_eq!(database.statements_with(WRAPPING), 0);
    assert_eq!(database.statements_with("= $1 LIMIT 2"), 5);
}

#[tokio::test]
async fn options_of_the_connection_string_stay() {
    let (database, _) = with_session().await;
    database
        .execute("CREATE SCHEMA live; ALTER TABLE preview_sessions SET SCHEMA live")
        .await;
    let url = format!(
        "{}?options=-c%20search_path%3Dlive%20-c%20statement_timeout%3D1",
        database.url()
    );
    let lookup = PostgresLookup::builder(url).build().unwrap();
    assert_eq!(find(&lookup, Uuid::nil()).await.unwrap(), None);
}

#[tokio::test]
async fn a_statement_that_is_lost_is_sent_another_way() {
    let database = Database::fresh().await;
    // As a pooler would: what was prepared is gone, and the connection is not.
    database
        .execute(
            "CREATE FUNCTION forget() RETURNS text LANGUAGE plpgsql
                 AS $$ BEGIN DEALLOCATE ALL; RETURN 'm1'; END $$",
        )
        .await;
    let lookup = PostgresLookup::builder(database.url())
        .query("SELECT forget() AS owner, 'active' AS status WHERE $1 IS NOT NULL")
        .max_connections(1)
        .build()
        .unwrap();
    found(&lookup, Uuid::nil()).await;
    assert_eq!(database.statements_with(WRAPPING), 0);
    for wrapped in 1..5 {
        found(&lookup, Uuid::nil()).await;
        assert_eq!(database.statements_with(WRAPPING), wrapped);
    }
}

#[tokio::test]
async fn a_connection_that_ends_at_once_is_no_pooler() {
    let (database, id) = with_session().await;
    let port = cut_off_at_the_first(b"current_setting", database.port()).await;
    let lookup = PostgresLookup::builder(database.url_through(port));
    let lookup = lookup.build().unwrap();
    let error = find(&lookup, id).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
    found(&lookup, id).await;
    assert_eq!(database.statements_with(WRAPPING), 0);
}

/// A way to the server that ends, once, when the client has sent this.
async fn cut_off_at_the_first(sent: &'static [u8], server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let cuts = std::mem::take(&mut is_first);
            tokio::spawn(async move {
                let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => match read {
                            Ok(count) if count > 0 => {
                                let read = &up[..count];
                                if cuts && read.windows(sent.len()).any(|part| part == sent) {
                                    return;
                                }
                                server.write_all(read).await.unwrap();
                            }
                            _ => return,
                        },
                        read = server.read(&mut down) => match read {
                            Ok(count) if count > 0 => {
                                client.write_all(&down[..count]).await.unwrap();
                            }
                            _ => return,
                        },
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_pool_of_the_applications_own_is_not_told_anything() {
    let (database, id) = with_session().await;
    let manager = deadpool_postgres::Manager::new(database.config(), tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().unwrap();
    for (wrapped, source) in [
        (1, PostgresLookup::builder(pool)),
        (
            2,
            PostgresLookup::builder(format!("{}?pgbouncer=true", database.url())),
        ),
        (
            2,
            PostgresLookup::builder(format!("{}?pgbouncer=false", database.url())),
        ),
    ] {
        found(&source.build().unwrap(), id).await;
        assert_eq!(database.statements_with(WRAPPING), wrapped);
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_no_pooler() {
    let (database, id) = with_session().await;
    let url = format!("postgres://postgres@127.0.0.1:{}/later", database.port());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    find(&lookup, id).await.unwrap_err();
    let name = database.name();
    let administrator = Database::fresh().await;
    administrator
        .execute(&format!("CREATE DATABASE later TEMPLATE {name}"))
        .await;
    found(&lookup, id).await;
    assert!(format!("{lookup:?}").contains("Direct(true)"), "{lookup:?}");
}

/// Poolers that refuse what a direct connection asks for, and poolers that pass over it.
#[tokio::test]
async fn a_pooler_is_seen_through() {
    let (database, _) = with_session().await;
    let mut sessions = Vec::new();
    for owner in 0..50 {
        let owner = format!("m{owner}");
        let id = database.insert(&PreviewSession::owned_by(&owner)).await;
        sessions.push((id, owner));
    }
    for ignored in ["", "options"] {
        let Some(pooler) = PgBouncer::ignoring(&database, ignored) else {
            return left_out("batches through PgBouncer", "PgBouncer is not installed");
        };
        let before = database.statements_with("preview_sessions\" AS t");
        let wrapped = database.statements_with(WRAPPING);
        let lookup = PostgresLookup::builder(pooler.url(&database));
        let lookup = lookup.build().unwrap();
        let mut crowd = JoinSet::new();
        for (id, owner) in sessions.clone() {
            let lookup = lookup.clone();
            crowd.spawn(async move {
                for _ in 0..20 {
                    assert_eq!(found(&lookup, id).await.owner().unwrap().as_str(), owner);
                }
            });
        }
        crowd.join_all().await;
        let statements = database.statements_with("preview_sessions\" AS t") - before;
        assert!(statements < 500, "{statements} for 1,000 lookups");
        assert_eq!(database.statements_with(WRAPPING) - wrapped, statements);

        // And the server's own limit is in force there.
        let slow = slow(&pooler.url(&database));
        let slow = slow
            .query_timeout(Duration::from_millis(300))
            .build()
            .unwrap();
        let error = find(&slow, super::SLOW).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Timeout);
        assert!(
            chain(&error).contains("statement timeout"),
            "{}",
            chain(&error)
        );
    }
}

/// The driver asks a new connection whether it may write, and ours cannot.
#[tokio::test]
async fn a_primary_is_found_by_target_session_attrs() {
    let (database, id) = with_session().await;
    for attributes in ["read-write", "any"] {
        for way in ["", "&pgbouncer=true"] {
            let url = format!("{}?target_session_attrs={attributes}{way}", database.url());
            let lookup = PostgresLookup::builder(url).build().unwrap();
            found(&lookup, id).await;
        }
    }
    assert!(database.statements_with(WRAPPING) > 0);
    let url = format!("{}?target_session_attrs=read-only", database.url());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    let error = find(&lookup, id).await.unwrap_err();
    assert!(
        chain(&error).contains("is not read only"),
        "{}",
        chain(&error)
    );
}

/// The query of an application's own may call what writes.
#[tokio::test]
async fn a_query_of_ones_own_cannot_write() {
    let (database, _) = with_session().await;
    database
        .execute(
            "CREATE TABLE log (); CREATE FUNCTION logged() RETURNS text LANGUAGE sql
                 AS $$ INSERT INTO log DEFAULT VALUES; SELECT 'm1' $$",
        )
        .await;
    for way in ["", "?pgbouncer=true", "?target_session_attrs=read-write"] {
        let lookup = PostgresLookup::builder(format!("{}{way}", database.url()))
            .query("SELECT logged() AS owner, 'active' AS status WHERE $1 IS NOT NULL");
        let lookup = lookup.build().unwrap();
        let error = find(&lookup, Uuid::nil()).await.unwrap_err();
        assert!(
            chain(&error).contains("read-only transaction"),
            "{}",
            chain(&error)
        );
    }
}
