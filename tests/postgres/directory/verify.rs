//! What `verify` finds of ownership.

use tower_ownership::postgres::{PostgresFault, PostgresVerifyError, PostgresWarning};

use super::{Process, me, migrated, owned_by};
use crate::support::database::Database;

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

/// What the database is set up with, each alone, and what it is warned of.
#[tokio::test]
async fn what_ownership_writes_must_be_kept_seen_and_permitted() {
    let limited = "CREATE ROLE ROLE LOGIN; GRANT SELECT ON preview_sessions TO ROLE;
         GRANT UPDATE (container_id, owner_released, container_url) ON preview_sessions TO ROLE;
         GRANT SELECT, INSERT, UPDATE ON ownership_machines, ownership_fleet TO ROLE;";
    for (set, warned) in [
        ("", ""),
        (
            "DROP INDEX preview_sessions_tower_ownership_owner",
            "index of owners of \"preview_sessions\" is missing",
        ),
        (
            "UPDATE pg_index SET indisvalid = false
                 WHERE indexrelid = 'preview_sessions_tower_ownership_owner'::regclass",
            "is invalid",
        ),
        (
            "DROP INDEX preview_sessions_tower_ownership_owner;
             CREATE INDEX ON preview_sessions ((container_id COLLATE \"C\"))
                 WHERE status IN ('active', 'paused')",
            "does not hold exactly the active and starting sessions",
        ),
        (
            "ALTER TABLE preview_sessions SET UNLOGGED",
            "\"preview_sessions\" is unlogged",
        ),
        (
            "ALTER TABLE ownership_machines SET UNLOGGED",
            "\"ownership_machines\" is unlogged",
        ),
        (
            "ALTER ROLE ROLE SET synchronous_commit = off",
            "synchronous_commit is off",
        ),
        (
            "ALTER TABLE preview_sessions ENABLE ROW LEVEL SECURITY",
            "row level security of \"preview_sessions\"",
        ),
        (
            "REVOKE UPDATE (container_id) ON preview_sessions FROM ROLE",
            "lacks UPDATE on column \"container_id\" of \"preview_sessions\"",
        ),
        (
            "REVOKE UPDATE (owner_released) ON preview_sessions FROM ROLE",
            "lacks UPDATE on column \"owner_released\"",
        ),
        (
            "REVOKE UPDATE ON ownership_machines FROM ROLE",
            "lacks UPDATE on table \"ownership_machines\"",
        ),
        (
            "REVOKE INSERT ON ownership_fleet FROM ROLE",
            "lacks INSERT on table \"ownership_fleet\"",
        ),
    ] {
        let database = migrated().await;
        let role = format!("limited_{}", database.name());
        database
            .execute(
                &limited
                    .replace("ROLE ROLE", &format!("ROLE {role}"))
                    .replace("TO ROLE", &format!("TO {role}")),
            )
            .await;
        database
            .execute(
                &set.replace("ROLE ROLE", &format!("ROLE {role}"))
                    .replace("FROM ROLE", &format!("FROM {role}")),
            )
            .await;
        let url = database.url().replace("postgres@", &format!("{role}@"));
        let lookup = tower_ownership::PostgresLookup::builder(url).ownership();
        let verified = lookup.build().unwrap().verify(&me("m1")).await.unwrap();
        let warnings: Vec<String> = verified
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = usize::from(!warned.is_empty());
        assert_eq!(warnings.len(), expected, "{set}: {warnings:?}");
        assert!(
            warnings.iter().all(|one| one.contains(warned)),
            "{set}: {warnings:?}"
        );
    }
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
