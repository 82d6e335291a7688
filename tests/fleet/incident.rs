//! The demo tells the incident's story, whether its directory is memory or a database.

use std::process::Command;

use crate::support::container::example;
use crate::support::{database::Database, picture};

const PROMPT: &str = "$ cargo run --example incident --features testing,doctor";

fn told(database: Option<&str>) -> String {
    let mut demo = Command::new(example("incident"));
    demo.env_remove("DATABASE_URL");
    if let Some(url) = database {
        demo.env("DATABASE_URL", url);
    }
    let output = demo.output().unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{story}{complaints}");
    story
}

/// Every part is told, in this order.
fn tells_the_incident(story: &str) {
    let mut rest = story;
    for part in [
        "Without the layer",
        "edge -> 56837ddda10348  404",
        "Session not found: does not exist or is not active",
        "with the layer",
        "edge -> 56837ddda10348  409  fly-replay: instance=e2863555a91708;",
        "edge replays it -> e2863555a91708  200",
        "never started",
        "gives it back -> 56837ddda10348  503",
        "code: owner-unreachable",
        "Nobody owns the session yet",
        "code: session-starting",
        "edge replays it -> e2863555a91708  200",
        "A room is born on one machine",
        "POST /rooms/blue-room",
        "location: /session/blue-room/",
        "The client reads: 201 Created",
        "GET /session/blue-room/",
        "edge replays it -> e2863555a91708  200",
        "Session blue-room, served by its owner, e2863555a91708",
        "the owner dies",
        "served by its owner, e2863555a91708, at epoch",
        "is killed",
        "code: session-moving",
        "edge -> 56837ddda10348  200",
        "is asked to stop",
        "gave up 1 session(s)",
        "edge -> e2863555a91708  200",
        "Nobody had to wait",
        "the doctor is called",
        "e2863555a91708 was never seen",
        "The row is fine, the request was handled by `56837ddda10348`",
        "it is not a database timing problem.",
    ] {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} is not told, or not in its place:\n{story}");
        };
        rest = after;
    }
}

#[test]
fn the_demo_tells_the_incident_and_the_readme_shows_its_beginning() {
    let story = told(None);
    tells_the_incident(&story);
    let (beginning, _) = story.split_once("== Nobody owns the session yet").unwrap();
    let screen = picture::without_times(beginning);
    picture::shows("incident", &format!("{PROMPT}\n{screen}"));
}

#[tokio::test]
async fn the_demo_tells_the_incident_of_a_database_and_leaves_nothing_behind() {
    let database = Database::fresh().await;
    tells_the_incident(&told(Some(&database.url())));
    let left = "select count(*) from pg_namespace where nspname like 'tower_ownership%'";
    let left: i64 = database
        .client()
        .await
        .query_one(left, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}
