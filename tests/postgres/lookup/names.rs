//! Other names and types than the incident's.

use tower_ownership::{LookupErrorKind, PostgresLookup, SessionStatus};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};
use uuid::Uuid;

use super::{find, found, kind};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::incident::{columns, lookup};

#[tokio::test]
async fn names_are_taken_literally() {
    let database = Database::fresh().await;
    database
        .execute(
            r#"CREATE SCHEMA "My ""Schema""";
               CREATE TABLE "My ""Schema"""."t""; DROP TABLE users; --" (
                   "ID" uuid PRIMARY KEY, "Select" text, "own""er" text, "url.of" text,
                   "exp'ires" timestamptz, "$1" timestamptz, "épo que" bigint);
               CREATE TABLE users ();
               INSERT INTO "My ""Schema"""."t""; DROP TABLE users; --"
                   VALUES ('00000000-0000-0000-0000-000000000001', 'open', 'm1',
                       'https://m1.example.com', now() + interval '1 hour', NULL, 7)"#,
        )
        .await;
    let lookup = PostgresLookup::builder(database.url())
        .schema("My \"Schema\"")
        .table("t\"; DROP TABLE users; --")
        .columns(columns(
            "id=ID,status=Select,owner=own\"er,address=url.of,expires_at=exp'ires,ended_at=$1,\
             epoch=épo que",
        ))
        .active_statuses(["open"])
        .build()
        .unwrap();
    let session = found(&lookup, Uuid::from_u128(1)).await;
    assert_eq!(session.status(), SessionStatus::Active);
    assert_eq!(session.owner().unwrap().as_str(), "m1");
    assert_eq!(session.address().unwrap().host(), "m1.example.com");
    assert!(session.remaining().is_some());
    assert_eq!(session.epoch(), Some(7));
    database.execute("SELECT FROM users").await;
}

#[tokio::test]
async fn columns_that_a_table_does_not_have_are_left_out() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TABLE preview_sessions (id uuid PRIMARY KEY, container_id text);
             INSERT INTO preview_sessions VALUES ('00000000-0000-0000-0000-000000000001', 'm1')",
        )
        .await;
    let lookup = PostgresLookup::builder(database.url())
        .columns(columns("status=,address=,expires_at=,ended_at="))
        .build()
        .unwrap();
    let session = found(&lookup, Uuid::from_u128(1)).await;
    assert_eq!(session.status(), SessionStatus::Active);
    assert_eq!(session.owner().unwrap().as_str(), "m1");
    assert_eq!(session.remaining(), None);
}

#[tokio::test]
async fn owners_of_other_types_are_read() {
    for (column, value, owner) in [
        ("varchar(40)", "'m1'", "m1"),
        ("char(10)", "'m1'", "m1"),
        (
            "uuid",
            "'8F03E412-4382-4AEA-923A-CA126495F665'",
            "8f03e412-4382-4aea-923a-ca126495f665",
        ),
        ("bigint", "42", "42"),
        ("machine_name", "'m1'", "m1"),
    ] {
        let database = Database::fresh().await;
        database.execute("CREATE DOMAIN machine_name AS text").await;
        database.incident_table().await;
        database
            .execute(&format!(
                "ALTER TABLE preview_sessions DROP container_id, ADD container_id {column};
                 INSERT INTO preview_sessions (id, status, container_id)
                     VALUES ('00000000-0000-0000-0000-000000000001', 'active', {value})"
            ))
            .await;
        let session = found(&lookup(&database), Uuid::from_u128(1)).await;
        assert_eq!(session.owner().unwrap().as_str(), owner, "{column}");
    }
}

#[tokio::test]
async fn ids_may_be_text() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(
            "ALTER TABLE preview_sessions ALTER id TYPE text;
             INSERT INTO preview_sessions (id, status, container_id)
                 VALUES ('807efe44-d63e-4a24-88f5-dbe96112830a', 'active', 'm1')",
        )
        .await;
    let id = Uuid::parse_str("807EFE44-D63E-4A24-88F5-DBE96112830A").unwrap();
    let text = PostgresLookup::builder(database.url())
        .id_type(PostgresIdType::Text)
        .session_ids(SessionIds::uuid());
    found(&text.build().unwrap(), id).await;
    // Asked for a uuid, the database finds no operator: the type is wrong, not the session.
    let wrong = kind(&lookup(&database), id).await;
    assert_eq!(wrong, LookupErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_not_there_is_named_in_the_source() {
    let database = Database::fresh().await;
    let error = find(&lookup(&database), Uuid::nil()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(
        chain(&error).contains(r#"relation "preview_sessions" does not exist"#),
        "{}",
        chain(&error)
    );

    database.incident_table().await;
    database
        .execute("ALTER TABLE preview_sessions DROP container_url")
        .await;
    let error = find(&lookup(&database), Uuid::nil()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(chain(&error).contains("container_url"), "{}", chain(&error));
}
