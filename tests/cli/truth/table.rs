//! A table that is not as the lookup was told.

use tower_ownership::testing::FlyEdge;

use super::log::Level;
use super::machine::{Life, Machine};
use super::place::{OWNER, Place, WRONG};
use crate::support::database::Database;

/// What becomes of a request, with how its lookup ended and what the log says of it.
struct Refusal {
    status: u16,
    code: &'static str,
    outcome: &'static str,
    error: &'static str,
}

/// What is not there may be there in a moment: somebody migrates.
const MISSING: Refusal = Refusal {
    status: 503,
    code: "lookup-unavailable",
    outcome: "unavailable",
    error: "PostgreSQL has no such table or column as the session query names: ",
};

/// Does this to the incident's table, and asks everybody what is wrong.
async fn says(change: &str, refusal: Refusal, cause: &str, fault: &str) {
    let database = Database::fresh().await;
    database.incident_table().await;
    let place = Place::with(database, FlyEdge::builder()).await;
    let session = place.session_of(OWNER).await;
    place.database.execute(change).await;
    let machine = Machine::start_unready(WRONG, &place.database, Life::None);
    place.edge.add(WRONG, machine.container.addr);

    // It says so before anybody asks for a session.
    let lines = machine.lines_once("not ready: the session directory").await;
    let line = lines.iter().find(|line| line.text.contains("not ready: "));
    let line = line.unwrap();
    assert_eq!(line.level, Level::Warn);
    line.says("the session directory does not fit: ")
        .says(fault);

    let Refusal { status, code, .. } = refusal;
    let before = machine.before().await;
    place.get(session).await.is_refused(status, code);
    let told = machine.since(before).await;
    told.counted(&[&format!("reject/{code}/miss +1")]);
    let outcome = refusal.outcome;
    let lookups = format!("lookup_duration_seconds_count{{outcome=\"{outcome}\"}}");
    told.rose_by_one(&lookups);
    // The container goes on saying that it is not ready; of the request there is one line.
    let refused = told.lines.iter().filter(|line| line.has_code(code));
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 1, "{:?}", told.lines);
    assert_eq!(refused[0].level, Level::Warn);
    refused[0].says(refusal.error);
    place.doctor(session).await.says(cause, &[fault]);
}

#[tokio::test]
async fn a_missing_table() {
    says(
        "ALTER TABLE preview_sessions RENAME TO rooms",
        MISSING,
        "table-missing",
        "there is no table \"preview_sessions\"",
    )
    .await;
}

#[tokio::test]
async fn a_missing_column() {
    says(
        "ALTER TABLE preview_sessions RENAME COLUMN container_id TO machine",
        MISSING,
        "column-missing",
        "\"preview_sessions\" has no column \"container_id\", which should hold the ",
    )
    .await;
}

#[tokio::test]
async fn a_column_of_the_wrong_type() {
    says(
        "ALTER TABLE preview_sessions ALTER COLUMN expires_at TYPE text",
        // A fault of the table, as a missing column is, and not of a row.
        Refusal {
            error: "the columns are not of the types that the session query needs",
            ..MISSING
        },
        "column-type",
        "column \"expires_at\" of \"preview_sessions\" should hold the ",
    )
    .await;
}
