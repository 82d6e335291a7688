//! What `verify` finds of ownership.

use tower_ownership::{PostgresFault, PostgresVerifyError, PostgresWarning};

use crate::support::database::Database;
use crate::{Process, me, migrated, owned_by};

async fn faults(database: &Database) -> Vec<String> {
    match Process::of("m1", database).lookup.verify(&me("m1")).await {
        Ok(_) => Vec::new(),
        Err(PostgresVerifyError::Faults(faults)) => {
            faults.iter().map(PostgresFault::to_string).collect()
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn missing(what: &str) -> String {
    format!("there is no {what}: apply the migration of `PostgresDirectory`")
}

#[tokio::test]
async fn what_the_migration_makes_is_named() {
    let database = Database::fresh().await;
    database.incident_table().await;
    assert_eq!(
        faults(&database).await,
        [
            missing(r#"column "owner_epoch" of "preview_sessions""#),
            missing(r#"column "owner_released" of "preview_sessions""#),
            missing(r#"column "owner_epoch_of" of "preview_sessions""#),
            missing(r#"table "ownership_machines""#),
            missing(r#"table "ownership_fleet""#),
            missing(r#"trigger "zz_tower_ownership_insert" of "preview_sessions""#),
            missing(r#"trigger "zz_tower_ownership_update" of "preview_sessions""#),
        ]
    );
    Process::of("m1", &database)
        .directory
        .migrate()
        .await
        .unwrap();
    assert_eq!(faults(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_trigger_that_does_not_fire_is_missing() {
    let database = migrated().await;
    database
        .execute(
            "ALTER TABLE preview_sessions DISABLE TRIGGER zz_tower_ownership_update;
             ALTER TABLE ownership_machines DROP gone_at",
        )
        .await;
    assert_eq!(
        faults(&database).await,
        [
            missing(r#"column "gone_at" of "ownership_machines""#),
            missing(r#"trigger "zz_tower_ownership_update" of "preview_sessions""#),
        ]
    );
}

#[tokio::test]
async fn a_trigger_that_runs_later_is_warned_of() {
    let database = migrated().await;
    owned_by(&database, "m1").await;
    database
        .execute(
            "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER early BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION late();
             CREATE TRIGGER zzz_late BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION late();
             CREATE TRIGGER zzz_after AFTER UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION late();
             CREATE TRIGGER zzz_delete BEFORE DELETE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION late()",
        )
        .await;
    let process = Process::of("m1", &database);
    let verified = process.lookup.verify(&me("m1")).await.unwrap();
    let trigger = "zzz_late".to_owned();
    assert_eq!(
        verified.warnings(),
        [PostgresWarning::LateTrigger { trigger }]
    );
}
