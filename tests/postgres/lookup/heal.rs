//! What a failing server costs, and that it costs nothing once it is back.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tower_ownership::{LookupErrorKind, PostgresLookup};
use uuid::Uuid;

use super::{find, found, with_session};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::free_port;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_at_once() {
    let url = format!("postgres://postgres@127.0.0.1:{}/app", free_port());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    let began = Instant::now();
    let error = find(&lookup, Uuid::nil()).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_millis(700));
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let (database, _) = with_session().await;
    let url = format!("postgres://postgres@127.0.0.1:{}/nothing", database.port());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    let error = find(&lookup, Uuid::nil()).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(
        chain(&error).contains(r#"database "nothing" does not exist"#),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_wrong_password_is_unavailable_and_is_not_shown() {
    let cluster = Cluster::prepared(|data| {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        Vec::new()
    })
    .unwrap();
    let database = cluster.database().await;
    database.incident_table().await;
    database
        .execute("ALTER USER postgres PASSWORD 'open sesame'")
        .await;
    let with = |password: &str| {
        let url = database
            .url()
            .replace("postgres@", &format!("postgres:{password}@"));
        PostgresLookup::builder(url).build().unwrap()
    };
    let error = find(&with("guess"), Uuid::nil()).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    let said = format!("{error:?} {}", chain(&error));
    assert!(said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("guess"), "{said}");
    let unknown = find(&with("open%20sesame"), Uuid::nil()).await;
    assert_eq!(unknown.unwrap(), None);
}

#[tokio::test]
async fn a_query_that_is_not_permitted_is_unavailable() {
    let (database, id) = with_session().await;
    database
        .execute(&format!("CREATE ROLE stranger_{} LOGIN", database.name()))
        .await;
    let mut config = database.config();
    config.user(format!("stranger_{}", database.name()));
    let lookup = PostgresLookup::builder(config).build().unwrap();
    let error = find(&lookup, id).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(chain(&error).contains("permission denied"), "{error:?}");
}

#[tokio::test]
async fn killed_connections_cost_no_error() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for _ in 0..20 {
        crowd(&lookup, id).await;
        assert!(database.kill_backends().await > 0);
        crowd(&lookup, id).await;
    }
}

#[tokio::test]
async fn a_cut_network_is_unavailable_until_it_is_back() {
    let (database, id) = with_session().await;
    let relay = Relay::to(database.port()).await;
    let lookup = PostgresLookup::builder(database.url_through(relay.port()));
    let lookup = lookup.build().unwrap();
    crowd(&lookup, id).await;
    relay.cut().await;
    let error = find(&lookup, id).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
    relay.restore().await;
    crowd(&lookup, id).await;
}

#[tokio::test]
async fn a_restarted_server_costs_no_error() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let lookup = lookup(&database);
    crowd(&lookup, id).await;
    cluster.stop();
    cluster.start();
    crowd(&lookup, id).await;

    cluster.stop();
    let error = find(&lookup, id).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
    cluster.start();
    crowd(&lookup, id).await;
}

#[tokio::test]
async fn a_column_that_changes_its_type_costs_no_error() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for change in [
        "ALTER TABLE preview_sessions ALTER container_id TYPE varchar(50)",
        "ALTER TABLE preview_sessions ADD more text",
        "CREATE TYPE state AS ENUM ('active'); ALTER TABLE preview_sessions ALTER status TYPE state USING status::state",
    ] {
        crowd(&lookup, id).await;
        database.execute(change).await;
        crowd(&lookup, id).await;
    }
}

#[tokio::test]
async fn a_fleet_opens_no_more_connections_than_it_may() {
    let (database, id) = with_session().await;
    let lookup = PostgresLookup::builder(database.url())
        .max_connections(2)
        .build()
        .unwrap();
    let before = database.connections_made();
    for _ in 0..10 {
        crowd(&lookup, id).await;
    }
    assert_eq!(database.connections_made() - before, 2);
}

/// As many lookups at once as use every connection of the pool.
async fn crowd(lookup: &PostgresLookup, id: Uuid) {
    let mut crowd = JoinSet::new();
    for _ in 0..8 {
        let lookup = lookup.clone();
        crowd.spawn(async move { drop(found(&lookup, id).await) });
    }
    crowd.join_all().await;
}

#[tokio::test]
async fn sessions_may_be_looked_up_over_a_unix_socket() {
    let cluster = Cluster::shared();
    let database: Database = cluster.database().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let words = format!(
        "host='{}' port={} user=postgres dbname={}",
        cluster.dir().display(),
        cluster.port(),
        database.name()
    );
    let lookup = PostgresLookup::builder(words).build().unwrap();
    found(&lookup, id).await;
}
