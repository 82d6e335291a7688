//! The SQL of ownership.

use tower_ownership::{
    OwnerStatus, PostgresDirectory, PostgresLookup,
    postgres::{PostgresColumns, PostgresConfigError, PostgresFeed},
};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};
use uuid::Uuid;

use super::{Process, builder, me, migrated, one, owned_by, row};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use tower_ownership::{CachePolicy, LookupErrorKind, SessionId};

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
    database.execute(PostgresFeed::MIGRATION).await;
    process.directory.migrate().await.unwrap();
    database
        .execute("UPDATE preview_sessions SET container_id = 'm2'")
        .await;
    for again in [
        PostgresDirectory::MIGRATION,
        PostgresFeed::MIGRATION,
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
    database.execute(PostgresFeed::MIGRATION).await;
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
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!(process.read(id).await.epoch(), Some(1));
    assert_eq!(
        migrated.done,
        [
            "columns of the sessions' table",
            "triggers that raise epochs",
            "change log",
            "triggers that notify",
            "table of machines",
            "table of the fleet",
            "owners of epochs, in 1 rows",
            "index of owners",
        ]
    );
    assert_eq!(migrated.left, []);
}

/// As a reader of a long snapshot holds it, which a backup is.
#[tokio::test]
async fn a_complete_table_is_migrated_beside_its_readers_and_writers() {
    let database = migrated().await;
    let (id, other) = (
        owned_by(&database, "m1").await,
        owned_by(&database, "m1").await,
    );
    let backup = database.client().await;
    backup
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ;
             LOCK TABLE preview_sessions, ownership_machines, ownership_fleet IN ACCESS SHARE MODE",
        )
        .await
        .unwrap();
    let writer = database.client().await;
    writer
        .batch_execute(&format!(
            "BEGIN; UPDATE preview_sessions SET tier = 'x' WHERE id = '{id}'"
        ))
        .await
        .unwrap();
    let process = Process::of("m1", &database);
    let began = std::time::Instant::now();
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!((migrated.done, migrated.left), (Vec::new(), Vec::new()));
    // A row that is due and not locked is filled in beside both.
    database
        .execute(&format!(
            "BEGIN; SET LOCAL session_replication_role = replica;
             UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{other}'; COMMIT"
        ))
        .await;
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!(migrated.done, ["owners of epochs, in 1 rows"]);
    assert!(began.elapsed().as_secs() < 20);
}

#[tokio::test]
async fn what_is_missing_is_made_and_nothing_else() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let process = Process::of("m1", &database);
    let triggers = "triggers that raise epochs";
    for (lost, made) in [
        (
            "ALTER TABLE preview_sessions DISABLE TRIGGER zz_tower_ownership_insert",
            triggers,
        ),
        (
            "DROP TRIGGER zz_tower_ownership_update ON preview_sessions",
            triggers,
        ),
        (
            "CREATE OR REPLACE FUNCTION preview_sessions_tower_ownership_epoch() RETURNS trigger
                 LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            triggers,
        ),
        (
            "DROP TRIGGER tower_ownership_row ON preview_sessions",
            "triggers that notify",
        ),
        (
            "CREATE OR REPLACE TRIGGER tower_ownership_change AFTER UPDATE OF id
                 ON preview_sessions FOR EACH ROW
                 EXECUTE FUNCTION preview_sessions_tower_ownership()",
            "triggers that notify",
        ),
        (
            "ALTER TABLE ownership_machines DROP took_over, DROP rival_at",
            "table of machines",
        ),
        (
            "ALTER TABLE ownership_fleet DROP freshness_ms",
            "table of the fleet",
        ),
        (
            "DROP INDEX preview_sessions_tower_ownership_owner",
            "index of owners",
        ),
        (
            "ALTER TABLE preview_sessions ALTER owner_epoch DROP DEFAULT",
            "columns of the sessions' table",
        ),
    ] {
        database.execute(lost).await;
        let migrated = process.directory.migrate().await.unwrap();
        assert_eq!(migrated.done, [made], "{lost}");
        assert_eq!(migrated.left, [], "{lost}");
        process.lookup.verify(&me("m1")).await.unwrap();
    }
    assert_eq!(row(&database, id).await.1, 1);
}

/// The first form of the table, without the owner of the epoch.
#[tokio::test]
async fn an_earlier_form_of_the_table_is_brought_forward() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    database
        .execute(
            "UPDATE preview_sessions SET container_id = 'm2';
             DROP FUNCTION preview_sessions_tower_ownership_epoch CASCADE;
             ALTER TABLE preview_sessions DROP owner_epoch_of;
             ALTER TABLE ownership_machines DROP took_over",
        )
        .await;
    let process = Process::of("m2", &database);
    let text = process
        .lookup
        .verify(&me("m2"))
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("owner_epoch_of"), "{text}");
    process.directory.migrate().await.unwrap();
    assert_eq!(row(&database, id).await, (Some("m2".to_owned()), 2, None));
    let of: String = one(&database, "SELECT owner_epoch_of FROM preview_sessions").await;
    assert_eq!(of, "m2");
    process.lookup.verify(&me("m2")).await.unwrap();
}

/// Rows that were there before are served while they are filled in, and the table is not rewritten.
#[tokio::test]
async fn a_large_table_is_filled_in_beside_its_readers_and_its_index_is_left() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(
            "INSERT INTO preview_sessions (id, status, container_id, user_id, tier)
             SELECT gen_random_uuid(), 'active', 'm' || n % 7, repeat('x', 500), repeat('y', 500)
             FROM generate_series(1, 40000) AS n",
        )
        .await;
    let sql = "SELECT pg_relation_filenode('preview_sessions')::bigint";
    let before: i64 = one(&database, sql).await;
    database.execute(PostgresDirectory::MIGRATION).await;
    assert_eq!(one::<i64>(&database, sql).await, before);
    let due = "SELECT count(*) FROM preview_sessions WHERE owner_epoch_of <> container_id";
    assert_eq!(one::<i64>(&database, due).await, 40_000);
    let process = Process::of("m1", &database);
    let id: Uuid = one(&database, "SELECT id FROM preview_sessions LIMIT 1").await;
    assert_eq!(process.read(id).await.epoch(), Some(1));
    let locked = database.client().await;
    locked
        .batch_execute(&format!(
            "BEGIN; SELECT FROM preview_sessions WHERE id = '{id}' FOR UPDATE"
        ))
        .await
        .unwrap();
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!(migrated.done, ["owners of epochs, in 39999 rows"]);
    let left: Vec<&str> = migrated.left.iter().map(|left| left.sql.as_str()).collect();
    assert!(
        left[0].starts_with("UPDATE \"preview_sessions\""),
        "{left:?}"
    );
    assert!(left[1].starts_with("CREATE INDEX CONCURRENTLY"), "{left:?}");
    locked.batch_execute("COMMIT").await.unwrap();
    for sql in left {
        database.execute(sql).await;
    }
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!((migrated.done, migrated.left), (Vec::new(), Vec::new()));
    let epochs = "SELECT count(*) FROM preview_sessions WHERE owner_epoch <> 1";
    assert_eq!(one::<i64>(&database, epochs).await, 0);
    // An index that holds other rows serves until the new one is built.
    let others = builder(&database).starting_statuses(["booting"]);
    let process = Process::with("m1", others, CachePolicy::new());
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!((migrated.done.len(), migrated.left.len()), (0, 1));
    let statements: Vec<&str> = migrated.left[0].sql.split(";\n").collect();
    for (sql, begin) in statements.iter().zip([
        "ALTER INDEX \"preview_sessions_tower_ownership_owner\" RENAME",
        "CREATE INDEX CONCURRENTLY \"preview_sessions_tower_ownership_owner\"",
        "DROP INDEX CONCURRENTLY",
    ]) {
        assert!(sql.starts_with(begin), "{statements:?}");
        database.execute(sql).await;
    }
    let migrated = process.directory.migrate().await.unwrap();
    assert_eq!((migrated.done, migrated.left), (Vec::new(), Vec::new()));
    // Nor does the file replace it, on a table of this size.
    database.execute(PostgresDirectory::MIGRATION).await;
    let indexes = "SELECT string_agg(pg_get_expr(indpred, indrelid), '; ') FROM pg_index
         WHERE indrelid = 'preview_sessions'::regclass AND indpred IS NOT NULL";
    let rows = "(status = ANY (ARRAY['active'::text, 'booting'::text]))";
    assert_eq!(one::<String>(&database, indexes).await, rows);
}

#[tokio::test]
async fn an_index_that_does_not_fit_is_left_with_its_statement() {
    let database = migrated().await;
    owned_by(&database, "m1").await;
    let both = builder(&database).active_statuses(["active", "running"]);
    let process = Process::with("m1", both, CachePolicy::new());
    database
        .execute("ALTER INDEX preview_sessions_tower_ownership_owner RENAME TO by_hand")
        .await;
    let migrated = process.directory.migrate().await.unwrap();
    let [left] = migrated.left.as_slice() else {
        panic!("{migrated:?}");
    };
    let statements: Vec<&str> = left.sql.split(";\n").collect();
    assert_eq!(statements[1], "DROP INDEX CONCURRENTLY \"by_hand\"");
    for sql in statements {
        database.execute(sql).await;
    }
    assert_eq!(process.directory.migrate().await.unwrap().left, []);
}

/// The server drops no index of a partitioned table concurrently.
#[tokio::test]
async fn an_index_of_a_partitioned_table_is_replaced() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(
            "ALTER TABLE preview_sessions RENAME TO rows;
             CREATE TABLE preview_sessions (LIKE rows) PARTITION BY HASH (id);
             CREATE TABLE part PARTITION OF preview_sessions
                 FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        )
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let rename = "ALTER INDEX preview_sessions_tower_ownership_owner RENAME TO by_hand";
    for (active, rename) in [("running", rename), ("up", "SELECT")] {
        let other = builder(&database).active_statuses([active]);
        let process = Process::with("m1", other, CachePolicy::new());
        database.execute(rename).await;
        let migrated = process.directory.migrate().await.unwrap();
        for left in &migrated.left {
            for sql in left.sql.split(";\n") {
                database.execute(sql).await;
            }
        }
        assert_eq!(process.directory.migrate().await.unwrap().left, []);
    }
    let indexes = "SELECT count(*) FROM pg_index WHERE indpred IS NOT NULL AND
         indrelid IN ('preview_sessions'::regclass, 'part'::regclass)";
    assert_eq!(one::<i64>(&database, indexes).await, 2);
}

/// An exchange of tables leaves the name of the index with the old one.
#[tokio::test]
async fn a_table_that_took_anothers_place_gets_all_of_it() {
    let database = migrated().await;
    database
        .execute(
            "CREATE TABLE shadow (LIKE preview_sessions INCLUDING DEFAULTS);
             ALTER TABLE preview_sessions RENAME TO old;
             ALTER TABLE shadow RENAME TO preview_sessions",
        )
        .await;
    let process = Process::of("m1", &database);
    let migrated = process.directory.migrate().await.unwrap();
    assert!(
        migrated.done.contains(&"index of owners".to_owned()),
        "{migrated:?}"
    );
    assert_eq!(process.directory.migrate().await.unwrap().done, [""; 0]);
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
            .columns(PostgresColumns {
                id: "the \"id\"".to_owned(),
                owner: "o'wner".to_owned(),
                status: Some("select".to_owned()),
                address: None,
                expires_at: None,
                ended_at: None,
                epoch: Some("Epoch".to_owned()),
                released: "re\"leased".to_owned(),
                ..PostgresColumns::default()
            })
            .active_statuses(["up", "it's up"])
            .starting_statuses(["coming"])
            .machines_table("ma'chines $$")
            .fleet_table("the \"fleet\"")
            .id_type(PostgresIdType::Text)
            .session_ids(SessionIds::uuid());
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
        let process = Process::with(&one, builder.clone(), CachePolicy::new());
        process.directory.migrate().await.unwrap();
        process.directory.migrate().await.unwrap();
        let presence = process.present().await;
        process.lookup.verify(&me(&one)).await.unwrap();
        let found = process.read(id).await;
        assert_eq!(found.owner_status(), OwnerStatus::Alive);
        assert_eq!(found.epoch(), Some(1));

        let next = Process::with(&other, builder, CachePolicy::new());
        let _present = next.present().await;
        let session = SessionId::new(id);
        let released = process.directory.release(&session, &process.node).await;
        assert!(released.unwrap().unwrap().proven);
        let claimed = next.claim(id).await;
        assert_eq!(claimed.owner(), Some(&me(&other)), "{schema}");
        assert_eq!((claimed.epoch(), claimed.released()), (Some(3), Some(2)));
        let assigned = next.directory.assign(&session, &me(&one)).await.unwrap();
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
    let mut session = PreviewSession::owned_by("unset");
    session.container_id = None;
    let id = database.insert(&session).await;
    assert_eq!(process.claim(id).await.epoch(), Some(1));
    let released = process
        .directory
        .release(&SessionId::new(id), &process.node)
        .await;
    assert_eq!(released.unwrap().unwrap().epoch, 2);
}
