//! Requests that do not come to a healthy owner.

use tower_ownership::testing::FlyEdge;

use super::log::Level;
use super::machine::{Life, Machine};
use super::place::{OWNER, Place, WRONG, migrated};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

#[tokio::test]
async fn a_loop_between_two_machines() {
    let place = Place::new().await;
    let another = migrated(Database::fresh().await).await;
    let session = place.session_of(OWNER).await;
    let there = PreviewSession {
        id: session,
        ..PreviewSession::owned_by(WRONG)
    };
    another.insert(&there).await;
    // Without presence: in each database only one of the two would ever beat.
    let wrong = place.machine(WRONG, Life::None).await;
    let owner = Machine::start(OWNER, &another, Life::None).await;
    place.edge.add(OWNER, owner.container.addr);
    let before = (wrong.before().await, owner.before().await);
    let answer = place.get(session).await;
    answer.is_refused(508, "replay-loop");

    let by = answer.header("ownership-machine").expect("internals");
    let told = [wrong.since(before.0).await, owner.since(before.1).await];
    let [refused, other] = if by == WRONG {
        told
    } else {
        let [a, b] = told;
        [b, a]
    };
    let line = refused.one_line(Level::Warn, "replay-loop");
    line.says("hops=");
    let loops = "reject/replay-loop/";
    let counted = refused.verdicts();
    let refusals: Vec<_> = counted
        .iter()
        .filter(|one| one.starts_with("reject"))
        .collect();
    assert!(
        refusals.len() == 1 && refusals[0].starts_with(loops),
        "{counted:?}"
    );
    let counted = other.verdicts();
    assert!(
        counted.iter().all(|one| one.starts_with("replay/")),
        "{counted:?}"
    );
    let parts = [&*format!(
        "the request went round in circles without coming to the owner `{OWNER}`"
    )];
    place.doctor(session).await.says("replay-loop", &parts);
}

/// The owner was given another DATABASE_URL.
#[tokio::test]
async fn machines_that_read_two_databases() {
    let place = Place::new().await;
    let another = migrated(Database::fresh().await).await;
    let wrong = place.machine(WRONG, Life::None).await;
    let owner = Machine::start(OWNER, &another, Life::None).await;
    place.edge.add(OWNER, owner.container.addr);
    let session = place.session_of(OWNER).await;
    for (machine, database) in [(&wrong, &place.database), (&owner, &another)] {
        // Which of the two is wrong can be read at the start of each log.
        let name = format!(
            "/{} as postgres table=\"preview_sessions\"",
            database.name()
        );
        machine.lines_once(&name).await;
    }
    let before = (wrong.before().await, owner.before().await);
    place.get(session).await.is_refused(404, "session-unknown");

    let told = wrong.since(before.0).await;
    assert_eq!(told.lines, []);
    told.counted(&["replay//miss +1"]);
    let told = owner.since(before.1).await;
    let line = told.one_line(Level::Warn, "session-unknown");
    line.says("do all machines read one directory?")
        .says(" directory_id=")
        .says(" sender_directory_id=");
    told.counted(&["reject/session-unknown/miss +1"]);
    let parts = ["reads another database"];
    let doctor = place.doctor(session).await;
    doctor.says("directory-differs", &parts);
}

#[tokio::test]
async fn a_proxy_that_does_not_honour_replays() {
    let database = migrated(Database::fresh().await).await;
    let place = Place::with(database, FlyEdge::builder().honour_replay(false)).await;
    let wrong = place.machine(WRONG, Life::Beat).await;
    let owner = place.machine(OWNER, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    let before = (wrong.before().await, owner.before().await);
    let answer = place.get(session).await;
    answer.is_refused(409, "replay-not-honoured");

    // A machine that writes an answer does not hear what becomes of it, and handovers are no news. What
    // tells is that requests are handed over on one side, and arrive at no owner.
    let told = wrong.since(before.0).await;
    assert_eq!(told.lines, []);
    told.counted(&["replay//miss +1"]);
    let told = owner.since(before.1).await;
    told.counted(&[]);
    let arrived = told.rose("replayed_requests_total{origin=\"replayed\"}");
    assert!(arrived.abs() < 0.5, "{arrived}");
    let parts = [&*format!(
        "the request was handled by `{WRONG}`, and no proxy acts on the replay to the owner \
         `{OWNER}`, although"
    )];
    let doctor = place.doctor(session).await;
    doctor.says("replay-not-honoured", &parts);
}
