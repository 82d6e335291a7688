//! Machines that do not know who they are, or not in the words of whoever assigns sessions.

use super::log::{Level, lines};
use super::machine::Life;
use super::place::{Place, WRONG};
use crate::support::container::Container;

#[tokio::test]
async fn a_missing_identity() {
    let Err((status, log)) = Container::attempt(&[]) else {
        panic!("it runs without an identity");
    };
    assert_eq!(status, 1);
    // The only line is both the log's and the sentence: nothing runs that could count, and no
    // session is the worse for it yet.
    let all = lines(&log);
    let [line] = all.as_slice() else {
        panic!("not one line: {log}");
    };
    assert_eq!(line.level, Level::Error);
    line.says("no machine id");
    for variable in ["FLY_MACHINE_ID", "POD_UID", "HEROKU_DYNO_ID"] {
        line.says(variable);
    }
}

#[tokio::test]
async fn an_identity_in_another_format_than_the_stored_owners() {
    const STORED: &str = "preview-worker-7.internal";
    let place = Place::new().await;
    let session = place.session_of(STORED).await;
    let machine = place.machine(WRONG, Life::Beat).await;
    let warning = format!(
        "no stored owner looks like this machine's id: stored is {STORED:?}, this machine is \
         {WRONG:?}; does the orchestrator write the id that this process reads?"
    );
    let lines = machine.lines_once(&warning).await;
    let aloud: Vec<_> = lines.iter().filter(|line| line.is_aloud()).collect();
    assert_eq!(aloud.len(), 1, "{aloud:?}");
    assert_eq!(aloud[0].level, Level::Warn);

    let before = machine.before().await;
    place.get(session).await.is_refused(503, "owner-never-seen");
    let told = machine.since(before).await;
    let line = told.one_line(Level::Warn, "owner-never-seen");
    line.says(&format!("owner=\"{STORED}\""));
    told.counted(&["reject/owner-never-seen/miss +1"]);
    let sentence = format!(
        "owners are stored by other ids than machines have: this session's is `{STORED}`, while \
         machines are called like `{WRONG}`, so no machine ever finds itself the owner"
    );
    let doctor = place.doctor(session).await;
    doctor.says("wrong-identity", &[&sentence]);
}
