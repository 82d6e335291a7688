//! Lookups that queued while a query was in flight, and went out as one.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tower_ownership::{LookupErrorKind, PostgresLookup, Session};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};
use uuid::Uuid;

use super::{find, found, kind, locked, patient, state, with_session};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;
use crate::support::postgres::Cluster;

/// What shows in the log that a statement was for many sessions, or for one.
const MANY: &str = "= ANY($1)";
const ONE: &str = "= $1 LIMIT";

/// So many sessions, of which each has an owner of its own.
async fn sessions(database: &Database, count: usize) -> Vec<(Uuid, String)> {
    let mut sessions = Vec::new();
    for owner in 0..count {
        let owner = format!("m{owner}");
        let id = database.insert(&PreviewSession::owned_by(&owner)).await;
        sessions.push((id, owner));
    }
    sessions
}

/// Looks them all up at once: the first alone, the others as what queued behind it. The answers
/// are in the order of the questions.
async fn together(
    database: &Database,
    lookup: &PostgresLookup,
    ids: impl IntoIterator<Item = Uuid>,
) -> Vec<Result<Option<Session>, LookupErrorKind>> {
    let lock = locked(database).await;
    let mut tasks = Vec::new();
    for id in ids {
        let of_task = lookup.clone();
        tasks.push(tokio::spawn(async move { find(&of_task, id).await }));
        state(lookup, 1, tasks.len() - 1).await;
    }
    lock.batch_execute("COMMIT").await.unwrap();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().map_err(|error| error.kind()));
    }
    state(lookup, 0, 0).await;
    answers
}

fn owner(answer: &Result<Option<Session>, LookupErrorKind>) -> Option<&str> {
    match answer {
        Ok(Some(session)) => session.owner().map(tower_ownership::MachineId::as_str),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_gets_the_answer_to_its_own_question() {
    let (database, first) = with_session().await;
    let sessions = sessions(&database, 100).await;
    let lookup = patient(&database).build().unwrap();
    let ids = sessions.iter().map(|(id, _)| *id);
    let answers = together(&database, &lookup, [first].into_iter().chain(ids)).await;
    assert_eq!(owner(&answers[0]), Some("m1"));
    for ((id, expected), answer) in sessions.iter().zip(&answers[1..]) {
        assert_eq!(owner(answer), Some(expected.as_str()));
        assert_eq!(
            answer.as_ref().unwrap().as_ref().unwrap().id().as_uuid(),
            Some(id)
        );
    }
    // 101 lookups were two statements.
    assert_eq!(database.statements_with(ONE), 1);
    assert_eq!(database.statements_with(MANY), 1);
}

#[tokio::test]
async fn one_session_may_be_asked_for_by_many_and_others_be_unknown() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    let other = database.insert(&PreviewSession::owned_by("m2")).await;
    let [nobody, nowhere] = [Uuid::new_v4(), Uuid::new_v4()];
    let ids = [id, id, nobody, other, id, nowhere, other, nobody, id];
    let answers = together(&database, &lookup, ids).await;
    for (asked, answer) in ids.iter().zip(&answers) {
        let expected = match asked {
            asked if *asked == id => Some("m1"),
            asked if *asked == other => Some("m2"),
            _ => {
                assert_eq!(answer, &Ok(None));
                continue;
            }
        };
        assert_eq!(owner(answer), expected);
    }
    assert_eq!(database.statements_with(MANY), 1);
}

#[tokio::test]
async fn a_session_that_cannot_be_read_fails_nobody_else() {
    let (database, id) = with_session().await;
    let sessions = sessions(&database, 8).await;
    let ids: Vec<Uuid> = sessions.iter().map(|(id, _)| *id).collect();
    let twice = ids[5];
    database
        .execute(&format!(
            "UPDATE preview_sessions SET container_id = E'm\\r\\nx' WHERE id = '{}';
             UPDATE preview_sessions SET container_url = 'javascript:' WHERE id = '{}';
             ALTER TABLE preview_sessions DROP CONSTRAINT preview_sessions_pkey;
             INSERT INTO preview_sessions SELECT * FROM preview_sessions WHERE id = '{twice}'",
            ids[1], ids[3]
        ))
        .await;
    let lookup = patient(&database).build().unwrap();
    let check = async |statements| {
        let asked = [id].into_iter().chain(ids.iter().copied());
        let answers = together(&database, &lookup, asked).await;
        for (at, ((_, expected), answer)) in sessions.iter().zip(&answers[1..]).enumerate() {
            if [1, 3, 5].contains(&at) {
                assert_eq!(answer, &Err(LookupErrorKind::Corrupt), "{at}");
            } else {
                assert_eq!(owner(answer), Some(expected.as_str()));
            }
        }
        assert!(database.statements_with(MANY) <= statements);
    };
    check(1).await;
    // So often that a batch is not read to its end, and the row of another could be missing.
    database
        .execute(&format!(
            "INSERT INTO preview_sessions SELECT p.* FROM preview_sessions AS p, generate_series(1, 1500)
             WHERE p.id = '{twice}'"
        ))
        .await;
    check(6).await;
}

#[tokio::test]
async fn a_row_that_the_server_cannot_read_fails_nobody_else() {
    let (database, id) = with_session().await;
    let sessions = sessions(&database, 64).await;
    let poison = sessions[20].0;
    database
        .execute(&format!(
            "ALTER TABLE preview_sessions RENAME TO stored;
             CREATE VIEW preview_sessions AS SELECT id, status, container_url, expires_at, ended_at,
                 CASE WHEN id = '{poison}' THEN (1 / (random() * 0)::int)::text ELSE container_id END
                     AS container_id
             FROM stored"
        ))
        .await;
    let lookup = patient(&database).build().unwrap();
    let ids = sessions.iter().map(|(id, _)| *id);
    let answers = together(&database, &lookup, [id].into_iter().chain(ids)).await;
    for ((id, expected), answer) in sessions.iter().zip(&answers[1..]) {
        if *id == poison {
            assert_eq!(answer, &Err(LookupErrorKind::Corrupt));
        } else {
            assert_eq!(owner(answer), Some(expected.as_str()));
        }
    }
    // By halves: far fewer than one by one.
    assert!(database.statements_with(MANY) <= 12);
    assert!(database.statements_with(ONE) <= 3);
}

#[tokio::test]
async fn a_failure_is_everybodys() {
    let (database, id) = with_session().await;
    let lookup = patient(&database).build().unwrap();
    found(&lookup, id).await;
    let lock = locked(&database).await;
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let lookup = lookup.clone();
        crowd.spawn(async move { kind(&lookup, Uuid::new_v4()).await });
    }
    state(&lookup, 1, 19).await;
    lock.batch_execute("DROP TABLE preview_sessions; COMMIT")
        .await
        .unwrap();
    for kind in crowd.join_all().await {
        assert_eq!(kind, LookupErrorKind::Unavailable);
    }
    // The server's verdict is the same for each of them, so nobody asked one by one.
    assert!(database.statements().len() < 20);
}

#[tokio::test]
async fn killed_connections_cost_a_crowd_no_error() {
    let (database, id) = with_session().await;
    let sessions = sessions(&database, 40).await;
    let lookup = lookup(&database);
    for _ in 0..10 {
        let mut crowd = JoinSet::new();
        for (id, owner) in sessions.clone() {
            let lookup = lookup.clone();
            crowd.spawn(async move {
                assert_eq!(found(&lookup, id).await.owner().unwrap().as_str(), owner);
            });
        }
        crowd.join_all().await;
        database.kill_backends().await;
    }
    found(&lookup, id).await;
    assert!(database.statements_with("preview_sessions\" AS t") < 300);
}

#[tokio::test]
async fn a_frozen_server_keeps_nobody_longer_than_its_own_bound() {
    let cluster = Cluster::private();
    let database = cluster.database().await;
    database.incident_table().await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    let lookup = lookup(&database);
    found(&lookup, id).await;
    cluster.freeze();
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let lookup = lookup.clone();
        crowd.spawn(async move {
            let began = Instant::now();
            assert_eq!(
                kind(&lookup, Uuid::new_v4()).await,
                LookupErrorKind::Timeout
            );
            began.elapsed()
        });
    }
    for took in crowd.join_all().await {
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    cluster.thaw();
    found(&lookup, id).await;
    state(&lookup, 0, 0).await;
}

#[tokio::test]
async fn one_connection_is_enough() {
    let (database, _) = with_session().await;
    let sessions = sessions(&database, 50).await;
    let lookup = PostgresLookup::builder(database.url());
    let lookup = lookup.max_connections(1).build().unwrap();
    let before = database.connections_made();
    let mut crowd = JoinSet::new();
    for (id, owner) in sessions {
        let lookup = lookup.clone();
        crowd.spawn(async move {
            for _ in 0..20 {
                assert_eq!(found(&lookup, id).await.owner().unwrap().as_str(), owner);
            }
        });
    }
    crowd.join_all().await;
    assert_eq!(database.connections_made() - before, 1);
    assert!(database.statements_with("preview_sessions\" AS t") < 500);
}

#[tokio::test]
async fn a_batch_has_a_limit() {
    let (database, id) = with_session().await;
    let lookup = patient(&database)
        .id_type(PostgresIdType::Text)
        .session_ids(SessionIds::uuid());
    database
        .execute("ALTER TABLE preview_sessions ALTER id TYPE varchar(36) USING id::text")
        .await;
    let lookup = lookup.build().unwrap();
    let strangers = std::iter::repeat_with(Uuid::new_v4).take(2_500);
    let answers = together(
        &database,
        &lookup,
        [id].into_iter().chain(strangers).chain([id]),
    );
    let answers = answers.await;
    assert_eq!(owner(&answers[0]), Some("m1"));
    assert_eq!(owner(&answers[2_501]), Some("m1"));
    assert!(answers[1..2_501].iter().all(|answer| answer == &Ok(None)));
    assert_eq!(database.statements_with(MANY), 3);
}
