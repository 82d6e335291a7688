//! A query of the application's own.

use serde_json::json;
use tower_ownership::{LookupErrorKind, PostgresLookup, SessionStatus};
use uuid::Uuid;

use super::{find, found, kind};
use crate::support::database::Database;

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
async fn a_column_that_cannot_be_true_is_corrupt_and_named() {
    let database = fleet().await;
    for (owner, status, more, named) in [
        ("'m1'", "NULL", "", "status"),
        ("'m1'", "1", "", "status"),
        ("''", "'active'", "", "owner"),
        ("ARRAY['m1']", "'active'", "", "owner"),
        (r"E'm1\r\nset-cookie: x'", "'active'", "", "owner"),
        ("'m1'", "'over'", ", '' AS address", "address"),
        ("'m1'", "'active'", ", 'https://a@b' AS address", "address"),
        (
            "'m1'",
            "'active'",
            ", 'soon' AS remaining_seconds",
            "remaining",
        ),
        (
            "'m1'",
            "'active'",
            ", 'NaN' AS remaining_seconds",
            "remaining",
        ),
        ("'m1'", "'active'", ", -1 AS epoch", "epoch"),
        ("'m1'", "'active'", ", 1.5 AS epoch", "epoch"),
        (
            "'m1'",
            "'active'",
            ", '[1]'::jsonb AS attributes",
            "attributes",
        ),
        ("'m1'", "'active'", ", -1 AS released", "release"),
        ("'m1'", "'active'", ", 'well' AS presence", "presence"),
        ("'m1'", "'active'", ", 1 AS presence", "presence"),
    ] {
        let query = format!(
            "SELECT {owner} AS owner, {status} AS status{more} FROM sessions WHERE id = $1"
        );
        let lookup = custom(&database, &query);
        let error = find(&lookup, Uuid::from_u128(1)).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{query}");
        assert!(error.to_string().contains(named), "{query}: {error}");
    }
}

#[tokio::test]
async fn a_life_that_has_run_out_is_over_and_one_too_long_to_count_has_no_end() {
    let database = fleet().await;
    for (seconds, is_over) in [
        ("0", true),
        ("-0.001", true),
        ("-1e300", true),
        ("'-Infinity'", true),
        ("'Infinity'", false),
        ("1e300", false),
        ("NULL", false),
    ] {
        let query = format!(
            "SELECT 'm1' AS owner, 'active' AS status, {seconds} AS remaining_seconds
             FROM sessions WHERE id = $1"
        );
        let session = found(&custom(&database, &query), Uuid::from_u128(1)).await;
        assert_eq!(
            session.status() == SessionStatus::Over,
            is_over,
            "{seconds}"
        );
        assert_eq!(session.remaining().is_some(), is_over, "{seconds}");
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
