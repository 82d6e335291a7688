//! A query of the application's own.

use serde_json::json;
use tower_ownership::{LookupErrorKind, PostgresLookup, SessionStatus};
use uuid::Uuid;

use crate::support::database::Database;
use crate::{find, found, kind};

async fn fleet() -> Database {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('active', 'starting', 'gone');
             CREATE TABLE machines (id int PRIMARY KEY, name text);
             CREATE TABLE sessions (id uuid PRIMARY KEY, state state, machine int,
                 deadline timestamptz, user_id text);
             INSERT INTO machines VALUES (1, 'm1');
             INSERT INTO sessions VALUES
                 ('00000000-0000-0000-0000-000000000001', 'active', 1, now() + interval '1 hour', 'u'),
                 ('00000000-0000-0000-0000-000000000002', 'starting', NULL, NULL, NULL),
                 ('00000000-0000-0000-0000-000000000003', 'active', 1, 'infinity', NULL)",
        )
        .await;
    database
}

fn custom(database: &Database, query: &str) -> PostgresLookup {
    PostgresLookup::builder(database.url())
        .query(query)
        .build()
        .unwrap()
}

#[tokio::test]
async fn all_columns_come_from_a_custom_query() {
    let database = fleet().await;
    let lookup = custom(
        &database,
        "WITH one AS (SELECT * FROM sessions WHERE id = $1)
         SELECT machines.name AS owner, one.state AS status,
                'https://' || machines.name || '.example.com' AS address,
                CASE WHEN isfinite(one.deadline)
                     THEN extract(epoch FROM one.deadline - now())::float8
                     ELSE 'infinity' END AS remaining_seconds,
                9007199254740993 AS epoch,
                jsonb_build_object('user_id', one.user_id) AS attributes,
                1 AS something_else
         FROM one LEFT JOIN machines ON machines.id = one.machine -- that is all",
    );
    let session = found(&lookup, Uuid::from_u128(1)).await;
    assert_eq!(session.owner().unwrap().as_str(), "m1");
    assert_eq!(session.status(), SessionStatus::Active);
    assert_eq!(session.address().unwrap().host(), "m1.example.com");
    assert!(session.remaining().unwrap().as_secs() > 3_500);
    assert_eq!(session.epoch(), Some(9_007_199_254_740_993));
    assert_eq!(session.attributes().get("user_id"), Some(&json!("u")));

    let session = found(&lookup, Uuid::from_u128(3)).await;
    assert_eq!(session.remaining(), None);

    assert_eq!(find(&lookup, Uuid::from_u128(4)).await.unwrap(), None);
}

#[tokio::test]
async fn few_columns_are_enough() {
    let database = fleet().await;
    let lookup = custom(
        &database,
        "SELECT machine AS owner, state AS status FROM sessions WHERE id = $1",
    );
    let session = found(&lookup, Uuid::from_u128(2)).await;
    assert_eq!(session.status(), SessionStatus::Starting);
    assert_eq!(session.owner(), None);
    // A number is a machine id, too.
    let session = found(&lookup, Uuid::from_u128(1)).await;
    assert_eq!(session.owner().unwrap().as_str(), "1");
}

#[tokio::test]
async fn a_query_that_forgets_a_column_is_corrupt_and_lets_nobody_in() {
    let database = fleet().await;
    for query in [
        "SELECT state AS status FROM sessions WHERE id = $1",
        "SELECT 'm1' AS owner FROM sessions WHERE id = $1",
        "SELECT 'm1' AS ownr, 'active' AS status FROM sessions WHERE id = $1",
        "SELECT 'm1' AS owner, 'active' AS status, -1 AS epoch FROM sessions WHERE id = $1",
        "SELECT 'm1' AS owner, 'active' AS status FROM sessions WHERE id <> $1",
        "SELECT 'm1' AS owner, id = $1 AS status FROM sessions LIMIT 1",
        "SELECT 'm1' AS owner, 'active' AS status, 1/0 AS epoch FROM sessions WHERE id = $1",
    ] {
        let lookup = custom(&database, query);
        assert_eq!(
            kind(&lookup, Uuid::from_u128(1)).await,
            LookupErrorKind::Corrupt,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_query_cannot_write() {
    let database = fleet().await;
    database
        .execute(
            "CREATE FUNCTION purge(uuid) RETURNS text LANGUAGE sql
                 AS 'DELETE FROM sessions WHERE id = $1; SELECT ''m1'''",
        )
        .await;
    for query in [
        "DELETE FROM sessions WHERE id = $1 RETURNING 'm1' AS owner, 'active' AS status",
        "WITH gone AS (DELETE FROM sessions WHERE id = $1 RETURNING id)
         SELECT 'm1' AS owner, 'active' AS status FROM gone",
        "SELECT purge($1) AS owner, 'active' AS status",
    ] {
        let lookup = custom(&database, query);
        assert_eq!(
            kind(&lookup, Uuid::from_u128(1)).await,
            LookupErrorKind::Unavailable,
            "{query}"
        );
    }
    let client = database.client().await;
    let rows = client.query("SELECT FROM sessions", &[]).await;
    assert_eq!(rows.unwrap().len(), 3);
}
