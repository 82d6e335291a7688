//! Sessions that nobody can serve. Nothing is broken, so nobody is woken: each is one line at INFO.

use uuid::Uuid;

use super::log::Level;
use super::machine::Life;
use super::place::{Place, WRONG};

#[tokio::test]
async fn an_unknown_session() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = Uuid::new_v4();
    let before = machine.before().await;
    place.get(session).await.is_refused(404, "session-unknown");

    let told = machine.since(before).await;
    told.one_line(Level::Info, "session-unknown");
    told.counted(&["reject/session-unknown/miss +1"]);
    told.rose_by_one("lookup_duration_seconds_count{outcome=\"unknown\"}");
    let sentence = "The directory knows no such session: it answered, and there is no row.";
    let doctor = place.doctor(session).await;
    doctor.says("session-unknown", &[sentence]);
}

#[tokio::test]
async fn a_session_that_is_over() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = place.session(|session| session.ended_ago = Some(60.0));
    let session = session.await;
    let before = machine.before().await;
    place.get(session).await.is_refused(410, "session-over");

    let told = machine.since(before).await;
    told.one_line(Level::Info, "session-over");
    told.counted(&["reject/session-over/miss +1"]);
    let doctor = place.doctor(session).await;
    let parts = ["The session is over: its time ran out, or it was ended, 1m"];
    doctor.says("session-over", &parts);
}

#[tokio::test]
async fn an_unassigned_session() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = place.session(|session| session.container_id = None).await;
    let before = machine.before().await;
    place.get(session).await.is_refused(503, "session-starting");

    let told = machine.since(before).await;
    told.one_line(Level::Info, "session-starting");
    told.counted(&["reject/session-starting/miss +1"]);
    let sentence = "The session has no owner: the row's owner is NULL, and it never had one.";
    let doctor = place.doctor(session).await;
    doctor.says("session-unassigned", &[sentence]);
}
