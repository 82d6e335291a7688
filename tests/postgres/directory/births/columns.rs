//! Tables of every shape, and what their rows need.

use std::time::Duration;

use serde_json::{Value, json};
use tower_ownership::{
    LookupErrorKind, SessionDirectory as _, SessionId, SessionStatus,
    directory::{Created, EndIf, NewSession},
};
use uuid::Uuid;

use super::{HOUR, attributes, count, of, with};
use crate::directory::{PostgresDirectory, builder, me, migrated, one, partitions::partitioned};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::incident::columns;

#[tokio::test]
async fn columns_that_a_row_needs_are_filled_from_the_attributes() {
    let database = migrated().await;
    database
        .execute(
            "CREATE TYPE kind AS ENUM ('room', 'game');
             ALTER TABLE preview_sessions ADD tenant bigint NOT NULL, ADD kind kind NOT NULL,
                 ADD \"More {words}\" jsonb, ADD seats int[] NOT NULL DEFAULT '{4}',
                 ADD made_at timestamptz NOT NULL DEFAULT now(),
                 ADD twice bigint GENERATED ALWAYS AS (tenant * 2) STORED",
        )
        .await;
    let needs = builder(&database)
        .insert_columns(["tenant", "kind", "More {words}", "seats", "made_at"])
        .attributes(["tenant", "tier", "made_at", "twice"]);
    let process = with(needs);
    let id = Uuid::new_v4();
    let brought = json!({"tenant": 7, "kind": "room", "More {words}": {"a": [1]}, "tier": "free"});
    let new = process.begin(of(id).attributes(attributes(brought))).await;
    let read = process.read(id).await;
    assert_eq!(new.attributes(), read.attributes());
    assert_eq!(read.attributes()["twice"], json!(14));
    assert_ne!(read.attributes()["made_at"], Value::Null);
    let found: String = one(
        &database,
        "SELECT concat_ws(' ', tenant, kind, \"More {words}\", seats, tier) FROM preview_sessions",
    )
    .await;
    assert_eq!(found, r#"7 room {"a": [1]} {4} free"#);
    // Another life has its own, and the defaults of the columns.
    let session = SessionId::new(id);
    process.directory.end(session, EndIf::Any).await.unwrap();
    let brought = json!({"tenant": "8", "kind": "game", "seats": [1, 2]});
    process.begin(of(id).attributes(attributes(brought))).await;
    let found: String = one(
        &database,
        "SELECT concat_ws(' ', tenant, kind, \"More {words}\", seats, tier) FROM preview_sessions",
    )
    .await;
    assert_eq!(found, "8 game {1,2}");
}

#[tokio::test]
async fn what_cannot_be_stored_is_named() {
    let database = migrated().await;
    database
        .execute("ALTER TABLE preview_sessions ADD tenant bigint NOT NULL")
        .await;
    let process = with(builder(&database).insert_columns(["tenant"]));
    let new = |value| of(Uuid::new_v4()).attributes(attributes(value));
    for (value, kind, texts) in [
        (
            json!({"tenant": 1, "size": 1}),
            LookupErrorKind::Unavailable,
            ["\"size\"", "insert_columns"],
        ),
        (
            json!({"tenant": 1, "status": "x"}),
            LookupErrorKind::Unavailable,
            ["\"status\"", "itself"],
        ),
        (
            json!({}),
            LookupErrorKind::Unavailable,
            ["\"tenant\"", "insert_columns"],
        ),
        (
            json!({"tenant": null}),
            LookupErrorKind::Unavailable,
            ["\"tenant\"", "insert_columns"],
        ),
        (
            json!({"tenant": "seven"}),
            LookupErrorKind::Corrupt,
            ["seven", "type of its column"],
        ),
    ] {
        let error = process.refused(new(value)).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        for text in texts {
            assert!(chain(&error).contains(text), "{text}: {error:?}");
        }
    }
    assert_eq!(count(&database).await, 0);
    let forgot = with(builder(&database));
    let error = chain(&forgot.refused(of(Uuid::new_v4())).await);
    assert!(
        error.contains("insert_columns") && error.contains("tenant"),
        "{error}"
    );
}

/// A conflict with another row is neither a session of that id nor one of ours.
#[tokio::test]
async fn a_conflict_on_other_columns_is_an_error() {
    let database = migrated().await;
    database
        .execute("ALTER TABLE preview_sessions ADD UNIQUE (user_id)")
        .await;
    let process = with(builder(&database).attributes(["user_id"]));
    let new = |id| of(id).attributes(attributes(json!({"user_id": "u1"})));
    process.begin(new(Uuid::new_v4())).await;
    let error = process.refused(new(Uuid::new_v4())).await;
    assert!(chain(&error).contains("unique index"), "{error:?}");
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_table_with_few_columns_is_enough() {
    let database = Database::fresh().await;
    database
        .execute("CREATE TABLE preview_sessions (id uuid PRIMARY KEY, container_id text)")
        .await;
    let few = builder(&database).columns(columns("status=,address=,expires_at=,ended_at="));
    let process = with(few);
    process.directory.migrate().await.unwrap();
    let _present = process.present().await;
    let id = Uuid::new_v4();
    let new = process.begin(of(id)).await;
    assert_eq!((new.epoch(), new.remaining()), (Some(1), None));
    assert_eq!(process.answer(id).await, "epoch 1");
    let taken = process.try_create(of(id)).await.unwrap();
    assert!(matches!(taken, Created::Taken(_)), "{taken:?}");
    let address = "https://m1.example".parse().unwrap();
    for new in [of(id).lifetime(HOUR), of(id).address(address)] {
        let error = process.refused(new).await;
        assert!(chain(&error).contains("no column"), "{error:?}");
    }
    let touched = process
        .directory
        .touch(SessionId::new(id), me("m1"), 1, HOUR);
    let error = touched.await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn without_columns_for_times_the_status_begins_another_life() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('open', 'closed', 'lost');
             CREATE TABLE preview_sessions (id text PRIMARY KEY, status state, container_id text)",
        )
        .await;
    let named = builder(&database)
        .columns(columns("address=,expires_at=,ended_at="))
        .id_type(tower_ownership::postgres::PostgresIdType::Text)
        .active_statuses(["open"])
        .over_statuses(["closed"]);
    let process = with(named);
    process.directory.migrate().await.unwrap();
    let (id, session) = (Uuid::new_v4(), SessionId::new(Uuid::new_v4()));
    assert_eq!(process.begin(of(id)).await.epoch(), Some(1));
    process
        .directory
        .end(SessionId::new(id), EndIf::Any)
        .await
        .unwrap();
    let new = process.begin(of(id)).await;
    assert_eq!(
        (new.epoch(), new.status()),
        (Some(3), SessionStatus::Active)
    );
    // Nothing tells since when it was over.
    assert_eq!(new.released(), None);
    // A status that is in no list is corrupt, not over.
    database
        .execute(&format!(
            "INSERT INTO preview_sessions VALUES ('{session}', 'lost', 'm2')"
        ))
        .await;
    let error = process.refused(NewSession::new(session)).await;
    assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn a_partitioned_table_takes_new_sessions_and_new_lives() {
    for (by, partitions) in [
        (
            "LIST (status)",
            "CREATE TABLE active PARTITION OF preview_sessions FOR VALUES IN ('active');
             CREATE TABLE others PARTITION OF preview_sessions DEFAULT",
        ),
        (
            "RANGE (expires_at)",
            "CREATE TABLE past PARTITION OF preview_sessions
                 FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
             CREATE TABLE now PARTITION OF preview_sessions
                 FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)",
        ),
        (
            "HASH (id)",
            "CREATE TABLE one PARTITION OF preview_sessions
                 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE two PARTITION OF preview_sessions
                 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        ),
    ] {
        let database = partitioned(by, partitions).await;
        database.execute(PostgresDirectory::MIGRATION).await;
        let process = with(builder(&database));
        let id = Uuid::new_v4();
        process.begin(of(id).lifetime(HOUR)).await;
        let taken = process.try_create(of(id).lifetime(HOUR)).await.unwrap();
        assert!(matches!(taken, Created::Taken(_)), "{by}: {taken:?}");
        // Into another partition, where that is what a life is partitioned by.
        database
            .execute("UPDATE preview_sessions SET status = 'stopped', expires_at = '2019-01-01'")
            .await;
        let new = process.begin(of(id).lifetime(HOUR)).await;
        assert_eq!(
            (new.epoch(), new.status()),
            (Some(3), SessionStatus::Active),
            "{by}"
        );
        assert_eq!(count(&database).await, 1, "{by}");
    }
}

#[tokio::test]
async fn an_expiry_that_is_not_named_is_the_columns_own() {
    let database = migrated().await;
    database
        .execute(
            "ALTER TABLE preview_sessions ALTER expires_at SET DEFAULT now() + interval '1 hour',
                 ALTER expires_at SET NOT NULL",
        )
        .await;
    let process = with(builder(&database));
    let id = Uuid::new_v4();
    assert!(process.begin(of(id)).await.remaining() > Some(HOUR / 2));
    database
        .execute("UPDATE preview_sessions SET expires_at = now()")
        .await;
    let new = process.begin(of(id)).await;
    assert!(new.remaining() > Some(HOUR / 2), "{new:?}");
    // No server can count that far.
    let new = process
        .begin(of(Uuid::new_v4()).lifetime(Duration::MAX))
        .await;
    assert!(new.remaining() > Some(1_000 * HOUR), "{new:?}");
    let touch = process
        .directory
        .touch(new.id().clone(), me("m1"), 1, Duration::MAX);
    assert!(touch.await.unwrap());
}
