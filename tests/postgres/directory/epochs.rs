//! Epochs rise whoever writes, and nobody can make them do anything else.

use uuid::Uuid;

use super::{migrated, owned_by, row, unowned};
use crate::support::database::Database;

async fn write(database: &Database, id: Uuid, set: &str) -> (Option<String>, i64, Option<i64>) {
    let sql = format!("UPDATE preview_sessions SET {set} WHERE id = '{id}'");
    database.execute(&sql).await;
    row(database, id).await
}

fn is(owner: &str, epoch: i64, released: Option<i64>) -> (Option<String>, i64, Option<i64>) {
    (
        (!owner.is_empty()).then(|| owner.to_owned()),
        epoch,
        released,
    )
}

#[tokio::test]
async fn a_row_begins_at_zero_without_an_owner_and_at_one_with_one() {
    let database = migrated().await;
    let (free, owned) = (unowned(&database).await, owned_by(&database, "m1").await);
    assert_eq!(row(&database, free).await, is("", 0, None));
    assert_eq!(row(&database, owned).await, is("m1", 1, None));
    assert_eq!(
        write(&database, free, "container_id = 'm1'").await,
        is("m1", 1, None)
    );
}

#[tokio::test]
async fn an_insert_sets_no_proof_and_lowers_no_epoch() {
    let database = migrated().await;
    let id = Uuid::new_v4();
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status, container_id, owner_epoch, owner_released)
             VALUES ('{id}', 'active', 'm1', 77, 76)"
        ))
        .await;
    // It may be the row of an UPDATE that moves it to another partition.
    assert_eq!(row(&database, id).await, is("m1", 77, None));
    database
        .execute(
            "INSERT INTO preview_sessions (id, status, container_id, owner_epoch)
             VALUES (gen_random_uuid(), 'active', 'm2', -5)",
        )
        .await;
    let low: i64 = super::one(&database, "SELECT min(owner_epoch) FROM preview_sessions").await;
    assert_eq!(low, 1);
}

#[tokio::test]
async fn a_plain_update_of_the_owner_raises_it_by_one() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(
        write(&database, id, "container_id = 'm2'").await,
        is("m2", 2, None)
    );
    assert_eq!(
        write(&database, id, "container_id = NULL").await,
        is("", 3, None)
    );
    assert_eq!(
        write(&database, id, "container_id = 'm2'").await,
        is("m2", 4, None)
    );
    for same in ["container_id = 'm2'", "status = 'stopped'", "tier = 'x'"] {
        assert_eq!(write(&database, id, same).await, is("m2", 4, None));
    }
    let other = Uuid::new_v4();
    let moves = format!("UPDATE preview_sessions SET id = '{other}' WHERE id = '{id}'");
    database.execute(&moves).await;
    // Whichever row had that id before, its epochs were lower.
    let (owner, epoch, released) = row(&database, other).await;
    assert_eq!((owner.as_deref(), released), (Some("m2"), None));
    assert!(epoch > 1_700_000_000_000_000, "{epoch}");
}

#[tokio::test]
async fn a_row_written_back_whole_with_old_values_lowers_nothing() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    write(&database, id, "container_id = 'm2'").await;
    write(&database, id, "container_id = NULL, owner_released = 3").await;
    assert_eq!(row(&database, id).await, is("", 3, Some(3)));
    // As somebody does who read the row at its first epoch.
    let old = "status = 'active', container_id = 'm1', container_url = NULL, tier = 'new',
         owner_epoch = 1, owner_released = NULL";
    assert_eq!(write(&database, id, old).await, is("m1", 4, Some(3)));
    assert_eq!(write(&database, id, old).await, is("m1", 4, Some(3)));
}

#[tokio::test]
async fn nobody_raises_or_lowers_it_by_hand() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    for epoch in ["0", "-1", "2", "9", "NULL"] {
        let set = format!("owner_epoch = {epoch}, owner_released = {epoch}");
        assert_eq!(write(&database, id, &set).await, is("m1", 1, None));
    }
    for (epoch, owner) in [("0", "m2"), ("9", "m3"), ("NULL", "m4")] {
        write(
            &database,
            id,
            &format!("owner_epoch = {epoch}, container_id = '{owner}'"),
        )
        .await;
    }
    assert_eq!(row(&database, id).await, is("m4", 4, None));
}

#[tokio::test]
async fn an_owner_that_another_trigger_writes_counts() {
    let database = migrated().await;
    // Sorts after `tower…`, and writes a column that the statement does not name.
    database
        .execute(
            "CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.tier = 'move' THEN NEW.container_id := 'm9'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER z_moves BEFORE INSERT OR UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION moves()",
        )
        .await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(
        write(&database, id, "tier = 'move'").await,
        is("m9", 2, None)
    );
    let mut born = super::PreviewSession::owned_by("unset");
    (born.container_id, born.tier) = (None, Some("move".to_owned()));
    let born = database.insert(&born).await;
    assert_eq!(row(&database, born).await, is("m9", 1, None));
}

#[tokio::test]
async fn an_upsert_is_an_update() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let upsert = |owner: &str| {
        format!(
            "INSERT INTO preview_sessions (id, status, container_id) VALUES ('{id}', 'active', {owner})
             ON CONFLICT (id) DO UPDATE SET container_id = EXCLUDED.container_id,
                 owner_epoch = EXCLUDED.owner_epoch, owner_released = EXCLUDED.owner_released"
        )
    };
    for (owner, epoch) in [("'m1'", 1), ("'m2'", 2), ("NULL", 3), ("'m2'", 4)] {
        database.execute(&upsert(owner)).await;
        assert_eq!(row(&database, id).await.1, epoch);
    }
}

#[tokio::test]
async fn owners_that_a_type_calls_equal_are_two() {
    let database = migrated().await;
    database
        .execute(
            "DROP FUNCTION preview_sessions_tower_ownership, preview_sessions_tower_ownership_epoch
                 CASCADE;
             CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             ALTER TABLE preview_sessions ALTER container_id TYPE text COLLATE loose",
        )
        .await;
    database.execute(super::PostgresDirectory::MIGRATION).await;
    let id = owned_by(&database, "m1").await;
    assert_eq!(
        write(&database, id, "container_id = 'M1'").await,
        is("M1", 2, None)
    );
}

#[tokio::test]
async fn a_proof_stays_only_if_it_comes_with_the_release() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    // Not without a release, and not with another epoch than the release makes.
    for wrong in ["owner_released = 2", "owner_released = 1"] {
        assert_eq!(write(&database, id, wrong).await, is("m1", 1, None));
    }
    let other = owned_by(&database, "m1").await;
    let wrong = "container_id = NULL, owner_released = 1";
    assert_eq!(write(&database, other, wrong).await, is("", 2, None));
    // Not for a session that nobody gave up.
    let wrong = "container_id = 'm2', owner_released = 2";
    assert_eq!(write(&database, id, wrong).await, is("m2", 2, None));

    let release = "container_id = NULL, owner_released = 3";
    assert_eq!(write(&database, id, release).await, is("", 3, Some(3)));
    // Nor can it be taken back, or written by somebody who comes after.
    assert_eq!(
        write(&database, id, "owner_released = 4").await,
        is("", 3, Some(3))
    );
    assert_eq!(
        write(&database, id, "container_id = 'm3', owner_released = 4").await,
        is("m3", 4, Some(3))
    );
    assert_eq!(
        write(&database, id, "container_id = 'm4'").await,
        is("m4", 5, Some(3))
    );
}
