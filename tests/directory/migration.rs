//! The SQL of ownership.

use tower_ownership::{
    PostgresConfigError, PostgresDirectory, PostgresLookup, PostgresWatch, Presence,
};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::{Process, builder, me, migrated, one, owned_by, row};
use tower_ownership::{Freshness, LookupErrorKind, SessionId};

#[tokio::test]
async fn it_may_be_applied_again_and_over_the_one_that_notifies() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let before = owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    assert_eq!(
        process.directory.migration().unwrap(),
        PostgresDirectory::MIGRATION
    );
    database.execute(PostgresWatch::MIGRATION).await;
    process.directory.migrate().await.unwrap();
    database
        .execute("UPDATE preview_sessions SET container_id = 'm2'")
        .await;
    for again in [
        PostgresDirectory::MIGRATION,
        PostgresWatch::MIGRATION,
        PostgresDirectory::MIGRATION,
    ] {
        database.execute(&format!("BEGIN; {again} COMMIT")).await;
        process.directory.migrate().await.unwrap();
    }
    // A row that was there counts as its first epoch, once.
    assert_eq!(
        row(&database, before).await,
        (Some("m2".to_owned()), 2, None)
    );
    // Nor does the other migration take anything away.
    database.execute(PostgresWatch::MIGRATION).await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'm3'")
        .await;
    assert_eq!(
        row(&database, before).await,
        (Some("m3".to_owned()), 3, None)
    );
    let found: i64 = one(
        &database,
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'preview_sessions'::regclass
             AND NOT tgisinternal",
    )
    .await;
    assert_eq!(found, 5);
    process.lookup.verify(&me("m3")).await.unwrap();
}

#[tokio::test]
async fn it_is_undone_as_it_says() {
    let database = migrated().await;
    let undo = PostgresDirectory::MIGRATION
        .lines()
        .find_map(|line| line.strip_prefix("--     "))
        .unwrap();
    assert!(undo.starts_with("DROP FUNCTION"), "{undo}");
    database.execute(undo).await;
    database
        .execute("ALTER TABLE preview_sessions ALTER container_url TYPE varchar(60)")
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
}

#[tokio::test]
async fn an_epoch_that_was_there_before_is_gone_on_with() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let (kept, empty) = (
        owned_by(&database, "m1").await,
        owned_by(&database, "m1").await,
    );
    database
        .execute("ALTER TABLE preview_sessions ADD owner_epoch integer")
        .await;
    database
        .execute(&format!(
            "UPDATE preview_sessions SET owner_epoch = 7 WHERE id = '{kept}'"
        ))
        .await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    database
        .execute("UPDATE preview_sessions SET container_id = 'm2'")
        .await;
    assert_eq!(process.read(kept).await.epoch(), Some(8));
    assert_eq!(process.read(empty).await.epoch(), Some(2));
}

#[tokio::test]
async fn who_uses_the_table_for_long_fails_it_and_nothing_else() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let id = owned_by(&database, "m1").await;
    let reader = database.client().await;
    reader
        .batch_execute("BEGIN; SELECT FROM preview_sessions")
        .await
        .unwrap();
    let process = Process::of("m1", &database);
    let error = process.directory.migrate().await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}");
    reader.batch_execute("COMMIT").await.unwrap();
    process.directory.migrate().await.unwrap();
    assert_eq!(process.read(id).await.epoch(), Some(1));
}

#[tokio::test]
async fn names_and_types_may_be_odd() {
    let odd = [
        ("Odd \"schema\"", "ta'ble", "text", "text"),
        ("$$", "$tower_ownership$", "uuid", "state"),
        ("back\\slash", "; drop table x; --", "bigint", "varchar(20)"),
        (
            "public",
            "a_table_with_a_name_that_is_as_long_as_a_name_may_be_in_postgre",
            "machine",
            "text",
        ),
    ];
    for (schema, table, owner, status) in odd {
        let database = Database::fresh().await;
        let builder = PostgresLookup::builder(database.url())
            .schema(schema)
            .table(table)
            .id_column("the \"id\"")
            .owner_column("o'wner")
            .status_column("select")
            .active_statuses(["up", "it's up"])
            .starting_statuses(["coming"])
            .without_address()
            .without_expires_at()
            .without_ended_at()
            .epoch_column("Epoch")
            .released_column("re\"leased")
            .machines_table("ma'chines $$")
            .fleet_table("the \"fleet\"")
            .id_as_text();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let name = format!("{}.{}", quoted(schema), quoted(table));
        let (one, other) = match owner {
            "uuid" => (Uuid::new_v4().to_string(), Uuid::new_v4().to_string()),
            "bigint" => ("17".to_owned(), "18".to_owned()),
            _ => ("m1".to_owned(), "m2".to_owned()),
        };
        let id = Uuid::new_v4();
        database
            .execute(&format!(
                "CREATE SCHEMA IF NOT EXISTS {};
                 CREATE TYPE state AS ENUM ('up', 'it''s up', 'coming', 'down');
                 CREATE DOMAIN machine AS varchar(40);
                 CREATE TABLE {name} (\"the \"\"id\"\"\" text PRIMARY KEY, \"o'wner\" {owner},
                     \"select\" {status}, other text);
                 INSERT INTO {name} VALUES ('{id}', '{one}', 'it''s up')",
                quoted(schema)
            ))
            .await;
        let process = Process::with(&one, builder.clone(), Freshness::new());
        process.directory.migrate().await.unwrap();
        process.directory.migrate().await.unwrap();
        let presence = process.present().await;
        process.lookup.verify(&me(&one)).await.unwrap();
        let found = process.read(id).await;
        assert_eq!(found.presence(), Presence::Alive);
        assert_eq!(found.epoch(), Some(1));

        let next = Process::with(&other, builder, Freshness::new());
        let _present = next.present().await;
        let session = SessionId::new(id);
        let released = process.directory.release(session, &process.cache).await;
        assert!(released.unwrap().unwrap().proven);
        let claimed = next.claim(id).await;
        assert_eq!(claimed.owner(), Some(&me(&other)), "{schema}");
        assert_eq!((claimed.epoch(), claimed.released()), (Some(3), Some(2)));
        let assigned = next.directory.assign(session, &me(&one)).await.unwrap();
        assert_eq!((assigned.epoch, assigned.previous), (4, Some(me(&other))));
        let drained = presence.drain(std::time::Duration::from_secs(20)).await;
        assert_eq!(drained.unwrap().released.len(), 1);
    }
}

#[tokio::test]
async fn it_needs_a_table_and_ownership() {
    let query = PostgresLookup::builder("postgres://h/db")
        .query("SELECT 'm1' AS owner, 'active' AS status WHERE $1 IS NOT NULL");
    let error = query.clone().build().unwrap().directory().unwrap_err();
    assert!(
        matches!(error, PostgresConfigError::NoTable { .. }),
        "{error}"
    );
    let error = query.ownership().build().unwrap_err();
    assert!(
        matches!(error, PostgresConfigError::Conflict { .. }),
        "{error}"
    );
    let plain = PostgresLookup::builder("postgres://h/db").build().unwrap();
    let error = plain.directory().unwrap_err();
    assert!(matches!(error, PostgresConfigError::NoOwnership), "{error}");
    let database = Database::fresh().await;
    let wrong = builder(&database).machines_table("").build().unwrap_err();
    assert!(
        matches!(wrong, PostgresConfigError::Identifier { .. }),
        "{wrong}"
    );
}

#[tokio::test]
async fn a_partitioned_table_is_a_table() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(
            "ALTER TABLE preview_sessions RENAME TO rows;
             CREATE TABLE preview_sessions (LIKE rows) PARTITION BY LIST (status);
             CREATE TABLE active PARTITION OF preview_sessions FOR VALUES IN ('active');
             CREATE TABLE others PARTITION OF preview_sessions DEFAULT",
        )
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let process = Process::of("m1", &database);
    let mut session = PreviewSession::owned_by("nobody");
    session.container_id = None;
    let id = database.insert(&session).await;
    assert_eq!(process.claim(id).await.epoch(), Some(1));
    let released = process
        .directory
        .release(SessionId::new(id), &process.cache)
        .await;
    assert_eq!(released.unwrap().unwrap().epoch, 2);
}
