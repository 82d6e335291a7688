//! Owners that cannot serve what they own.

use super::log::Level;
use super::machine::{LOST_AFTER, Life};
use super::metrics::Metrics;
use super::place::{OWNER, Place, WRONG};
use crate::support::client::get;
use crate::support::{until, until_async};

/// Of the owner's form, and nobody's.
const UNSEEN: &str = "90801679a10038";

impl Place {
    /// Waits until [`OWNER`] has been silent for so long, while another machine was heard, that
    /// others take it for lost.
    async fn owner_is_lost(&self) {
        let client = self.database.client().await;
        let sql = format!(
            "SELECT EXISTS (SELECT FROM ownership_machines AS w
                 WHERE w.beat_at > o.beat_at + interval '{LOST_AFTER} ms'
                 AND w.steady_since <= w.beat_at - interval '{LOST_AFTER} ms')
                 FROM ownership_machines AS o WHERE machine_id = $1"
        );
        until_async("the owner is lost", async || {
            client.query_one(&sql, &[&OWNER]).await.unwrap().get(0)
        })
        .await;
    }
}

#[tokio::test]
async fn an_owner_that_is_stopped() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let owner = place.machine(OWNER, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    owner.freeze();
    place.owner_is_lost().await;
    let before = machine.before().await;
    place.get(session).await.is_refused(503, "owner-lost");

    let told = machine.since(before).await;
    let line = told.one_line(Level::Warn, "owner-lost");
    line.says(&format!("owner=\"{OWNER}\" owner_status=\"lost\""));
    told.counted(&["reject/owner-lost/miss +1"]);
    let parts = [
        &format!(
            "the request was handled by `{WRONG}`, and the owner `{OWNER}` is lost: it was last seen "
        ),
        " ago; it is not a database timing problem.",
    ];
    place.doctor(session).await.says("owner-lost", &parts);
}

#[tokio::test]
async fn an_owner_that_was_destroyed() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let owner = place.machine(OWNER, Life::Beat).await;
    owner.container.ask_to_stop();
    assert_eq!(owner.container.exit_status(), 0);
    place.edge.remove(OWNER);
    // Somebody goes on naming it.
    let session = place.session_of(OWNER).await;
    let before = machine.before().await;
    place.get(session).await.is_refused(503, "owner-lost");

    let told = machine.since(before).await;
    told.one_line(Level::Warn, "owner-lost");
    told.counted(&["reject/owner-lost/miss +1"]);
    let left = format!("the owner `{OWNER}` is lost: it has left ");
    place.doctor(session).await.says("owner-lost", &[&left]);
}

#[tokio::test]
async fn an_owner_that_was_declared_gone() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::BeatForLong).await;
    let owner = place.machine(OWNER, Life::BeatForLong).await;
    let session = place.session_of(OWNER).await;
    let gone =
        format!("UPDATE ownership_machines SET gone_at = now() WHERE machine_id = '{OWNER}'");
    place.database.execute(&gone).await;
    let lines = owner
        .lines_once("an operator declared this machine gone")
        .await;
    let aloud: Vec<_> = lines.iter().filter(|line| line.is_aloud()).collect();
    assert_eq!(aloud.len(), 1, "{aloud:?}");
    assert_eq!(aloud[0].level, Level::Error);
    let removed = Metrics::of(&owner.container).await;
    assert!(removed.value("node_state{state=\"removed\"}") > 0.5);
    let before = machine.before().await;
    place.get(session).await.is_refused(503, "owner-lost");
    let told = machine.since(before).await;
    told.one_line(Level::Warn, "owner-lost");
    told.counted(&["reject/owner-lost/miss +1"]);
    let gone = format!("the owner `{OWNER}` is lost: it was declared gone ");
    let doctor = place.doctor_of(session, Life::BeatForLong).await;
    doctor.says("owner-lost", &[&gone]);
}

#[tokio::test]
async fn an_owner_that_was_destroyed_a_moment_ago() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::BeatForLong).await;
    let owner = place.machine(OWNER, Life::BeatForLong).await;
    let session = place.session_of(OWNER).await;
    owner.container.kill();
    until("it ends", || owner.container.has_ended());
    place.edge.remove(OWNER);
    let before = machine.before().await;
    let answer = place.get(session).await;
    answer.is_refused(503, "owner-unreachable");

    // Its silence says nothing yet, and the proxy does.
    let told = machine.since(before).await;
    let line = told.one_line(Level::Warn, "owner-unreachable");
    line.says("replay_failed=\"no_candidate\"");
    // It is looked up again if the proxy's answer took longer than news may be old.
    let source = if line.text.contains("cache_status=\"hit\"") {
        "hit"
    } else {
        "miss"
    };
    let refused = format!("reject/owner-unreachable/{source} +1");
    told.counted(&[&refused, "replay//miss +1"]);
    let parts = [
        &*format!(
            "the request was handled by `{WRONG}`, and the owner `{OWNER}` does not exist: the \
             proxy knows no such machine, although it was seen "
        ),
        " ago; it is not a database timing problem.",
    ];
    let doctor = place.doctor_of(session, Life::BeatForLong).await;
    doctor.says("owner-gone", &parts);
}

#[tokio::test]
async fn an_owner_that_never_beat() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let session = place.session_of(UNSEEN).await;
    let before = machine.before().await;
    place.get(session).await.is_refused(503, "owner-never-seen");

    let told = machine.since(before).await;
    let line = told.one_line(Level::Warn, "owner-never-seen");
    line.says(&format!("owner=\"{UNSEEN}\" owner_status=\"never-seen\""));
    told.counted(&["reject/owner-never-seen/miss +1"]);
    let sentence = format!(
        "The row is fine, the request was handled by `{WRONG}`, and the owner `{UNSEEN}` was never \
         seen, so the container was not created; it is not a database timing problem."
    );
    let doctor = place.doctor(session).await;
    doctor.says("owner-never-seen", &[&sentence]);
}

#[tokio::test]
async fn an_owner_that_drains() {
    let place = Place::new().await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let owner = place.machine(OWNER, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    // Somebody holds the row, so that it cannot be given up.
    let mut client = place.database.client().await;
    let holder = client.transaction().await.unwrap();
    let row = "SELECT FROM preview_sessions WHERE id = $1 FOR UPDATE";
    holder.query_one(row, &[&session]).await.unwrap();
    let before = owner.before().await;
    owner.container.ask_to_stop();
    let drains = "node_state{state=\"draining\"}";
    until_async("it drains", async || {
        Metrics::of(&owner.container).await.value(drains) > 0.0
    })
    .await;
    let marked = place.database.client().await;
    until_async("it says so", async || {
        let sql = "SELECT draining FROM ownership_machines WHERE machine_id = $1";
        marked.query_one(sql, &[&OWNER]).await.unwrap().get(0)
    })
    .await;
    let before_there = machine.before().await;
    place.get(session).await.is_refused(503, "session-moving");

    // A rollout is nothing to mend.
    let told = owner.since(before).await;
    told.one_line(Level::Info, "session-moving");
    told.counted(&["reject/session-moving/miss +1"]);
    let told = machine.since(before_there).await;
    told.counted(&["replay//miss +1"]);
    let parts = [format!(
        "the owner `{OWNER}` is draining: it gives its sessions up"
    )];
    let doctor = place.doctor(session).await;
    doctor.says("owner-draining", &[&parts[0]]);
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn two_processes_under_one_machine_id() {
    let place = Place::new().await;
    let older = place.machine(OWNER, Life::Beat).await;
    let before = older.before().await;
    // The edge knows one machine of a name, and here it is the older one.
    let younger = super::machine::Machine::start(OWNER, &place.database, Life::Beat).await;
    let session = place.session_of(OWNER).await;
    let stands = "node_state{state=\"fenced\"}";
    until_async("it notices", async || {
        Metrics::of(&older.container).await.value(stands) > 0.0
    })
    .await;
    let url = older.container.url(&format!("/session/{session}"));
    get(url).await.is_refused(503, "duplicate-identity");

    let told = older.since(before).await;
    told.counted(&["reject/duplicate-identity/miss +1"]);
    let said = |level| {
        let lines = told.lines.iter().filter(move |line| line.level == level);
        lines.inspect(|line| assert!(line.has_code("duplicate-identity"), "{line:?}"))
    };
    let error = said(Level::Error).next().unwrap();
    error.says("another process has begun under this machine's id; this one has stopped serving");
    assert_eq!(said(Level::Warn).count(), 1, "the request");
    let heard = younger.lines_once("another process runs under this machine's id");
    let heard = heard.await;
    let aloud: Vec<_> = heard.iter().filter(|line| line.is_aloud()).collect();
    assert!(
        aloud.iter().all(|line| line.level == Level::Error),
        "{aloud:?}"
    );
    place.edge.land_on(OWNER);
    let sentence = format!(
        "two processes run under the machine id of the owner `{OWNER}`; the older one refuses every \
         session, and requests reach either"
    );
    let doctor = place.doctor(session).await;
    doctor.says("duplicate-identity", &[&sentence]);
}
