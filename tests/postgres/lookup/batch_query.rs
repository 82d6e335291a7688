//! Queries of the application's own, one by one and together.

use tokio::task::JoinSet;
use tower_ownership::{LookupErrorKind, PostgresLookup, Session, postgres::PostgresConfigError};
use uuid::Uuid;

use super::{find, found, locked, patient, state, with_session};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

const ONE: &str = "SELECT container_id AS owner, status FROM preview_sessions WHERE id = $1";

/// Many lookups, of which all but the first queue.
async fn crowd(
    database: &Database,
    lookup: &PostgresLookup,
    ids: &[Uuid],
) -> Vec<Result<Option<Session>, LookupErrorKind>> {
    let lock = locked(database).await;
    let mut tasks = Vec::new();
    for id in ids.iter().copied() {
        let of_task = lookup.clone();
        tasks.push(tokio::spawn(async move { find(&of_task, id).await }));
        state(lookup, 1, tasks.len() - 1).await;
    }
    lock.batch_execute("COMMIT").await.unwrap();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().map_err(|error| error.kind()));
    }
    answers
}

#[tokio::test]
async fn without_a_second_form_each_is_a_query_of_its_own() {
    let (database, id) = with_session().await;
    let lookup = PostgresLookup::builder(database.url()).query(ONE);
    let lookup = lookup.build().unwrap();
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let lookup = lookup.clone();
        crowd.spawn(async move { found(&lookup, id).await });
    }
    crowd.join_all().await;
    assert_eq!(database.statements_with("to_jsonb(session.*)"), 20);
}

#[tokio::test]
async fn with_a_second_form_they_go_together() {
    let (database, id) = with_session().await;
    let other = database.insert(&PreviewSession::owned_by("m2")).await;
    // The id may be of either type, and the statement may end as people end them.
    for id_column in ["id", "upper(id::text) AS id", "1 AS other, id"] {
        let lookup = patient(&database)
            .query(ONE)
            .batch_query(format!(
                "SELECT {id_column}, container_id AS owner, status
                 FROM preview_sessions WHERE id = ANY($1); "
            ))
            .build()
            .unwrap();
        let before = database.statements_with("ANY($1)");
        let answers = crowd(&database, &lookup, &[id, other, Uuid::new_v4(), id]).await;
        let owner = |at: usize| {
            let session: &Option<Session> = answers[at].as_ref().unwrap();
            let session = session.as_ref()?;
            Some(session.owner().unwrap().as_str())
        };
        let owners = [owner(0), owner(1), owner(2), owner(3)];
        assert_eq!(owners, [Some("m1"), Some("m2"), None, Some("m1")]);
        assert_eq!(database.statements_with("ANY($1)") - before, 1);
        lookup.verify(&"m1".parse().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_nobody_asked_for_are_no_reason_to_say_unknown() {
    let (database, id) = with_session().await;
    let stranger = database.insert(&PreviewSession::owned_by("m2")).await;
    let lookup = patient(&database)
        .query(ONE)
        .batch_query(
            "SELECT id, container_id AS owner, status FROM preview_sessions
             WHERE cardinality($1) > 0",
        )
        .build()
        .unwrap();
    let answers = crowd(&database, &lookup, &[id, id, Uuid::new_v4()]).await;
    assert!(answers[0].is_ok());
    assert!(answers[1].is_ok());
    assert_eq!(answers[2], Err(LookupErrorKind::Corrupt));
    found(&lookup, stranger).await;
}

#[tokio::test]
async fn a_second_form_without_an_id_is_found_at_the_start() {
    let (database, _) = with_session().await;
    let lookup = PostgresLookup::builder(database.url())
        .query(ONE)
        .batch_query(ONE.replace("$1", "ANY($1)"))
        .build()
        .unwrap();
    let verified = lookup.verify(&"m1".parse().unwrap()).await;
    verified.unwrap_err();
}

#[test]
fn a_second_form_needs_a_first() {
    for builder in [
        PostgresLookup::builder("postgres://localhost").batch_query("SELECT $1"),
        PostgresLookup::builder("postgres://localhost")
            .query(ONE)
            .batch_query("SELECT 1"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(
            matches!(error, PostgresConfigError::Query { .. }),
            "{error}"
        );
    }
}
