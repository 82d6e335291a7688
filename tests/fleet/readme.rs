//! The README's program runs as it is pasted.

use crate::support::client::get;
use crate::support::container::Container;
use crate::support::database::Database;

const README: &str = include_str!("../../README.md");
const PROGRAM: &str = include_str!("../../examples/readme.rs");

/// The README's blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = README.split(&*begin).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_readmes_program_serves_the_readmes_session() {
    let program = PROGRAM.split_once("\n\n").unwrap().1;
    assert_eq!(blocks("rust")[0], program);
    let database = Database::fresh().await;
    for statements in blocks("sql") {
        database.execute(statements).await;
    }
    let url = database.url();
    let container = Container::start_example(
        "readme",
        &[("DATABASE_URL", &url), ("FLY_MACHINE_ID", "laptop")],
    );
    let asked: Vec<&str> = blocks("sh")[0].lines().skip(1).collect();
    assert_eq!(asked.len(), 3);
    for (line, status, replay) in [
        (asked[0], 200, None),
        (asked[1], 409, Some("instance=another-machine")),
        (asked[2], 404, None),
    ] {
        let path = line.split_whitespace().nth(2).unwrap();
        let path = path.strip_prefix("localhost:8080").unwrap();
        let answer = get(format!("http://{}{path}", container.addr)).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text);
        let named = answer.header("fly-replay");
        let named = named.map(|value| value.split(';').next().unwrap());
        assert_eq!(named, replay, "{line}");
    }
}
