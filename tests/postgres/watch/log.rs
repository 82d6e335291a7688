//! The change log of the ownership level: one listener reads it, and announces for all.
//!
//! Where a test calls the function that readers call, it is a reader itself, at the pace of the test.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Client;
use tower_ownership::{
    PostgresDirectory, PostgresLookup,
    directory::{Coverage, FeedErrorKind},
    ownership::{Feed, FeedState},
    postgres::PostgresFeed,
};
use uuid::Uuid;

use super::{Machine, give, is_down, layer, listening, long, told, until};
use crate::support::database::Database;
use crate::support::incident::{PreviewSession, lookup};
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

const LEASE: &str = "preview_sessions_tower_ownership_lease";

/// What the lease says: whether a reader is there.
const IS_READ: &str =
    "SELECT abs((last_value >> 18) - extract(epoch FROM clock_timestamp()) * 1000) < 1000
     FROM preview_sessions_tower_ownership_lease";

async fn migrated_in(cluster: &Cluster) -> (Database, Uuid) {
    let database = cluster.database().await;
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    (database, id)
}

async fn migrated() -> (Database, Uuid) {
    migrated_in(Cluster::shared()).await
}

/// A machine that reads the log, as the only one that can.
async fn reader(database: &Database) -> Machine {
    let machine = Machine::start("m1", database).await;
    database.eventually(IS_READ).await;
    machine
}

/// A reader's call, which keeps its lease for a second.
async fn read(client: &Client, me: i32) -> bool {
    let sql = "SELECT preview_sessions_tower_ownership_read($1, true, false)";
    client.query_one(sql, &[&me]).await.unwrap().get(0)
}

async fn count(database: &Database, sql: &str) -> i64 {
    let row = database.client().await.query_one(sql, &[]).await;
    row.unwrap().get(0)
}

/// How many changes are in the log, as the test sees them.
async fn appended(database: &Database) -> i64 {
    count(
        database,
        "SELECT count(*) FROM (SELECT FROM preview_sessions_tower_ownership_log0
             UNION ALL SELECT FROM preview_sessions_tower_ownership_log1
             UNION ALL SELECT FROM preview_sessions_tower_ownership_log2) AS log",
    )
    .await
}

#[tokio::test]
async fn changes_are_announced_in_batches_while_a_reader_is_there() {
    let (database, id) = migrated().await;
    let [one, other] = [
        reader(&database).await,
        Machine::start("m2", &database).await,
    ];
    assert_eq!(one.ask(id).await, "served");
    assert_eq!(other.ask(id).await, "to m1");
    database
        .execute(&format!(
            "BEGIN;
             INSERT INTO preview_sessions (id, status)
                 SELECT gen_random_uuid(), 'active' FROM generate_series(1, 3000);
             UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}';
             COMMIT"
        ))
        .await;
    for machine in [&one, &other] {
        until(&machine.watch, |health| health.changes == 3_001).await;
    }
    one.becomes(id, "to m2").await;
    other.becomes(id, "served").await;
    assert_eq!(appended(&database).await, 0);
    let health = other.watch.health();
    assert_eq!((health.unreadable, health.reconnects), (0, 0));
    assert_eq!(health.coverage, Coverage::Complete);
}

/// Numbers are given out before a commit, so a position in the log would pass over it.
#[tokio::test]
async fn a_change_that_commits_late_is_announced() {
    let (database, id) = migrated().await;
    let machine = Machine::start("m1", &database).await;
    let (reads, late) = (database.client().await, database.client().await);
    assert!(read(&reads, 1).await);
    assert_eq!(machine.ask(id).await, "served");
    let moves = format!("BEGIN; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'");
    late.batch_execute(&moves).await.unwrap();
    for _ in 0..3 {
        assert!(read(&reads, 1).await);
        let other = database.insert(&PreviewSession::owned_by("m1")).await;
        assert!(read(&reads, 1).await);
        give(&database, other, "m2").await;
    }
    assert_eq!(machine.ask(id).await, "served");
    late.batch_execute("COMMIT").await.unwrap();
    assert!(read(&reads, 1).await);
    machine.becomes(id, "to m2").await;
}

#[tokio::test]
async fn a_prepared_change_is_announced_after_a_restart() {
    let prepared = |_: &std::path::Path| vec!["max_prepared_transactions=5".to_owned()];
    let cluster = Cluster::prepared(prepared).unwrap();
    let (database, id) = migrated_in(&cluster).await;
    let machine = reader(&database).await;
    database
        .execute(&format!(
            "BEGIN; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}';
             PREPARE TRANSACTION 'move'"
        ))
        .await;
    cluster.stop();
    cluster.start();
    until(&machine.watch, |health| health.reconnects > 0).await;
    database.eventually(IS_READ).await;
    assert_eq!(machine.ask(id).await, "served");
    database.execute("COMMIT PREPARED 'move'").await;
    machine.becomes(id, "to m2").await;
}

#[tokio::test]
async fn another_machine_reads_when_the_reader_dies() {
    let (database, id) = migrated().await;
    let first = reader(&database).await;
    let second = Machine::start("m2", &database).await;
    assert_eq!(second.ask(id).await, "to m1");
    first.watch.stop().await;
    // Still within the dead reader's lease.
    assert_eq!(
        count(&database, &format!("SELECT ({IS_READ})::int::bigint")).await,
        1
    );
    give(&database, id, "m2").await;
    second.becomes(id, "served").await;
    database.eventually(IS_READ).await;
    assert_eq!(second.watch.health().reconnects, 0);
}

/// As after SIGSTOP: its connection is open, and it neither reads nor writes.
#[tokio::test]
async fn a_reader_that_is_paused_keeps_no_one_from_reading() {
    let (database, id) = migrated().await;
    let relay = Relay::to(database.port()).await;
    let direct = database.url_through(relay.port());
    let paused = Machine::with("m1", &database, long(), |watch| watch.direct(direct)).await;
    database.eventually(IS_READ).await;
    let other = Machine::start("m2", &database).await;
    assert_eq!(other.ask(id).await, "to m1");
    assert_eq!(paused.ask(id).await, "served");
    relay.black_hole().await;
    give(&database, id, "m2").await;
    other.becomes(id, "served").await;
    database.eventually(IS_READ).await;
    // What it has missed is made up for: it drops all that it holds.
    until(&paused.watch, is_down).await;
    relay.restore().await;
    listening(&paused.watch).await;
    paused.becomes(id, "to m2").await;
    give(&database, id, "m1").await;
    paused.becomes(id, "served").await;
    other.becomes(id, "to m1").await;
}

#[tokio::test]
async fn of_two_readers_one_steps_back() {
    let (database, _) = migrated().await;
    let [one, other] = [database.client().await, database.client().await];
    assert!(read(&one, 1).await);
    assert!(!read(&other, 2).await);
    // It may be that its calls fail from now on. Time is the lease's.
    let age = format!("SELECT setval('{LEASE}', last_value - (5000::bigint << 18)) FROM {LEASE}");
    database.execute(&age).await;
    assert!(read(&other, 2).await);
    assert!(!read(&one, 1).await);
}

/// What the first one deletes comes back if its transaction ends without a commit.
#[tokio::test]
async fn a_reader_that_does_not_commit_takes_nothing_away() {
    let (database, id) = migrated().await;
    let machine = Machine::start("m1", &database).await;
    let [one, other] = [database.client().await, database.client().await];
    assert!(read(&one, 1).await);
    assert_eq!(machine.ask(id).await, "served");
    give(&database, id, "m2").await;
    one.batch_execute("BEGIN").await.unwrap();
    assert!(read(&one, 1).await);
    assert!(!read(&other, 1).await);
    // Nor does it keep its lease, however often it is called.
    sleep(Duration::from_millis(1_100)).await;
    assert!(read(&one, 1).await);
    let is_read: bool = other.query_one(IS_READ, &[]).await.unwrap().get(0);
    assert!(!is_read);
    one.batch_execute("ROLLBACK").await.unwrap();
    assert!(read(&other, 2).await);
    machine.becomes(id, "to m2").await;
}

#[tokio::test]
async fn without_a_reader_changes_notify_by_themselves() {
    let (database, id) = migrated().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    give(&database, id, "m2").await;
    assert_eq!(told(&database, &machine.watch).await, 1);
    // A lease that a clock left in the future, or in the past.
    for ahead in [-5_000, 5_000, 3_600_000] {
        let lease = format!(
            "SELECT setval('{LEASE}', ((extract(epoch FROM clock_timestamp()) * 1000)::bigint
                 + {ahead} << 18) + (7 << 2))"
        );
        database.execute(&lease).await;
        let before = machine.watch.health().changes;
        give(&database, id, &format!("m{}", ahead + 10_000)).await;
        assert_eq!(told(&database, &machine.watch).await, before + 1);
        assert_eq!(appended(&database).await, 0);
    }
}

/// A lease without a reader: its renewals arrive, and no announcements do.
#[tokio::test]
async fn a_reader_that_is_not_heard_is_no_reason_to_trust_silence() {
    let (database, _) = migrated().await;
    let machine = Machine::start("m1", &database).await;
    let client = database.client().await;
    let renew = format!(
        "SELECT setval('{LEASE}',
             ((extract(epoch FROM clock_timestamp()) * 1000)::bigint << 18) + (7 << 2))"
    );
    let renewing = tokio::spawn(async move {
        loop {
            client.query_one(&renew, &[]).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    });
    let health = until(&machine.watch, is_down).await;
    renewing.abort();
    let FeedState::Down { error, .. } = health.state else {
        panic!("{health:?}");
    };
    assert_eq!(error.kind(), FeedErrorKind::Silent);
}

/// A listener that knows no table relies on the reader that it has heard.
#[tokio::test]
async fn a_listener_that_cannot_read_notices_that_the_reader_has_gone() {
    let (database, id) = migrated().await;
    let reads = database.client().await;
    let layer = layer("m2", lookup(&database), long());
    let watch = PostgresFeed::builder(database.url()).build().unwrap();
    let watch = Feed::builder(watch).start(layer.cache()).unwrap();
    listening(&watch).await;
    assert!(read(&reads, 1).await);
    assert_eq!(super::ask(&layer, id).await, "to m1");
    give(&database, id, "m2").await;
    assert!(read(&reads, 1).await);
    super::becomes(&layer, id, "served").await;
    give(&database, id, "m3").await;
    let health = until(&watch, |health| is_down(health) || health.reconnects > 0).await;
    assert!(health.changes >= 1);
    super::becomes(&layer, id, "to m3").await;
}

#[tokio::test]
async fn the_log_does_not_grow() {
    let (database, _) = migrated().await;
    let reads = database.client().await;
    let size = "SELECT sum(pg_relation_size(oid))::bigint FROM pg_class
         WHERE relname LIKE 'preview_sessions_tower_ownership_log%'";
    // Nor does an open snapshot keep what was announced, as it keeps dead rows.
    let dump = database.client().await;
    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM preview_sessions";
    dump.batch_execute(snapshot).await.unwrap();
    for _ in 0..4 {
        assert!(read(&reads, 1).await);
        database
            .execute(
                "INSERT INTO preview_sessions (id, status)
                     SELECT gen_random_uuid(), 'active' FROM generate_series(1, 30000)",
            )
            .await;
        for _ in 0..3 {
            assert!(read(&reads, 1).await);
        }
        let bytes = count(&database, size).await;
        assert!(bytes < 4 << 20, "{bytes}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_emptied_is_not_appended_to() {
    let (database, id) = migrated().await;
    let reads = database.client().await;
    assert!(read(&reads, 1).await);
    // As pg_dump does.
    let dump = database.client().await;
    let lock = "BEGIN; LOCK TABLE preview_sessions_tower_ownership_log0,
         preview_sessions_tower_ownership_log1, preview_sessions_tower_ownership_log2
         IN ACCESS SHARE MODE";
    dump.batch_execute(lock).await.unwrap();
    database
        .execute(
            "BEGIN; INSERT INTO preview_sessions_tower_ownership_log0
                 SELECT repeat('x', 600) FROM generate_series(1, 120000); ROLLBACK",
        )
        .await;
    sleep(Duration::from_millis(1_100)).await;
    for _ in 0..3 {
        assert!(read(&reads, 1).await);
        let is_read: bool = reads.query_one(IS_READ, &[]).await.unwrap().get(0);
        assert!(!is_read);
    }
    // A machine takes turns once it has heard no reader for a while: before, two would read.
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    give(&database, id, "m2").await;
    assert_eq!(told(&database, &machine.watch).await, 1);
    assert_eq!(appended(&database).await, 0);
    // It is emptied once it can be.
    dump.batch_execute("COMMIT").await.unwrap();
    database.eventually(IS_READ).await;
}

#[tokio::test]
async fn copies_partitions_and_truncations_are_announced() {
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
    let machine = reader(&database).await;
    let session = PreviewSession::owned_by("m1");
    assert_eq!(machine.ask(session.id).await, "session-unknown");
    let copy = format!(
        "COPY preview_sessions (id, status, container_id) FROM PROGRAM
             'echo {},active,m1' (FORMAT csv)",
        session.id
    );
    database.execute(&copy).await;
    machine.becomes(session.id, "served").await;
    for (change, answer) in [
        (
            "UPDATE preview_sessions SET status = 'stopped'",
            "session-over",
        ),
        ("UPDATE preview_sessions SET status = 'active'", "served"),
        ("UPDATE active SET container_id = 'm2'", "to m2"),
        ("TRUNCATE preview_sessions", "session-unknown"),
    ] {
        database.execute(change).await;
        machine.becomes(session.id, answer).await;
    }
}

#[tokio::test]
async fn a_publication_of_all_tables_lets_the_log_be_read() {
    let logical = |_: &std::path::Path| vec!["wal_level=logical".to_owned()];
    let cluster = Cluster::prepared(logical).unwrap();
    let (database, id) = migrated_in(&cluster).await;
    database
        .execute("CREATE PUBLICATION everything FOR ALL TABLES")
        .await;
    let machine = reader(&database).await;
    assert_eq!(machine.ask(id).await, "served");
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    assert!(machine.watch.health().state.is_listening());
}

/// The trigger that appends runs with the rights of the log's owner.
#[tokio::test]
async fn writers_need_and_borrow_no_rights() {
    let (database, id) = migrated().await;
    let name = format!("borrower_{}", database.name());
    let raises = "LANGUAGE plpgsql AS $$ BEGIN
         IF current_user NOT LIKE 'borrower%' THEN RAISE EXCEPTION 'borrowed'; END IF;
         RETURN";
    database
        .execute(&format!(
            "CREATE ROLE {name}; CREATE SCHEMA evil;
             GRANT SELECT, UPDATE ON preview_sessions TO {name};
             GRANT USAGE ON SCHEMA evil TO {name};
             CREATE FUNCTION evil.same(text, text) RETURNS boolean {raises} $1 OPERATOR(pg_catalog.=) $2; END $$;
             CREATE FUNCTION evil.same(bigint, bigint) RETURNS boolean {raises} $1 OPERATOR(pg_catalog.=) $2; END $$;
             CREATE FUNCTION evil.less(bigint, integer) RETURNS boolean {raises} $1 OPERATOR(pg_catalog.<) $2; END $$;
             CREATE FUNCTION evil.left(text, integer) RETURNS text {raises} pg_catalog.left($1, $2); END $$;
             CREATE FUNCTION evil.abs(bigint) RETURNS bigint {raises} pg_catalog.abs($1); END $$;
             CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same);
             CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.same);
             CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = evil.less);
             CREATE DOMAIN evil.float8 AS pg_catalog.float8 CHECK (evil.abs(1) = 1)"
        ))
        .await;
    let machine = reader(&database).await;
    assert_eq!(machine.ask(id).await, "served");
    database
        .execute(&format!(
            "SET ROLE {name}; SET search_path = evil, pg_catalog, public;
             UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'"
        ))
        .await;
    machine.becomes(id, "to m2").await;
}

#[tokio::test]
async fn a_role_that_may_not_read_listens_only() {
    let (database, id) = migrated().await;
    let name = format!("listener_{}", database.name());
    database
        .execute(&format!(
            "CREATE ROLE {name} LOGIN; GRANT SELECT ON preview_sessions TO {name};
             REVOKE EXECUTE ON FUNCTION
                 preview_sessions_tower_ownership_read(integer, boolean, boolean) FROM PUBLIC"
        ))
        .await;
    let url = database.url().replace("postgres@", &format!("{name}@"));
    let machine = Machine::with("m1", &database, long(), |watch| watch.direct(url)).await;
    assert_eq!(machine.watch.health().coverage, Coverage::Complete);
    assert_eq!(machine.ask(id).await, "served");
    sleep(Duration::from_secs(3)).await;
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    assert_eq!(database.statements_with("_tower_ownership_read($1"), 0);
    assert_eq!(machine.watch.health().reconnects, 0);
}

/// A deployment may apply either file at any time.
#[tokio::test]
async fn both_levels_stand_side_by_side() {
    let (database, id) = migrated().await;
    let machine = reader(&database).await;
    assert_eq!(machine.ask(id).await, "served");
    database.execute(PostgresFeed::MIGRATION).await;
    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
    let lookup = PostgresLookup::builder(database.url()).ownership();
    let directory = lookup.build().unwrap().directory().unwrap();
    let done = directory.migrate().await.unwrap().done;
    assert_eq!(done, ["change log", "triggers that notify"]);
    assert_eq!(directory.migrate().await.unwrap().done, [""; 0]);
    give(&database, id, "m1").await;
    machine.becomes(id, "served").await;
}
