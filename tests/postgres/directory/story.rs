//! What the log tells of a session's owners.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    FlyReplay, Node, PathSegment, PostgresDirectory, Rejection, SessionId, node::RunningNode,
};
use uuid::Uuid;

use super::{BEAT, builder, machine, me, migrated, owned_by, unowned};
use crate::support::database::Database;
use crate::support::log::{Log, logged};
use crate::support::until_async;

const TARGET: &str = "tower_ownership::ownership";

/// What was logged of one session, or of none, each with its level.
fn story(log: &Log, of: Option<Uuid>) -> Vec<String> {
    let short = of.map(|id| format!("session_id={}", SessionId::new(id).short()));
    let text = log.text();
    let events = text.lines().filter_map(|line| {
        let (before, event) = line.split_once(&format!(" {TARGET}: "))?;
        let is_of = match &short {
            Some(short) => event.contains(short),
            None => !event.contains("session_id="),
        };
        let level = before.split_whitespace().next_back()?;
        is_of.then(|| format!("{level} {event}"))
    });
    events.collect()
}

async fn answer(node: &RunningNode<PostgresDirectory>, id: Uuid) -> String {
    let application = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get(format!("/session/{id}/"));
    let request = request.body(String::new()).unwrap();
    let Ok(response) = node.layer().layer(application).oneshot(request).await;
    if response.headers().contains_key("fly-replay") {
        return "elsewhere".to_owned();
    }
    match response.extensions().get::<Rejection>() {
        Some(rejection) => rejection.code().as_str().to_owned(),
        None => "served".to_owned(),
    }
}

async fn becomes(node: &RunningNode<PostgresDirectory>, id: Uuid, expected: &str) {
    until_async(expected, async || answer(node, id).await == expected).await;
}

async fn start(database: &Database) -> RunningNode<PostgresDirectory> {
    let directory = builder(database).build().unwrap().directory().unwrap();
    let node = Node::builder(directory)
        .session(PathSegment::after("/session").unwrap())
        .machine(me("m1"))
        .replay(FlyReplay::new())
        .claim_unassigned()
        .take_over_lost()
        .heartbeat(|heartbeat| heartbeat.interval(BEAT))
        .linger(Duration::from_millis(1));
    node.start().await.unwrap()
}

async fn give(database: &Database, id: Uuid, owner: &str) {
    let set = format!("UPDATE preview_sessions SET container_id = {owner} WHERE id = '{id}'");
    database.execute(&set).await;
}

#[test]
fn claims_take_overs_moves_losses_and_releases_are_logged() {
    let mut ids = Vec::new();
    let log = logged(&format!("{TARGET}=info"), async |_| {
        let database = migrated().await;
        machine(&database, "silent", 60.0, "").await;
        machine(&database, "other", 0.0, "").await;
        let free = unowned(&database).await;
        let taken = owned_by(&database, "silent").await;
        let moved = owned_by(&database, "other").await;
        let released = owned_by(&database, "m1").await;
        let kept = owned_by(&database, "m1").await;
        let node = start(&database).await;
        until_async("the feed listens", async || {
            let report = node.health().build().report().await;
            report.components.iter().all(|one| one.ok)
        })
        .await;

        assert_eq!(answer(&node, free).await, "served");
        give(&database, free, "'other'").await;
        becomes(&node, free, "elsewhere").await;
        assert_eq!(answer(&node, taken).await, "session-moving");
        assert_eq!(answer(&node, moved).await, "elsewhere");
        give(&database, moved, "'m1'").await;
        becomes(&node, moved, "session-moving").await;
        assert_eq!(answer(&node, released).await, "served");
        let directory = builder(&database).build().unwrap().directory().unwrap();
        let given_up = directory.release(&SessionId::new(released), &node).await;
        given_up.unwrap().unwrap();
        give(&database, released, "'other'").await;
        becomes(&node, released, "elsewhere").await;
        // Nothing tells the machine of a change while its change feed is away.
        assert_eq!(answer(&node, kept).await, "served");
        database.kill_backends().await;
        give(&database, kept, "'other'").await;
        becomes(&node, kept, "elsewhere").await;

        let (stop, stopped) = oneshot::channel::<()>();
        let drained = node.drained_on(async {
            let _ = stopped.await;
        });
        drop(stop);
        drained.await;
        ids.extend([free, taken, moved, released, kept]);
    });
    let [free, taken, moved, released, kept] = ids[..] else {
        unreachable!()
    };
    let short = |id| SessionId::new(id).short().to_string();
    assert_eq!(
        story(&log, Some(free)),
        [
            format!(
                "INFO this machine claimed the session machine=\"m1\" session_id={} epoch=1",
                short(free)
            ),
            format!(
                "INFO this machine lost the session machine=\"m1\" session_id={} epoch=2 \
                 owner=\"other\"",
                short(free)
            ),
        ]
    );
    let told = story(&log, Some(taken));
    let begin = format!(
        "WARN this machine took the session over from its lost owner machine=\"m1\" \
         session_id={} epoch=2 previous_owner=\"silent\" silent_seconds=6",
        short(taken)
    );
    assert!(told.len() == 1 && told[0].starts_with(&begin), "{told:#?}");
    assert_eq!(
        story(&log, Some(moved)),
        [format!(
            "INFO the session was moved to this machine machine=\"m1\" session_id={} epoch=2 \
             previous_owner=\"other\"",
            short(moved)
        )]
    );
    assert_eq!(
        story(&log, Some(released)),
        [format!(
            "INFO this machine released the session machine=\"m1\" session_id={} epoch=1",
            short(released)
        )],
        "what a machine gave up itself, it did not lose"
    );
    assert_eq!(
        story(&log, Some(kept)),
        [format!(
            "INFO this machine lost the session machine=\"m1\" session_id={} epoch=2 owner=\"other\"",
            short(kept)
        )],
    );
    assert_eq!(
        story(&log, None),
        ["INFO this machine gave all of its sessions up machine=\"m1\" released=2 ended=0"]
    );
}

#[test]
fn a_drain_that_cannot_write_says_so() {
    let log = logged(&format!("{TARGET}=info"), async |_| {
        let database = migrated().await;
        let process = super::Process::of("m1", &database);
        let heartbeat = process.present().await;
        owned_by(&database, "m1").await;
        let held = "ALTER TABLE preview_sessions RENAME TO away";
        database.execute(held).await;
        let drained = heartbeat.drain(Duration::from_millis(300)).await;
        drained.unwrap_err();
    });
    let told = story(&log, None);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("WARN the drain gave no session up"),
        "{told:#?}"
    );
    assert!(told[0].contains("cause="), "{told:#?}");
}
