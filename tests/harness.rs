//! The harness itself: what every other test stands on holds.
#![cfg(feature = "postgres")]

mod support;

use support::database::Database;
use support::incident::PreviewSession;

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
    assert_eq!(one.statements_with("SELECT count"), 1);
    assert_eq!(one.connections_made(), 3);
}
