//! Which database a machine uses, as the log says it.

use tower_ownership::{
    PostgresLookup, SessionId, SessionLookup as _, postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::log::logged;

fn lookup(database: &Database) -> PostgresLookup {
    crate::support::incident::lookup(database)
}

#[test]
fn the_log_says_at_the_start_which_database_is_read() {
    let mut expected = String::new();
    let log = logged("tower_ownership=info", async |_| {
        let database = Database::fresh().await;
        database.incident_table().await;
        let config: tokio_postgres::Config = database.url().parse().unwrap();
        expected = format!(
            "directory=127.0.0.1:{}/{} as {} table=\"preview_sessions\" directory_id=",
            config.get_ports()[0],
            config.get_dbname().unwrap(),
            config.get_user().unwrap(),
        );
        let lookup = lookup(&database);
        for _ in 0..2 {
            lookup.verify(&"m1".parse().unwrap()).await.unwrap();
        }
    });
    let log = log.text();
    let begin = " INFO tower_ownership: sessions are read from this directory ";
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(begin)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(&expected), "{expected} in {log}");
}

#[tokio::test]
async fn machines_of_one_database_have_one_directory_id_and_others_another() {
    let mut ids = Vec::new();
    for database in [Database::fresh().await, Database::fresh().await] {
        database.incident_table().await;
        for _ in 0..2 {
            let lookup = lookup(&database);
            assert_eq!(lookup.directory_id(), None, "it is asked by verify");
            lookup.verify(&"m1".parse().unwrap()).await.unwrap();
            ids.push(lookup.directory_id().unwrap());
        }
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[2], ids[3]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn the_causes_of_a_connection_error_name_the_place_and_no_password() {
    let url = "postgres://web:hunter2@127.0.0.1:1/app";
    let builder: PostgresLookupBuilder = PostgresLookup::builder(url);
    let id = SessionId::new(Uuid::new_v4());
    let error = builder.build().unwrap().session(id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no connection to PostgreSQL could be opened"
    );
    let whole = format!("{error:?}");
    assert!(
        whole.contains(": connecting to 127.0.0.1:1/app as web: "),
        "{whole}"
    );
    assert!(whole.contains("refused"), "{whole}");
    assert!(!whole.contains("hunter2"), "{whole}");
}

#[test]
fn the_log_names_a_status_that_counts_as_over_once() {
    let log = logged("tower_ownership=info", async |_| {
        let database = Database::fresh().await;
        database.incident_table().await;
        let lookup = lookup(&database);
        for status in ["activ", "active", "activ", "stopped"] {
            let mut session = crate::support::incident::PreviewSession::owned_by("m1");
            session.status = status.to_owned();
            let id = database.insert(&session).await;
            lookup.session(id.into()).await.unwrap().unwrap();
        }
    });
    let log = log.text();
    let begin = "sessions with this status count as over";
    let told: Vec<&str> = log.lines().filter(|line| line.contains(begin)).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told[0].ends_with("status=\"activ\""), "{log}");
    assert!(told[1].ends_with("status=\"stopped\""), "{log}");
}
