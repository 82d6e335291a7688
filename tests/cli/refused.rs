//! A database that answers, and keeps machines from their work: each reason has a name of its own.

use uuid::Uuid;

use crate::command::run;
use crate::scene::{OWNER, Scene};
use crate::support::database::Database;
use crate::support::left_out::left_out;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Cluster;

/// The URL of another user.
fn as_user(database: &Database, user: &str) -> String {
    database.url().replace("postgres@", &format!("{user}@"))
}

async fn user(scene: &Scene, grants: &str) -> String {
    let user = format!("app_{}", scene.database.name());
    let sql = format!(
        "CREATE ROLE {user} LOGIN; {}",
        grants.replace("{user}", &user)
    );
    scene.database.execute(&sql).await;
    user
}

#[tokio::test]
async fn a_user_that_may_not_read_is_denied_and_the_grant_is_named() {
    let scene = Scene::migrated().await;
    let session = scene.owned().await;
    let user = user(&scene, "").await;
    let url = as_user(&scene.database, &user);
    let denied = scene.diagnose_with(session, &["--database", &url]).await;
    let grant = format!("GRANT SELECT, UPDATE ON \"preview_sessions\" TO {user}");
    denied.is("database-denied", "permission denied for table");
    denied.is("database-denied", &grant);
    scene.database.execute(&grant).await;
    let denied = scene.diagnose_with(session, &["--database", &url]).await;
    denied.is(
        "database-denied",
        "GRANT INSERT, SELECT, UPDATE ON \"ownership_machines\"",
    );
}

#[tokio::test]
async fn heartbeats_that_may_not_be_written_are_the_cause_of_a_lost_owner() {
    let scene = Scene::migrated().await;
    let grants = "GRANT SELECT, UPDATE ON preview_sessions TO {user};
        GRANT SELECT, INSERT ON ownership_machines TO {user};
        GRANT SELECT, INSERT, UPDATE ON ownership_fleet TO {user}";
    let user = user(&scene, grants).await;
    let session = scene.owned().await;
    let url = as_user(&scene.database, &user);
    scene.beat(OWNER, 0.0, "").await;
    // A machine that is heard is not kept from writing by what a user who only looks may not do.
    let heard = scene.diagnose_with(session, &["--database", &url]).await;
    assert_eq!(heard.document["finding"], "fine", "{:#}", heard.document);
    scene.database.execute("UPDATE ownership_machines SET beat_at = now() - interval '1 min' WHERE machine_id = 'e2863555a91708'").await;
    let lost = scene.diagnose_with(session, &["--database", &url]).await;
    let grant = format!("GRANT UPDATE ON \"ownership_machines\" TO {user}");
    lost.is("database-denied", &grant);
    assert_eq!(lost.document["also"][0]["finding"], "owner-lost");
}

#[tokio::test]
async fn a_login_that_is_refused_is_no_database_that_is_down() {
    let scene = Scene::migrated().await;
    let session = scene.owned().await;
    let unknown = as_user(&scene.database, "no_such_user");
    let said = scene
        .diagnose_with(session, &["--database", &unknown])
        .await;
    said.ends(3, "database-login", "no_such_user");
    let elsewhere = format!("{}_not", scene.database.url());
    let said = scene
        .diagnose_with(session, &["--database", &elsewhere])
        .await;
    said.ends(3, "database-login", "does not exist");
}

#[tokio::test]
async fn a_server_that_takes_no_more_connections_is_full() {
    let scene = Scene::migrated().await;
    let session = scene.owned().await;
    let user = user(&scene, "ALTER ROLE {user} CONNECTION LIMIT 0").await;
    let url = as_user(&scene.database, &user);
    let said = scene.diagnose_with(session, &["--database", &url]).await;
    said.is("database-full", "too many connections");
}

#[tokio::test]
async fn a_connection_that_locks_a_table_is_named() {
    let scene = Scene::migrated().await;
    let session = scene.owned().await;
    scene.beat(OWNER, 200.0, "").await;
    let mut client = scene.database.client().await;
    // Readers go on below, and machines cannot write their heartbeats.
    for (table, mode) in [
        ("preview_sessions", "ACCESS EXCLUSIVE"),
        ("ownership_machines", "EXCLUSIVE"),
    ] {
        let other = client.transaction().await.unwrap();
        let pid: i32 = other
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .unwrap()
            .get(0);
        let lock = format!("LOCK TABLE {table} IN {mode} MODE");
        other.batch_execute(&lock).await.unwrap();
        let held = format!(
            "SELECT xact_start < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE pid = {pid}"
        );
        scene.database.eventually(&held).await;
        let said = scene.examine(session).await;
        said.is("database-locked", &format!("pid {pid} (postgres, "));
        said.is("database-locked", &format!("locks \"{table}\""));
        said.is("database-locked", &lock);
        other.rollback().await.unwrap();
    }
    assert_eq!(
        scene.examine(session).await.document["finding"],
        "owner-lost"
    );
}

#[tokio::test]
async fn lists_that_wait_for_a_lock_name_who_holds_it() {
    let scene = Scene::migrated().await;
    let mut client = scene.database.client().await;
    let other = client.transaction().await.unwrap();
    let lock = "LOCK TABLE preview_sessions IN ACCESS EXCLUSIVE MODE";
    other.batch_execute(lock).await.unwrap();
    let url = scene.database.url();
    for command in ["audit", "sessions"] {
        let arguments = [command, "--database", &url, "--database-timeout=1500ms"];
        let said = run(&arguments, &[]).await;
        assert_eq!(said.status, 3, "{said:?}");
        assert!(said.err.contains("locks \"preview_sessions\""), "{said:?}");
        assert!(said.err.contains(lock), "{said:?}");
    }
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_holds_a_row_which_a_machine_waits_for_is_named() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let session = scene.owned().await;
    let mut client = scene.database.client().await;
    let other = client.transaction().await.unwrap();
    let pid: i32 = other
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let update = format!("UPDATE preview_sessions SET user_id = 'u' WHERE id = '{session}'");
    other.batch_execute(&update).await.unwrap();
    let url = format!("{}?application_name=tower-ownership", scene.database.url());
    let machine = crate::support::database::connect(&url).await.unwrap();
    let waiting = tokio::spawn(async move { machine.batch_execute(&update).await });
    let held = format!(
        "SELECT xact_start < clock_timestamp() - interval '1 s' AND EXISTS (
            SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock') FROM pg_stat_activity WHERE pid = {pid}"
    );
    scene.database.eventually(&held).await;
    let said = scene.examine(session).await;
    said.is("database-locked", &format!("pid {pid} (postgres, "));
    said.is("database-locked", "holds a row that machines wait for");
    other.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_replica_is_told_from_a_database_that_is_down() {
    let primary = Cluster::private();
    let database = primary.database().await;
    database.incident_table().await;
    database
        .execute(tower_ownership::PostgresDirectory::MIGRATION)
        .await;
    let session = database
        .insert(&crate::support::incident::PreviewSession::owned_by(OWNER))
        .await;
    let standby = Cluster::standby_of(&primary);
    let replica = database.on(&standby);
    let there = format!("SELECT EXISTS (SELECT FROM preview_sessions WHERE id = '{session}')");
    replica.eventually(&there).await;
    let (session, url) = (session.to_string(), replica.url());
    let said = run(&["doctor", "--json", &session, "--database", &url], &[]).await;
    assert_eq!(said.status, 1, "{said:?}");
    let document = said.json();
    assert_eq!(document["finding"], "replica", "{document:#}");
    let next = document["nextStep"].as_str().unwrap();
    assert!(next.contains("target_session_attrs=read-write"), "{next}");
    let audit = run(&["audit", "--json", "--database", &url], &[]).await;
    assert_eq!(audit.status, 1, "{audit:?}");
    let kinds = &audit.json()["findings"];
    let mut kinds = kinds.as_array().unwrap().iter();
    assert!(kinds.any(|one| one["finding"] == "replica"), "{audit:?}");
}

#[tokio::test]
async fn what_the_feed_of_changes_lacks_is_a_problem_of_its_own() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let session = scene.owned().await;
    assert_eq!(scene.examine(session).await.document["finding"], "fine");
    for (sql, missing) in [
        (
            "DROP TABLE preview_sessions_tower_ownership_log1",
            "the change log's public.preview_sessions_tower_ownership_log1 is missing",
        ),
        (
            "DROP TRIGGER tower_ownership_change ON preview_sessions",
            "trigger \"tower_ownership_change\"",
        ),
    ] {
        scene.database.execute(sql).await;
        scene.examine(session).await.is("notify-triggers", missing);
        let url = scene.database.url();
        let audit = run(&["audit", "--json", "--database", &url], &[]).await;
        assert_eq!(audit.status, 1, "{audit:?}");
        let found = audit.json()["findings"].to_string().replace("\\\"", "\"");
        assert!(found.contains(missing), "{found}");
    }
    // The owner's trouble comes before.
    let lost = scene
        .session(|s| s.container_id = Some("e2863555a91709".to_owned()))
        .await;
    let said = scene.examine(lost).await;
    assert_eq!(said.document["finding"], "owner-never-seen");
    let also: Vec<_> = said.document["also"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["finding"])
        .collect();
    assert!(
        also.iter().any(|finding| **finding == "notify-triggers"),
        "{also:?}"
    );
    scene
        .database
        .execute(tower_ownership::PostgresDirectory::MIGRATION)
        .await;
    assert_eq!(scene.examine(session).await.document["finding"], "fine");
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_named() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let session: Uuid = scene.owned().await;
    let Some(pooler) = PgBouncer::in_front_of(&scene.database) else {
        left_out("a pooler that is named", "PgBouncer is not installed");
        return;
    };
    let url = pooler.url(&scene.database);
    let said = scene.diagnose_with(session, &["--database", &url]).await;
    let named = said.document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .any(|check| {
            check["text"]
                .as_str()
                .unwrap()
                .contains("shares its connections")
        });
    assert!(named, "{:#}", said.document);
    let direct = scene.examine(session).await;
    assert!(
        !direct.document["checks"]
            .to_string()
            .contains("shares its connections")
    );
}
