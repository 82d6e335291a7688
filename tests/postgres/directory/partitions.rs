//! Tables whose rows move between partitions, and writes of every kind.

use std::collections::HashMap;
use std::time::Duration;

use tower_ownership::{CachePolicy, PostgresDirectory, SessionId};
use uuid::Uuid;

use super::{F, Process, builder, me, one, owned_by, row, unowned};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

/// The incident's table, partitioned so.
pub(super) async fn partitioned(by: &str, partitions: &str) -> Database {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute(&format!(
            "ALTER TABLE preview_sessions RENAME TO rows;
             CREATE TABLE preview_sessions (LIKE rows) PARTITION BY {by};
             {partitions}"
        ))
        .await;
    database
}

async fn by_life() -> Database {
    partitioned(
        "RANGE (expires_at)",
        "CREATE TABLE today PARTITION OF preview_sessions
             FOR VALUES FROM (MINVALUE) TO ('2100-01-01');
         CREATE TABLE later PARTITION OF preview_sessions
             FOR VALUES FROM ('2100-01-01') TO (MAXVALUE)",
    )
    .await
}

async fn by_status() -> Database {
    partitioned(
        "LIST (status)",
        "CREATE TABLE active PARTITION OF preview_sessions FOR VALUES IN ('active');
         CREATE TABLE others PARTITION OF preview_sessions DEFAULT",
    )
    .await
}

async fn set(database: &Database, id: Uuid, set: &str) -> (Option<String>, i64, Option<i64>) {
    let sql = format!("UPDATE preview_sessions SET {set} WHERE id = '{id}'");
    database.execute(&sql).await;
    row(database, id).await
}

#[tokio::test]
async fn a_row_keeps_its_epoch_in_another_partition() {
    for (database, there, back) in [
        (
            by_life().await,
            "expires_at = '2101-01-01'",
            "expires_at = '2099-01-01'",
        ),
        (by_status().await, "status = 'paused'", "status = 'active'"),
    ] {
        database.execute(PostgresDirectory::MIGRATION).await;
        let id = owned_by(&database, "m1").await;
        set(&database, id, "container_id = 'm2'").await;
        let is = |owner: Option<&str>, epoch| (owner.map(str::to_owned), epoch, None);
        assert_eq!(set(&database, id, there).await, is(Some("m2"), 2));
        assert_eq!(
            set(&database, id, &format!("container_id = 'm3', {back}")).await,
            is(Some("m3"), 3)
        );
        assert_eq!(
            set(&database, id, &format!("container_id = NULL, {there}")).await,
            is(None, 4)
        );
        assert_eq!(set(&database, id, back).await, is(None, 4));
        assert_eq!(
            set(&database, id, &format!("container_id = 'm1', {there}")).await,
            is(Some("m1"), 5)
        );
    }
}

#[tokio::test]
async fn a_claim_finds_a_row_that_moves_meanwhile() {
    let database = by_life().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let process = Process::of("m1", &database);
    let id = unowned(&database).await;
    let seen = process.read(id).await;
    let mover = database.client().await;
    mover
        .batch_execute("BEGIN; UPDATE preview_sessions SET expires_at = '2101-01-01'")
        .await
        .unwrap();
    let (claimed, committed) = tokio::join!(process.try_claim(seen), async {
        database
            .eventually(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event = 'transactionid')",
            )
            .await;
        mover.batch_execute("COMMIT").await
    });
    committed.unwrap();
    assert_eq!(claimed.unwrap().epoch(), Some(1));
}

/// Without its proof, the epoch would look like one that has to wait.
#[tokio::test]
async fn an_owner_after_a_release_serves_on_when_the_row_moves() {
    let database = by_life().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let of = |machine| Process::with(machine, builder(&database), CachePolicy::new().owned(F));
    let (m1, m2) = (of("m1"), of("m2"));
    let (_one, _two) = (m1.present().await, m2.present().await);
    let id = owned_by(&database, "m1").await;
    assert_eq!(m1.answer(id).await, "epoch 1");
    let session = SessionId::new(id);
    let released = m1.directory.release(&session, &m1.node);
    assert!(released.await.unwrap().unwrap().proven);
    let moves = set(&database, id, "expires_at = '2101-01-01'").await;
    assert_eq!(moves, (None, 2, Some(2)));
    set(&database, id, "container_id = 'm2'").await;
    assert_eq!(m2.answer(id).await, "epoch 3");
    let moves = set(&database, id, "expires_at = '2099-01-01'").await;
    assert_eq!(moves, (Some("m2".to_owned()), 3, Some(2)));
    m2.cache.forget_all();
    assert_eq!(m2.answer(id).await, "epoch 3");
    // And the release is no proof for the owner after that.
    let moves = "container_id = 'm1', expires_at = '2101-01-01'";
    set(&database, id, moves).await;
    assert_eq!(m1.answer(id).await, "session-moving");
}

/// The next owner of a session that moves with its row waits for the one before.
#[tokio::test]
async fn a_moved_row_is_served_by_one_machine() {
    let database = by_life().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    let of = |machine| Process::with(machine, builder(&database), CachePolicy::new().owned(F));
    let (m1, m2) = (of("m1"), of("m2"));
    let (_one, _two) = (m1.present().await, m2.present().await);
    let id = owned_by(&database, "m1").await;
    assert_eq!(m1.answer(id).await, "epoch 1");
    set(
        &database,
        id,
        "container_id = 'm2', expires_at = '2101-01-01'",
    )
    .await;
    assert_eq!(m2.answer(id).await, "session-moving");
    assert_eq!(m1.answer(id).await, "epoch 1");
    tokio::time::sleep(F + Duration::from_millis(500)).await;
    assert_eq!(m2.answer(id).await, "epoch 2");
    assert_eq!(m1.answer(id).await, "replay-not-honoured");
}

#[tokio::test]
async fn a_partition_attached_later_raises_epochs_too() {
    let database = by_status().await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    database
        .execute(
            "CREATE TABLE paused (LIKE preview_sessions INCLUDING DEFAULTS);
             INSERT INTO paused (id, status, container_id)
                 VALUES ('00000000-0000-4000-8000-000000000001', 'paused', 'm1');
             ALTER TABLE preview_sessions ATTACH PARTITION paused FOR VALUES IN ('paused')",
        )
        .await;
    let id = owned_by(&database, "m1").await;
    set(&database, id, "status = 'paused'").await;
    assert_eq!(set(&database, id, "container_id = 'm2'").await.1, 2);
    // Rows that came with the partition were written without the triggers.
    let came = Uuid::from_u128(0x4000_8000_0000_0000_0001);
    set(&database, came, "status = 'active'").await;
    assert_eq!(row(&database, came).await.1, 2);
    process.lookup.verify(&me("m1")).await.unwrap();
    assert_eq!(process.directory.migrate().await.unwrap().done, [""; 0]);
}

#[tokio::test]
async fn a_partition_with_a_disabled_trigger_is_found() {
    let database = by_status().await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    database
        .execute("ALTER TABLE others DISABLE TRIGGER zz_tower_ownership_update")
        .await;
    let error = process.lookup.verify(&me("m1")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("zz_tower_ownership_update"), "{text}");
    assert!(text.contains("others"), "{text}");
    process.directory.migrate().await.unwrap();
    process.lookup.verify(&me("m1")).await.unwrap();
    let fits: bool = one(
        &database,
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'preview_sessions'::regclass",
    )
    .await;
    assert!(fits);
}

/// What a test knows of a row.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    owner: Option<String>,
    epoch: i64,
    /// The epoch that a release made, with its proof, if nothing has moved since.
    proven: Option<i64>,
}

/// A number below `below`, from a linear congruential generator.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below
}

/// A write of some kind to one of the sessions, or the birth of another; and whether it is a release.
fn some_write(state: &mut u64, ids: &mut Vec<Uuid>, step: usize) -> (String, bool) {
    let id = ids[draw(state, ids.len())];
    let owner = ["'m1'", "'m2'", "'m3'", "NULL"][draw(state, 4)];
    let status = ["active", "paused", "stopped"][draw(state, 3)];
    let number = ["0", "1", "3", "-1", "NULL"][draw(state, 5)];
    let mut releases = false;
    let sql = match draw(state, 10) {
        0 => format!("UPDATE preview_sessions SET container_id = {owner} WHERE id = '{id}'"),
        1 => format!("UPDATE preview_sessions SET status = '{status}' WHERE id = '{id}'"),
        2 => format!(
            "UPDATE preview_sessions SET container_id = {owner}, status = '{status}'
             WHERE id = '{id}'"
        ),
        3 => format!(
            "UPDATE preview_sessions SET container_id = {owner}, status = '{status}',
                 owner_epoch = {number}, owner_released = {number}, owner_epoch_of = {owner}
             WHERE id = '{id}'"
        ),
        4 => format!(
            "UPDATE preview_sessions SET owner_epoch = {number}, owner_released = owner_epoch,
                 owner_epoch_of = NULL WHERE id = '{id}'"
        ),
        5 => {
            releases = true;
            format!(
                "UPDATE preview_sessions SET container_id = NULL,
                     owner_released = owner_epoch + 1 WHERE id = '{id}'"
            )
        }
        6 => format!(
            "INSERT INTO preview_sessions (id, status, container_id, owner_epoch)
             SELECT id, status, {owner}, 1 FROM preview_sessions WHERE id = '{id}'
             ON CONFLICT (id, status) DO UPDATE SET container_id = EXCLUDED.container_id,
                 owner_epoch = EXCLUDED.owner_epoch, owner_released = EXCLUDED.owner_epoch - 1"
        ),
        7 => format!(
            "MERGE INTO preview_sessions AS t USING (SELECT '{id}'::uuid AS id) AS s
                 ON t.id = s.id
             WHEN MATCHED THEN UPDATE SET container_id = {owner}, owner_epoch = {number},
                 owner_released = {number}
             WHEN NOT MATCHED THEN INSERT (id, status, container_id)
                 VALUES (s.id, '{status}', {owner})"
        ),
        8 => {
            // Two rows change their ids through a third.
            let other = ids[draw(state, ids.len())];
            let free = Uuid::new_v4();
            format!(
                "UPDATE preview_sessions SET id = '{free}' WHERE id = '{id}';
                 UPDATE preview_sessions SET id = '{id}' WHERE id = '{other}';
                 UPDATE preview_sessions SET id = '{other}' WHERE id = '{free}'"
            )
        }
        _ => {
            let born = Uuid::new_v4();
            ids.push(born);
            format!(
                "COPY preview_sessions (id, status, container_id, owner_epoch, owner_released)
                     FROM PROGRAM 'echo {born},{status},m1,{step},{step}' WITH (FORMAT csv)"
            )
        }
    };
    (sql, releases)
}

/// Many writes of every kind: an epoch never falls, and rises with every change of owner; a proof
/// holds only right after the release that made it.
#[tokio::test]
async fn no_kind_of_write_lowers_an_epoch_or_proves_falsely() {
    let database = by_status().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
        .execute("ALTER TABLE preview_sessions ADD PRIMARY KEY (id, status)")
        .await;
    let client = database.client().await;
    let mut ids: Vec<Uuid> = Vec::new();
    for owner in [Some("m1"), None, Some("m2")] {
        let mut session = PreviewSession::owned_by("unset");
        session.container_id = owner.map(str::to_owned);
        ids.push(database.insert(&session).await);
    }
    let read = async || {
        let sql = "SELECT id, container_id, owner_epoch, owner_released, owner_epoch_of
             FROM preview_sessions";
        let rows = client.query(sql, &[]).await.unwrap();
        let mut found = HashMap::new();
        for row in rows {
            let owner: Option<String> = row.get(1);
            // What a next owner is told, and what one who releases without having waited relies on.
            let (epoch, released): (i64, Option<i64>) = (row.get(2), row.get(3));
            assert_eq!(owner, row.get::<_, Option<String>>(4));
            let old = found.insert(row.get::<_, Uuid>(0), (owner, epoch, released));
            assert_eq!(old, None);
        }
        found
    };
    let mut known: HashMap<Uuid, Known> = HashMap::new();
    // Every epoch that an id ever had, whichever row it was.
    let mut highest: HashMap<Uuid, i64> = HashMap::new();
    for (id, (owner, epoch, _)) in read().await {
        highest.insert(id, epoch);
        let proven = None;
        known.insert(
            id,
            Known {
                owner,
                epoch,
                proven,
            },
        );
    }
    let mut state = 7;
    for step in 0..600 {
        let (sql, releases) = some_write(&mut state, &mut ids, step);
        client
            .batch_execute(&sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        for (id, (owner, epoch, released_at)) in read().await {
            let was = known.get(&id).cloned();
            let high = highest.get(&id).copied().unwrap_or(-1);
            assert!(epoch >= high, "{step}: {epoch} after {high}\n{sql}");
            let moved = was.as_ref().is_some_and(|was| was.owner != owner);
            assert!(!moved || epoch > high, "{step}: {epoch} stays\n{sql}");
            let proven = match &was {
                Some(was) if was.epoch == epoch => was.proven,
                Some(was) if releases && was.owner.is_some() && owner.is_none() => Some(epoch),
                // What the next owner finds is the proof of the epoch before its own.
                Some(was) if was.proven == Some(epoch - 1) => was.proven,
                _ => None,
            };
            let claims = released_at.filter(|at| *at >= epoch - 1);
            // A move between partitions loses a proof, which costs a wait.
            assert!(
                claims.is_none() || claims == proven,
                "{step}: {claims:?}\n{sql}"
            );
            highest.insert(id, epoch);
            known.insert(
                id,
                Known {
                    owner,
                    epoch,
                    proven: claims,
                },
            );
        }
    }
}

#[tokio::test]
async fn a_release_in_a_partition_is_proven() {
    let database = by_status().await;
    let process = Process::of("m1", &database);
    process.directory.migrate().await.unwrap();
    let _presence = process.present().await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(process.answer(id).await, "epoch 1");
    let session = SessionId::new(id);
    let released = process.directory.release(&session, &process.node);
    assert!(released.await.unwrap().unwrap().proven);
}
