//! The SQL of the triggers.

use tower_ownership::{
    PostgresLookup,
    directory::Coverage,
    postgres::{PostgresConfigError, PostgresFeed},
};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};
use uuid::Uuid;

use super::{Machine, ask, becomes, give, layer, listening, long, told, with_session};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::lookup;

#[tokio::test]
async fn it_may_be_applied_again() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let generated = lookup(&database).change_feed().migration().unwrap();
    assert_eq!(generated, PostgresFeed::MIGRATION);
    for round in 1..=3_u64 {
        database.execute(&generated).await;
        give(&database, id, &format!("m{}", round + 10)).await;
        assert_eq!(told(&database, &machine.watch).await, round);
    }
    // As a tool does that wraps every file in a transaction of its own.
    database
        .execute(&format!("BEGIN; {generated} COMMIT"))
        .await;
}

#[tokio::test]
async fn it_is_undone_as_it_says() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    let retype = "ALTER TABLE preview_sessions ALTER container_id TYPE varchar(60)";
    let refused = database.client().await.batch_execute(retype).await;
    assert!(
        refused.is_err(),
        "the comment in the migration is out of date"
    );
    let undo = PostgresFeed::MIGRATION
        .lines()
        .find_map(|line| line.strip_prefix("--     "))
        .unwrap();
    assert!(undo.starts_with("DROP FUNCTION"), "{undo}");
    database.execute(undo).await;
    database.execute(retype).await;
    give(&database, id, "m2").await;
    assert_eq!(told(&database, &machine.watch).await, 0);
    database.execute(PostgresFeed::MIGRATION).await;
    give(&database, id, "m3").await;
    assert_eq!(told(&database, &machine.watch).await, 1);
}

#[tokio::test]
async fn it_locks_no_reader_out() {
    let (database, id) = with_session().await;
    let migrating = database.client().await;
    let sql = format!("BEGIN; {}", PostgresFeed::MIGRATION);
    migrating.batch_execute(&sql).await.unwrap();
    let layer = layer("m1", lookup(&database), long());
    assert_eq!(ask(&layer, id).await, "served");
    migrating.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn names_may_be_odd() {
    let odd = [
        ("Odd \"schema\"", "ta'ble", "chan'nel"),
        ("$$", "$tower_ownership$", "$tower_ownership$"),
        ("back\\slash", "; drop table x; --", "Ünïcödé \\"),
        (
            "public",
            "a_table_with_a_name_that_is_as_long_as_a_name_may_be_in_postgre",
            "c",
        ),
    ];
    for (schema, table, channel) in odd {
        let database = Database::fresh().await;
        let builder = PostgresLookup::builder(database.url())
            .schema(schema)
            .table(table)
            .columns(
                "id=the \"id\",owner=o'wner,status=select,address=,expires_at=,ended_at=,epoch=Epoch"
                    .parse()
                    .unwrap(),
            )
            .id_type(PostgresIdType::Text)
            .session_ids(SessionIds::uuid());
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let name = format!("{}.{}", quoted(schema), quoted(table));
        let id = Uuid::new_v4();
        database
            .execute(&format!(
                "CREATE SCHEMA IF NOT EXISTS {};
                 CREATE TABLE {name} (\"the \"\"id\"\"\" text, \"o'wner\" text,
                     \"select\" text, \"Epoch\" bigint, other text);
                 INSERT INTO {name} VALUES ('{id}', 'm1', 'active', 1)",
                quoted(schema)
            ))
            .await;
        let lookup = builder.build().unwrap();
        let layer = layer("m1", lookup.clone(), long());
        let watch = lookup.change_feed().channel(channel);
        let migration = watch.migration().unwrap();
        database.execute(&migration).await;
        database.execute(&migration).await;
        let watch = watch.start(layer.cache()).unwrap();
        listening(&watch).await;
        assert_eq!(watch.health().coverage, Coverage::Complete, "{migration}");

        assert_eq!(ask(&layer, id).await, "served");
        database
            .execute(&format!("UPDATE {name} SET \"o'wner\" = 'm2'"))
            .await;
        becomes(&layer, id, "to m2").await;
        let before = watch.health().changes;
        database
            .execute(&format!("UPDATE {name} SET \"Epoch\" = 2"))
            .await;
        super::until(&watch, |health| health.changes == before + 1).await;
    }
}

#[tokio::test]
async fn a_table_without_triggers_is_told_of() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let machine = Machine::start("m1", &database).await;
    let coverage = machine.watch.health().coverage;
    assert!(matches!(coverage, Coverage::Incomplete(_)), "{coverage:?}");
    database.execute(PostgresFeed::MIGRATION).await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.watch.health().coverage, Coverage::Complete);
    // These notify another channel.
    let other = Machine::with("m1", &database, long(), |watch| watch.channel("other")).await;
    let coverage = other.watch.health().coverage;
    assert!(matches!(coverage, Coverage::Incomplete(_)), "{coverage:?}");

    let watch = PostgresFeed::builder(database.url()).start(machine.layer.cache());
    let watch = watch.unwrap();
    listening(&watch).await;
    assert_eq!(watch.health().coverage, Coverage::Unknown);
}

#[tokio::test]
async fn it_needs_a_table() {
    let query = PostgresLookup::builder("postgres://h/db")
        .query("SELECT 'm1' AS owner, 'active' AS status WHERE $1 IS NOT NULL")
        .build()
        .unwrap();
    for watch in [
        query.change_feed(),
        PostgresFeed::builder("postgres://h/db"),
    ] {
        let error = watch.migration().unwrap_err();
        assert!(
            matches!(error, PostgresConfigError::NoTable { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn no_write_fails_because_of_an_odd_id() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(
            "ALTER TABLE preview_sessions DROP CONSTRAINT preview_sessions_pkey,
                 ALTER id TYPE text, ALTER id DROP NOT NULL",
        )
        .await;
    database.execute(PostgresFeed::MIGRATION).await;
    let machine = Machine::start("m1", &database).await;
    let garbage = machine.watch.health().unreadable;
    database
        .execute(
            "INSERT INTO preview_sessions (id, status) VALUES
                 (repeat('x', 100000), 'active'), (NULL, 'active'), ('', 'active')",
        )
        .await;
    super::until(&machine.watch, |health| health.unreadable == garbage + 3).await;
}

#[tokio::test]
async fn writers_need_no_rights_on_the_function() {
    let (database, id) = with_session().await;
    let name = format!("writer_{}", database.name());
    database
        .execute(&format!(
            "CREATE ROLE {name};
             GRANT SELECT, UPDATE ON preview_sessions TO {name};
             REVOKE ALL ON FUNCTION preview_sessions_tower_ownership() FROM PUBLIC"
        ))
        .await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    database
        .execute(&format!(
            "SET ROLE {name}; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'"
        ))
        .await;
    machine.becomes(id, "to m2").await;
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
    database.execute(PostgresFeed::MIGRATION).await;
    database.execute(PostgresFeed::MIGRATION).await;
    let machine = Machine::start("m1", &database).await;
    let session = PreviewSession::owned_by("m1");
    assert_eq!(machine.ask(session.id).await, "session-unknown");
    let id = database.insert(&session).await;
    machine.becomes(id, "served").await;
    // To another partition, which is a deletion and an insertion.
    database
        .execute("UPDATE preview_sessions SET status = 'stopped'")
        .await;
    machine.becomes(id, "session-over").await;
    give(&database, id, "m2").await;
    assert_eq!(told(&database, &machine.watch).await, 3);
}
