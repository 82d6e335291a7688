//! What a row of the table means.

use std::time::Duration;

use serde_json::json;
use tower_ownership::{LookupErrorKind, PostgresLookup, SessionStatus};
use uuid::Uuid;

use super::{find, found, kind, with_session};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;

#[tokio::test]
async fn the_incidents_row_is_read() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let id = database
        .insert(&PreviewSession {
            container_url: Some("https://e2863555a91708.example.com".to_owned()),
            ..PreviewSession::owned_by("e2863555a91708")
        })
        .await;
    let session = found(&lookup(&database), id).await;
    assert_eq!(session.id().as_uuid(), Some(&id));
    assert_eq!(session.status(), SessionStatus::Active);
    assert_eq!(session.owner().unwrap().as_str(), "e2863555a91708");
    assert_eq!(
        session.address().unwrap().host(),
        "e2863555a91708.example.com"
    );
    let remaining = session.remaining().unwrap();
    assert!(remaining <= Duration::from_secs(3_600), "{remaining:?}");
    assert!(remaining > Duration::from_secs(3_500), "{remaining:?}");
    assert_eq!(session.epoch(), None);
    assert!(session.attributes().is_empty());
}

#[tokio::test]
async fn a_session_that_is_not_there_is_unknown() {
    let (database, _) = with_session().await;
    let unknown = find(&lookup(&database), Uuid::new_v4()).await;
    assert_eq!(unknown.unwrap(), None);
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let default = lookup(&database);
    let strict = PostgresLookup::builder(database.url())
        .over_statuses(["ended"])
        .build()
        .unwrap();
    for (word, meaning, strictly) in [
        ("active", SessionStatus::Active, true),
        ("creating", SessionStatus::Starting, true),
        ("starting", SessionStatus::Starting, true),
        ("pending", SessionStatus::Starting, true),
        ("provisioning", SessionStatus::Starting, true),
        ("ended", SessionStatus::Over, true),
        ("Active", SessionStatus::Over, false),
        ("paused", SessionStatus::Over, false),
        ("", SessionStatus::Over, false),
    ] {
        let id = database
            .insert(&PreviewSession {
                status: word.to_owned(),
                ..PreviewSession::owned_by("m1")
            })
            .await;
        assert_eq!(found(&default, id).await.status(), meaning, "{word:?}");
        if strictly {
            assert_eq!(found(&strict, id).await.status(), meaning, "{word:?}");
        } else {
            assert_eq!(kind(&strict, id).await, LookupErrorKind::Corrupt);
        }
    }
}

#[tokio::test]
async fn the_database_says_what_is_left_of_a_life() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let lookup = lookup(&database);
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    for (expires_at, ended_at, over, limited) in [
        ("NULL", "NULL", false, false),
        ("now() + interval '1 hour'", "NULL", false, true),
        ("now() - interval '1 second'", "NULL", true, true),
        ("'infinity'", "NULL", false, false),
        ("'-infinity'", "NULL", true, true),
        ("'294276-12-31'", "NULL", false, true),
        ("NULL", "now() - interval '1 second'", true, true),
        ("NULL", "now() + interval '1 hour'", false, true),
        ("NULL", "'infinity'", false, false),
        ("NULL", "'-infinity'", true, true),
        ("'infinity'", "'infinity'", false, false),
        ("'infinity'", "now() + interval '1 hour'", false, true),
        ("now() + interval '1 hour'", "now()", true, true),
        ("now() - interval '1 hour'", "'infinity'", true, true),
    ] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET expires_at = {expires_at}, ended_at = {ended_at}"
            ))
            .await;
        let session = found(&lookup, id).await;
        assert_eq!(
            (
                session.status() == SessionStatus::Over,
                session.remaining().is_some()
            ),
            (over, limited),
            "expires_at {expires_at}, ended_at {ended_at}: {session:?}"
        );
    }
}

#[tokio::test]
async fn a_session_without_an_owner_is_unassigned() {
    let (database, id) = with_session().await;
    database
        .execute("UPDATE preview_sessions SET container_id = NULL")
        .await;
    let session = found(&lookup(&database), id).await;
    assert_eq!(session.owner(), None);
    assert_eq!(session.status(), SessionStatus::Active);
}

#[tokio::test]
async fn an_owner_that_could_forge_a_header_is_corrupt() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for owner in [
        "''",
        "' '",
        "E'm1\\r\\nfly-replay: instance=evil'",
        "'m1;state=own.0'",
        "'m1,m2'",
        "'mä'",
        "'-m1'",
        "repeat('m', 254)",
    ] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = {owner}"
            ))
            .await;
        let error = find(&lookup, id).await.unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{owner}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn an_address_that_could_lead_astray_is_corrupt() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for address in [
        "''",
        "'example.com'",
        "'javascript:alert(1)'",
        "'https://good.example@evil.example'",
        "E'https://example.com/\\r\\nset-cookie: a=b'",
    ] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_url = {address}"
            ))
            .await;
        assert_eq!(
            kind(&lookup, id).await,
            LookupErrorKind::Corrupt,
            "{address}"
        );
    }
}

#[tokio::test]
async fn further_columns_come_along() {
    let database = Database::fresh().await;
    database.incident_table().await;
    // `a` and `session` are also aliases in the query.
    database
        .execute(
            "ALTER TABLE preview_sessions ADD a int[] DEFAULT '{1,2}', ADD session bool DEFAULT true,
                 ADD settings jsonb DEFAULT '{\"theme\": \"dark\"}', ADD \"Odd \"\"one\" numeric DEFAULT 1.5",
        )
        .await;
    let id = database
        .insert(&PreviewSession {
            user_id: Some("u-1".to_owned()),
            tier: Some("it's \"quoted\" \\ ä".to_owned()),
            ..PreviewSession::owned_by("m1")
        })
        .await;
    let lookup = PostgresLookup::builder(database.url())
        .attributes([
            "user_id",
            "project_id",
            "tier",
            "a",
            "session",
            "settings",
            "Odd \"one",
        ])
        .build()
        .unwrap();
    let session = found(&lookup, id).await;
    assert_eq!(
        serde_json::Value::Object(session.attributes().clone()),
        json!({
            "user_id": "u-1",
            "project_id": null,
            "tier": "it's \"quoted\" \\ ä",
            "a": [1, 2],
            "session": true,
            "settings": {"theme": "dark"},
            "Odd \"one": 1.5,
        })
    );
}

#[tokio::test]
async fn two_rows_for_one_session_are_corrupt() {
    let (database, id) = with_session().await;
    database
        .execute(
            "ALTER TABLE preview_sessions DROP CONSTRAINT preview_sessions_pkey;
             INSERT INTO preview_sessions SELECT * FROM preview_sessions",
        )
        .await;
    assert_eq!(kind(&lookup(&database), id).await, LookupErrorKind::Corrupt);
}

#[tokio::test]
async fn one_lookup_is_one_statement() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    for _ in 0..3 {
        found(&lookup, id).await;
    }
    assert_eq!(database.statements_with("preview_sessions\" AS t"), 3);
}
