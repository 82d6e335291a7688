//! What is wrong with the database.

use uuid::Uuid;

use crate::command::run;
use crate::scene::Scene;
use crate::support::free_port;
use crate::support::incident::PreviewSession;
use crate::support::postgres::Cluster;

#[tokio::test]
async fn a_database_that_is_down_leaves_all_else_unknown() {
    let url = format!("postgres://postgres@127.0.0.1:{}/nowhere", free_port());
    let session = Uuid::new_v4().to_string();
    let said = run(&["doctor", "--json", &session], &[("DATABASE_URL", &url)]).await;
    assert_eq!(said.status, 3);
    let document = said.json();
    assert_eq!(document["finding"], "directory-down");
    assert_eq!(document["severity"], "unknown");
    let sentence = document["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("The directory cannot be asked from here: ")
            && sentence.contains("Connection refused"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_slow() {
    let cluster = tokio::task::spawn_blocking(Cluster::private).await.unwrap();
    let database = cluster.database().await;
    database.incident_table().await;
    let session = database.insert(&PreviewSession::owned_by("m")).await;
    cluster.freeze();
    let (session, url) = (session.to_string(), database.url());
    let said = run(&["doctor", "--json", &session, "--database", &url], &[]).await;
    cluster.thaw();
    let document = said.json();
    assert_eq!(document["finding"], "directory-slow", "{document:#}");
    assert_eq!(said.status, 1);
    let sentence = document["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("The directory does not answer in time: "),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_slow_row_is_told_beside_what_is_wrong() {
    let scene = Scene::plain().await;
    // Reading it takes 400 ms; what `verify` asks for is no session and takes no time.
    scene
        .database
        .execute(
            "ALTER TABLE preview_sessions RENAME TO stored;
             CREATE FUNCTION dawdle(id uuid) RETURNS uuid LANGUAGE sql VOLATILE
                 AS 'SELECT id FROM (SELECT pg_sleep(0.4)) AS slept';
             CREATE VIEW preview_sessions AS SELECT id, status,
                 CASE WHEN dawdle(id) IS NULL THEN NULL ELSE container_id END AS container_id,
                 container_url, expires_at, ended_at FROM stored;
             INSERT INTO stored (id, status, container_id)
                 VALUES ('807efe44-d63e-4a24-88f5-dbe96112830a', 'active', 'e2863555a91708')",
        )
        .await;
    let session: Uuid = "807efe44-d63e-4a24-88f5-dbe96112830a".parse().unwrap();
    scene
        .examine(session)
        .await
        .is("directory-slow", "one row by its key took ");
}

#[tokio::test]
async fn a_table_a_column_and_a_type_that_do_not_fit_are_told_apart() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    let with = async |more: &[&str]| scene.diagnose_with(session, more).await;
    with(&["--table", "rooms"])
        .await
        .is("table-missing", "there is no table \"rooms\".");
    with(&["--columns", "owner=machine"]).await.is(
        "column-missing",
        "has no column \"machine\", which should hold the",
    );
    with(&["--columns", "expires_at=tier"])
        .await
        .is("column-type", "column \"tier\" of \"preview_sessions\"");
}

#[tokio::test]
async fn a_migration_that_was_applied_in_part_is_said_beside_the_rest() {
    let scene = Scene::migrated().await;
    scene
        .database
        .execute("DROP TRIGGER zz_tower_ownership_update ON preview_sessions")
        .await;
    let session = scene.owned().await;
    scene.examine(session).await.is(
        "migration-partly",
        "there is no trigger \"zz_tower_ownership_update\" of \"preview_sessions\".",
    );
    // First also where the session has a trouble of its own.
    let unknown = scene.examine(Uuid::new_v4()).await;
    unknown.is("migration-partly", "zz_tower_ownership_update");
}

#[tokio::test]
async fn the_migration_is_shown_and_applied_only_when_asked_for() {
    let scene = Scene::plain().await;
    let shown = run(&["migrate"], &[]).await;
    assert_eq!(shown.status, 0, "{shown:?}");
    assert_eq!(
        shown.out.trim_end(),
        tower_ownership::PostgresDirectory::MIGRATION.trim_end()
    );
    let url = scene.database.url();
    let unchanged = run(&["migrate", "--json", "--database", &url], &[]).await;
    assert_eq!(unchanged.json()["applied"], false);
    assert_eq!(scene.database.statements_with("owner_epoch"), 0);

    for _ in 0..2 {
        let applied = run(&["migrate", "--run", "--json", "--database", &url], &[]).await;
        assert_eq!(applied.status, 0, "{applied:?}");
        assert_eq!(applied.json()["applied"], true);
    }
    let diagnosed = scene.examine(scene.owned().await).await;
    assert_eq!(diagnosed.check("ownership").0, "fine");
    assert_eq!(diagnosed.check("epoch"), ("fine", "1"));
}

#[tokio::test]
async fn a_migration_that_cannot_be_applied_is_an_error_and_no_half_of_it_stays() {
    let scene = Scene::plain().await;
    let url = scene.database.url();
    let said = run(
        &["migrate", "--run", "--database", &url, "--table", "rooms"],
        &[],
    )
    .await;
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("no such table or column"), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.out);
}

#[tokio::test]
async fn a_migration_behind_a_reader_says_that_nothing_was_changed() {
    let scene = Scene::plain().await;
    let mut client = scene.database.client().await;
    let reader = client.transaction().await.unwrap();
    let read = "SELECT count(*) FROM preview_sessions";
    reader.query_one(read, &[]).await.unwrap();
    let url = scene.database.url();
    let said = run(&["migrate", "--run", "--database", &url], &[]).await;
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("nothing was changed"), "{said:?}");
    assert!(said.err.contains("run the migration again"), "{said:?}");
    reader.rollback().await.unwrap();
    let again = run(&["migrate", "--run", "--database", &url], &[]).await;
    assert_eq!(again.status, 0, "{again:?}");
}

#[tokio::test]
async fn a_url_of_another_kind_of_server_is_named() {
    for command in ["doctor", "audit"] {
        let arguments = [command, "--database", "mysql://app:hunter2@db.internal/app"];
        let mut arguments = arguments.to_vec();
        if command == "doctor" {
            arguments.push("807efe44-d63e-4a24-88f5-dbe96112830a");
        }
        let said = run(&arguments, &[]).await;
        assert_eq!(said.status, 2, "{said:?}");
        assert!(said.err.contains("mysql://"), "{said:?}");
        assert!(!said.err.contains("hunter2"), "{said:?}");
    }
}

#[tokio::test]
async fn the_pooler_of_managed_postgres_is_named() {
    let scene = Scene::plain().await;
    let session = scene.owned().await.to_string();
    // By its name alone, which leads to the server of this test.
    let place = scene
        .database
        .url()
        .replace("postgres://postgres@127.0.0.1:", "");
    let (port, name) = place.split_once('/').unwrap();
    let at = |host: &str| {
        format!(
            "host={host} hostaddr=127.0.0.1 port={port} user=postgres dbname={name} sslmode=disable"
        )
    };
    let notes = async |host: &str| {
        let database = at(host);
        let said = run(
            &["doctor", "--json", &session, "--database", &database],
            &[],
        )
        .await;
        let document = said.json();
        let checks = document["checks"].as_array().unwrap().iter();
        let checks = checks.filter(|check| check["name"] == "table");
        let checks = checks.map(|check| check["text"].as_str().unwrap().to_owned());
        checks.collect::<Vec<_>>()
    };
    let before = notes("direct.a1b2.flympg.net").await;
    let mut through = notes("pgbouncer.a1b2.flympg.net").await;
    let named = through.pop().unwrap();
    assert!(named.ends_with("needs direct.a1b2.flympg.net"), "{named}");
    assert_eq!(through, before);
}
