//! One line for each thing that can be wrong.

use super::*;
use crate::{
    Presence,
    doctor::findings::{Answered, Platform, PlatformMachine, Service},
    lookup::postgres::SeenMachine,
};

mod owners;
mod rows;
mod ways;

const OWNER: &str = "e2863555a91708";
const LANDED: &str = "56837ddda10348";

/// The incident's row, and nothing else known.
fn findings() -> Findings {
    Findings {
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
                presence: Presence::Unknown,
            }),
            kept: Kept::Yes,
            machine: None,
            alive: vec![LANDED.to_owned()],
            warnings: Vec::new(),
        })),
        platform: Platform::default(),
        answer: Answer::NotAsked,
    }
}

fn with_answered(change: impl FnOnce(&mut Answered)) -> Findings {
    let mut findings = findings();
    if let Directory::Answered(answered) = &mut findings.directory {
        change(answered);
    }
    findings
}

fn with_row(change: impl FnOnce(&mut SessionRow)) -> Findings {
    with_answered(|answered| change(answered.row.as_mut().unwrap()))
}

fn presence(presence: Presence) -> Findings {
    with_row(|row| row.presence = presence)
}

fn beaten(change: impl FnOnce(&mut SeenMachine)) -> SeenMachine {
    let mut machine = SeenMachine {
        beat_seconds_ago: 200.0,
        ..SeenMachine::default()
    };
    change(&mut machine);
    machine
}

fn answered(status: u16, code: Option<&str>) -> Got {
    Got {
        url: "https://app.example.com/session/807efe44".to_owned(),
        status,
        code: code.map(str::to_owned),
        machine: Some(LANDED.to_owned()),
        ..Got::default()
    }
}

fn got(mut findings: Findings, got: Got) -> Findings {
    findings.answer = Answer::Got(Box::new(got));
    findings
}

fn served_by(machine: Option<&str>) -> Got {
    Got {
        machine: machine.map(str::to_owned),
        ..answered(200, None)
    }
}

fn led_nowhere(findings: Findings) -> Findings {
    let url = "https://m1.example.com/".to_owned();
    Findings {
        answer: Answer::Failed {
            url: url.clone(),
            why: "connect",
            error: "connection refused".to_owned(),
            redirects: vec![url],
        },
        ..findings
    }
}

fn on_the_platform(mut findings: Findings, machine: PlatformMachine) -> Findings {
    findings.platform.machine = machine;
    findings
}

fn known(word: &str) -> PlatformMachine {
    PlatformMachine::Known {
        word: word.to_owned(),
        region: Some("iad".to_owned()),
        services: None,
    }
}

fn down(error: &str) -> Findings {
    Findings {
        directory: Directory::Down {
            error: error.to_owned(),
        },
        ..findings()
    }
}

fn misfit(kind: FaultKind, text: &str) -> Findings {
    Findings {
        directory: Directory::Misfit {
            faults: vec![Fault {
                kind,
                text: text.to_owned(),
            }],
        },
        ..findings()
    }
}

/// The findings, the cause, and what the sentence has to say.
type Line = (Findings, Cause, &'static str);

fn table() -> Vec<Line> {
    [rows::lines(), owners::lines(), ways::lines()].concat()
}

#[test]
fn each_thing_that_can_be_wrong_is_told_from_the_others() {
    for (findings, cause, sentence) in table() {
        let judged = judge(&findings);
        let first = judged.first().unwrap();
        assert_eq!(first.cause, cause, "{}", first.sentence);
        assert!(first.sentence.contains(sentence), "{}", first.sentence);
        assert!(first.sentence.ends_with('.'), "{}", first.sentence);
        assert!(!first.next_step.is_empty());
    }
}

#[test]
fn nothing_is_fine_beside_a_problem() {
    for (findings, ..) in table() {
        let diagnosis = crate::doctor::Diagnosis::of(findings);
        let problem = CheckState::Problem;
        let problems = diagnosis
            .checks()
            .iter()
            .any(|check| check.state == problem);
        assert!(!problems || diagnosis.cause() != Cause::Fine, "{diagnosis}");
    }
}

#[test]
fn every_cause_is_in_the_table() {
    let told: Vec<Cause> = table().into_iter().map(|(_, cause, _)| cause).collect();
    for cause in Cause::ALL {
        assert!(told.contains(cause), "{cause} is told by no line");
    }
}

fn causes(findings: &Findings) -> Vec<Cause> {
    judge(findings).iter().map(|found| found.cause).collect()
}

#[test]
fn that_another_machine_serves_hides_nothing_of_the_owner() {
    let lost = || presence(Presence::Lost);
    assert_eq!(
        causes(&got(lost(), answered(200, None))),
        [Cause::WrongMachine, Cause::OwnerLost]
    );
    let stopped = on_the_platform(lost(), known("stopped"));
    assert_eq!(
        causes(&got(stopped, answered(200, None))),
        [Cause::WrongMachine, Cause::OwnerStopped]
    );
    // What is known of the owner is why its address does not answer.
    assert_eq!(causes(&led_nowhere(lost())), [Cause::OwnerLost]);
}

#[test]
fn what_is_wrong_besides_is_told_besides() {
    let mut findings = on_the_platform(
        got(findings(), answered(409, Some("replay-not-honoured"))),
        PlatformMachine::Gone,
    );
    if let Directory::Answered(answered) = &mut findings.directory {
        answered.milliseconds = 900;
    }
    assert_eq!(
        causes(&findings),
        [
            Cause::OwnerGone,
            Cause::ReplayNotHonoured,
            Cause::DatabaseSlow
        ]
    );
}

#[test]
fn an_owner_that_no_replay_wakes_has_to_be_started() {
    let service = Service {
        port: Some(443),
        handlers: vec!["http".to_owned()],
        autostart: Some(false),
    };
    let findings = on_the_platform(
        findings(),
        PlatformMachine::Known {
            word: "stopped".to_owned(),
            region: None,
            services: Some(vec![service]),
        },
    );
    let judged = judge(&findings);
    assert!(
        judged[0].next_step.contains("autostart off"),
        "{}",
        judged[0].next_step
    );
}

#[test]
fn nothing_in_the_findings_is_too_odd() {
    for odd in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        -0.0,
        1e300,
    ] {
        let findings = with_answered(|answered| {
            let row = answered.row.as_mut().unwrap();
            (row.meaning, row.presence) = (Meaning::Over, Presence::Lost);
            row.remaining_seconds = Some(odd);
            answered.machine = Some(beaten(|machine| machine.beat_seconds_ago = odd));
        });
        assert!(!judge(&findings)[0].sentence.is_empty());
        assert!(
            !crate::doctor::Diagnosis::of(findings)
                .to_string()
                .is_empty()
        );
    }
}
