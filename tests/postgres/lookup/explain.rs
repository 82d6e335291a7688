//! What an explanation says of a real database that is down, slow, or laid out otherwise.

use http::Request;
use tower_ownership::{
    FlyReplay, MachineId, OwnershipLayer, PathSegment, PostgresLookup,
    explain::{Explanation, Finding},
};
use uuid::Uuid;

use super::{SLOW, slow, with_session};
use crate::support::free_port;
use crate::support::incident::lookup;

async fn explain(lookup: PostgresLookup, id: Uuid) -> Explanation {
    let layer = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine("m2".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .build()
        .unwrap();
    let request = Request::get(format!("/session/{id}"))
        .body(String::new())
        .unwrap();
    layer.explain(&request.into_parts().0).await
}

#[tokio::test]
async fn the_row_is_explained() {
    let (database, id) = with_session().await;
    let explanation = explain(lookup(&database), id).await;
    assert_eq!(explanation.finding, Finding::Fine, "{explanation}");
    let session = &explanation.inputs["directory"]["session"];
    assert_eq!(session["owner"], "m1");
    assert!(session["remainingMs"].is_u64());
}

#[tokio::test]
async fn a_column_that_was_renamed_is_a_wrong_table_and_not_an_outage() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    let rename = "ALTER TABLE preview_sessions RENAME container_id TO machine_id";
    database.client().await.batch_execute(rename).await.unwrap();
    let explanation = explain(lookup, id).await;
    assert_eq!(explanation.finding, Finding::ColumnMissing, "{explanation}");
    assert!(
        explanation.summary.contains("container_id"),
        "{explanation}"
    );
    let failure = &explanation.inputs["directory"]["failure"];
    assert_eq!(failure["kind"], "unavailable");
    assert!(failure["chain"].as_array().unwrap().len() > 1, "{failure}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_down_and_the_first_cause_is_said() {
    let url = format!("postgres://app@127.0.0.1:{}/app", free_port());
    let lookup = PostgresLookup::builder(url.as_str()).build().unwrap();
    let explanation = explain(lookup, Uuid::from_u128(7)).await;
    assert_eq!(explanation.finding, Finding::DirectoryDown, "{explanation}");
    assert!(
        explanation
            .summary
            .to_lowercase()
            .contains("connection refused"),
        "{explanation}"
    );
}

#[tokio::test]
async fn a_database_that_takes_too_long_is_slow() {
    let (database, _) = with_session().await;
    let explanation = explain(slow(&database.url()).build().unwrap(), SLOW).await;
    assert_eq!(explanation.finding, Finding::DirectorySlow, "{explanation}");
}
