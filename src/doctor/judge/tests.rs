//! Which finding each combination of facts is. Sentences are asserted where users read them, in
//! `tests/cli`.

use super::*;
use crate::{
    doctor::{
        Diagnosis,
        facts::{Answered, Got, Platform, PlatformMachine, Service},
    },
    postgres::SeenMachine,
};

const OWNER: &str = "e2863555a91708";
const LANDED: &str = "56837ddda10348";

/// The incident's row, with this presence and nothing else known.
fn facts(presence: OwnerStatus) -> Facts {
    Facts {
        session: "807efe44-d63e-4a24-88f5-dbe96112830a".to_owned(),
        directory: Directory::Answered(Box::new(Answered {
            milliseconds: 2,
            row: Some(SessionRow {
                owner: Some(OWNER.to_owned()),
                status: Some("active".to_owned()),
                meaning: Meaning::Active,
                remaining_seconds: Some(3_000.0),
                address: None,
                epoch: Some(1),
                released: false,
                presence,
            }),
            kept: Kept::Yes,
            machine: None,
            alive: vec![LANDED.to_owned()],
            warnings: Vec::new(),
            locks: Vec::new(),
            denied: Vec::new(),
            feed: Vec::new(),
        })),
        platform: Platform::default(),
        answer: Answer::NotAsked,
    }
}

impl Facts {
    fn answer_mut(&mut self) -> &mut Answered {
        match &mut self.directory {
            Directory::Answered(answered) => answered,
            other => panic!("{other:?}"),
        }
    }

    fn row_with(mut self, change: impl FnOnce(&mut SessionRow)) -> Self {
        change(self.answer_mut().row.as_mut().unwrap());
        self
    }

    fn seen(mut self, change: impl FnOnce(&mut SeenMachine)) -> Self {
        let mut machine = SeenMachine {
            beat_seconds_ago: 200.0,
            ..SeenMachine::default()
        };
        change(&mut machine);
        self.answer_mut().machine = Some(machine);
        self
    }

    /// No machine's id is known.
    fn alone(mut self) -> Self {
        self.answer_mut().alive.clear();
        self
    }

    fn through_fly(mut self) -> Self {
        if let Answer::Got(got) = &mut self.answer {
            got.request_id = Some("01HZ-fra".to_owned());
            got.machine = None;
        }
        self
    }

    fn without(mut self, directory: Directory) -> Self {
        self.directory = directory;
        self
    }

    fn with(mut self, got: Got) -> Self {
        self.answer = Answer::Got(Box::new(got));
        self
    }

    fn code(self, code: &str) -> Self {
        self.with(Got {
            code: Some(code.to_owned()),
            ..answered(503)
        })
    }

    /// The proxy could not reach the owner, for this reason.
    fn failed(self, reason: &str) -> Self {
        self.with(Got {
            code: Some("owner-unreachable".to_owned()),
            detail: Some(format!("it could not ({reason}).")),
            ..answered(503)
        })
    }

    fn served_by(self, machine: Option<&str>) -> Self {
        self.with(Got {
            machine: machine.map(str::to_owned),
            ..answered(200)
        })
    }

    fn no_answer(mut self, redirects: usize) -> Self {
        let url = "https://m1.example.com/".to_owned();
        self.answer = Answer::Failed {
            url: url.clone(),
            error: "connection refused".to_owned(),
            redirects: vec![url; redirects],
        };
        self
    }

    fn platform(mut self, word: &str) -> Self {
        self.platform.machine = match word {
            "gone" => PlatformMachine::Gone,
            word => PlatformMachine::Known {
                word: word.to_owned(),
                region: Some("iad".to_owned()),
                services: Some(vec![Service {
                    port: Some(443),
                    handlers: vec!["http".to_owned()],
                    autostart: Some(false),
                }]),
            },
        };
        self
    }
}

fn answered(status: u16) -> Got {
    Got {
        url: "https://app.example.com/session/807efe44".to_owned(),
        status,
        machine: Some(LANDED.to_owned()),
        ..Got::default()
    }
}

fn misfit(finding: Finding) -> Directory {
    Directory::Misfit {
        faults: vec![Fault {
            finding,
            text: "it does not fit".to_owned(),
        }],
    }
}

fn error() -> String {
    "an error".to_owned()
}

#[allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]
fn table() -> Vec<(Facts, Finding)> {
    use OwnerStatus::{Alive, Draining, Lost, NeverSeen, Unknown};
    let no_row = || {
        let mut facts = facts(Unknown);
        facts.answer_mut().row = None;
        facts
    };
    let mut slow = facts(Alive);
    slow.answer_mut().milliseconds = 700;
    let lock = || SeenLock {
        pid: 4711,
        table: Some("\"preview_sessions\"".to_owned()),
        mode: "ExclusiveLock".to_owned(),
        ..SeenLock::default()
    };
    let mut locked = facts(Lost);
    locked.answer_mut().locks.push(lock());
    let mut denied = facts(Lost);
    denied.answer_mut().denied.push("GRANT UPDATE".to_owned());
    let mut only_looks = facts(Alive);
    only_looks
        .answer_mut()
        .denied
        .push("GRANT UPDATE".to_owned());
    let mut unheard = facts(Alive);
    unheard.answer_mut().feed.push("a trigger".to_owned());
    let refused = |finding| Directory::Refused {
        finding,
        error: error(),
    };
    let mut partly = facts(Alive);
    partly.answer_mut().kept = Kept::Partly(vec!["table x".to_owned()]);
    let over = |row: &mut SessionRow| row.meaning = Meaning::Over;
    let starting = |row: &mut SessionRow| row.meaning = Meaning::Starting;
    let unusable = |row: &mut SessionRow| row.meaning = Meaning::Unusable(error());
    let drifted = |row: &mut SessionRow| row.meaning = Meaning::Drifted(error());
    let of_another_form = |row: &mut SessionRow| row.owner = Some("preview-web-0".to_owned());
    vec![
        (
            facts(Unknown).without(Directory::NotAsked { why: error() }),
            Finding::SessionMalformed,
        ),
        (
            facts(Unknown).without(Directory::Down { error: error() }),
            Finding::DirectoryDown,
        ),
        (
            facts(Unknown).without(Directory::Late { error: error() }),
            Finding::DirectorySlow,
        ),
        (
            facts(Unknown).without(misfit(Finding::TableMissing)),
            Finding::TableMissing,
        ),
        (
            facts(Unknown).without(misfit(Finding::ColumnMissing)),
            Finding::ColumnMissing,
        ),
        (
            facts(Unknown).without(misfit(Finding::ColumnType)),
            Finding::ColumnType,
        ),
        (
            facts(Unknown).without(misfit(Finding::MigrationPartly)),
            Finding::MigrationPartly,
        ),
        (
            facts(Unknown).without(Directory::Locked {
                locks: vec![lock()],
            }),
            Finding::DatabaseLocked,
        ),
        (locked, Finding::DatabaseLocked),
        (denied, Finding::DatabaseDenied),
        (only_looks, Finding::Fine),
        (unheard, Finding::NotifyTriggers),
        (
            facts(Unknown).without(refused(Finding::DatabaseLogin)),
            Finding::DatabaseLogin,
        ),
        (
            facts(Unknown).without(refused(Finding::DatabaseFull)),
            Finding::DatabaseFull,
        ),
        (
            facts(Unknown).without(refused(Finding::Replica)),
            Finding::Replica,
        ),
        // Its heartbeats go to the other database.
        (
            facts(Lost).code("session-unknown"),
            Finding::DirectoryDiffers,
        ),
        // Of a machine of Fly's that is called like a host.
        (
            facts(Unknown)
                .row_with(of_another_form)
                .failed("no_candidate")
                .alone()
                .through_fly(),
            Finding::WrongIdentity,
        ),
        (partly, Finding::MigrationPartly),
        (slow, Finding::DirectorySlow),
        (no_row(), Finding::SessionUnknown),
        (no_row().with(answered(200)), Finding::SessionUnknown),
        (facts(Alive).row_with(drifted), Finding::OwnerWithoutEpoch),
        (facts(Unknown).row_with(over), Finding::SessionOver),
        (facts(Unknown).row_with(starting), Finding::SessionStarting),
        (facts(Lost).row_with(starting), Finding::OwnerLost),
        (facts(Unknown).row_with(unusable), Finding::RowUnusable),
        (
            facts(Unknown).row_with(|row| {
                (row.owner, row.meaning) = (Some(String::new()), Meaning::Unusable(error()));
            }),
            Finding::OwnerUnusable,
        ),
        (
            facts(Unknown).row_with(|row| row.owner = None),
            Finding::SessionUnassigned,
        ),
        // Owners.
        (facts(NeverSeen), Finding::OwnerNeverSeen),
        (
            facts(NeverSeen).code("owner-never-seen"),
            Finding::OwnerNeverSeen,
        ),
        (
            facts(NeverSeen).failed("no_candidate"),
            Finding::OwnerNeverSeen,
        ),
        (facts(NeverSeen).platform("gone"), Finding::OwnerNeverSeen),
        (
            facts(NeverSeen).platform("started"),
            Finding::OwnerNeverSeen,
        ),
        (
            facts(NeverSeen).row_with(of_another_form),
            Finding::WrongIdentity,
        ),
        (facts(Lost).platform("stopped"), Finding::OwnerStopped),
        (facts(Unknown).platform("created"), Finding::OwnerNotStarted),
        (facts(Unknown).platform("destroying"), Finding::OwnerGone),
        (facts(Unknown).platform("gone"), Finding::OwnerGone),
        (
            facts(Lost).seen(|_| ()).failed("no_candidate"),
            Finding::OwnerGone,
        ),
        (facts(Unknown).failed("no_candidate"), Finding::OwnerGone),
        (facts(Alive).failed("no_candidate"), Finding::OwnerGone),
        (
            facts(Alive).failed("no_candidate").platform("started"),
            Finding::OwnerUnreachable,
        ),
        (facts(Lost), Finding::OwnerLost),
        (facts(Lost).seen(|_| ()), Finding::OwnerLost),
        (
            facts(Lost).served_by(Some(OWNER)),
            Finding::HeartbeatsMissing,
        ),
        (facts(Lost).served_by(None), Finding::HeartbeatsMissing),
        (
            facts(NeverSeen).served_by(Some(OWNER)),
            Finding::HeartbeatsMissing,
        ),
        (
            facts(NeverSeen).platform("started").served_by(Some(OWNER)),
            Finding::HeartbeatsMissing,
        ),
        (facts(Draining), Finding::OwnerDraining),
        (
            facts(Alive).seen(|machine| machine.rival_seconds_ago = Some(2.0)),
            Finding::DuplicateIdentity,
        ),
        (
            facts(Unknown).code("duplicate-identity"),
            Finding::DuplicateIdentity,
        ),
        // The way to them.
        (facts(Alive).failed("timeout"), Finding::OwnerUnreachable),
        (
            facts(Alive).code("replay-not-honoured"),
            Finding::ReplayNotHonoured,
        ),
        (facts(Alive).code("replay-loop"), Finding::ReplayLoop),
        (facts(Alive).code("not-replayable"), Finding::NotReplayable),
        (facts(Alive).code("session-absent"), Finding::SessionAbsent),
        (
            facts(Alive).code("session-forbidden"),
            Finding::SessionForbidden,
        ),
        (facts(Alive).code("session-moving"), Finding::SessionMoving),
        (
            facts(Alive).code("session-starting"),
            Finding::SessionMoving,
        ),
        (
            facts(Alive).code("lookup-unavailable"),
            Finding::DirectoryDownThere,
        ),
        (
            facts(Alive).code("session-unknown"),
            Finding::DirectoryDiffers,
        ),
        (
            facts(Alive).code("from-the-future"),
            Finding::OwnerUnreachable,
        ),
        (
            facts(Alive).with(answered(404)),
            Finding::ApplicationRefused,
        ),
        (
            facts(Alive).with(Got {
                empty: true,
                request_id: Some("01HQ-iad".to_owned()),
                ..answered(502)
            }),
            Finding::ProxyError,
        ),
        (facts(Alive).no_answer(0), Finding::UrlUnreachable),
        (facts(Alive).no_answer(1), Finding::OwnerUnreachable),
        (
            facts(Alive).with(Got {
                redirects: vec!["https://m1.example.com/".to_owned(); 4],
                circular: true,
                ..answered(307)
            }),
            Finding::ReplayLoop,
        ),
        (facts(Alive).with(answered(200)), Finding::WrongMachine),
        (facts(Lost).with(answered(200)), Finding::WrongMachine),
        (
            facts(Unknown).platform("stopped").with(answered(200)),
            Finding::WrongMachine,
        ),
        (facts(Unknown), Finding::Fine),
        (facts(Alive).served_by(Some(OWNER)), Finding::Fine),
        (facts(Alive).served_by(None), Finding::Fine),
        // A header that calls machines otherwise than rows do.
        (facts(Alive).served_by(Some("web-0")), Finding::Fine),
        (
            facts(Unknown).platform("stopped").served_by(Some(OWNER)),
            Finding::CheckFailed,
        ),
        (
            facts(Alive)
                .row_with(|row| row.epoch = None)
                .served_by(Some(OWNER)),
            Finding::CheckFailed,
        ),
    ]
}

#[test]
fn each_combination_of_facts_is_one_finding() {
    for (facts, finding) in table() {
        let judged = judge(&facts);
        assert_eq!(judged[0].finding, finding, "{facts:#?}");
        assert!(judged[0].sentence.ends_with('.'), "{}", judged[0].sentence);
    }
}

#[test]
fn no_diagnosis_is_fine_beside_a_problem() {
    for (facts, _) in table() {
        let diagnosis = Diagnosis::of(facts);
        let mut checks = diagnosis.checks.iter();
        let problem = checks.any(|check| check.state == CheckState::Problem);
        assert!(
            !problem || diagnosis.finding != Finding::Fine,
            "{diagnosis}"
        );
    }
}

/// Those that only an explanation or an audit makes are not.
#[test]
fn every_finding_of_the_doctor_is_in_the_table() {
    let told: Vec<Finding> = table().into_iter().map(|(_, finding)| finding).collect();
    let others = [
        Finding::NoSession,
        Finding::SessionMissing,
        Finding::MachineJoining,
        Finding::NotifyQueue,
        Finding::StatusUnknown,
    ];
    for finding in Finding::ALL {
        assert_ne!(
            told.contains(finding),
            others.contains(finding),
            "{finding}"
        );
    }
}

fn all(facts: &Facts) -> Vec<Finding> {
    judge(facts).iter().map(|found| found.finding).collect()
}

#[test]
fn what_else_is_wrong_follows_gravest_first() {
    let lost = || facts(OwnerStatus::Lost);
    assert_eq!(
        all(&lost().with(answered(200))),
        [Finding::WrongMachine, Finding::OwnerLost]
    );
    // The owner's state is why its address does not answer.
    assert_eq!(all(&lost().no_answer(1)), [Finding::OwnerLost]);
    let mut several = facts(OwnerStatus::Unknown)
        .code("replay-not-honoured")
        .platform("gone");
    several.answer_mut().milliseconds = 900;
    assert_eq!(
        all(&several),
        [
            Finding::OwnerGone,
            Finding::ReplayNotHonoured,
            Finding::DirectorySlow
        ]
    );
}

#[test]
fn odd_numbers_in_a_row_are_displayed() {
    for odd in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        -0.0,
        1e300,
    ] {
        let facts = facts(OwnerStatus::Lost)
            .seen(|machine| machine.beat_seconds_ago = odd)
            .row_with(|row| row.meaning = Meaning::Over)
            .row_with(|row| row.remaining_seconds = Some(odd));
        assert!(!judge(&facts)[0].sentence.is_empty());
        assert!(!Diagnosis::of(facts).to_string().is_empty());
    }
}
