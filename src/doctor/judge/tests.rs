//! One line for each thing that can be wrong.

use super::*;
use crate::{
    Presence,
    doctor::findings::{Answered, Platform, PlatformMachine, Service},
    lookup::postgres::SeenMachine,
};

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
#[allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]
fn table() -> Vec<(Findings, Cause, &'static str)> {
    let never_seen = || presence(Presence::NeverSeen);
    let unreachable = |reason: &str| Got {
        detail: Some(format!("it could not ({reason}).")),
        ..answered(503, Some("owner-unreachable"))
    };
    let through_fly = |got| Got {
        request_id: Some("01HQ-iad".to_owned()),
        ..got
    };
    vec![
        (
            got(never_seen(), answered(503, Some("owner-never-seen"))),
            Cause::OwnerNeverSeen,
            "The row is fine, the request was handled by `56837ddda10348`, and the owner \
             `e2863555a91708` was never seen, so the container was not created; it is not a \
             database timing problem.",
        ),
        (
            Findings {
                session: "nonsense".to_owned(),
                directory: Directory::NotAsked,
                ..findings()
            },
            Cause::SessionMalformed,
            "\"nonsense\" is not a session id.",
        ),
        (
            with_answered(|answered| answered.row = None),
            Cause::SessionUnknown,
            "There is no row for this session",
        ),
        (
            got(
                with_answered(|answered| answered.row = None),
                answered(200, None),
            ),
            Cause::SessionUnknown,
            "and yet something answered 200.",
        ),
        (
            with_row(|row| {
                row.meaning = Meaning::Over;
                row.remaining_seconds = Some(-200.0);
            }),
            Cause::SessionOver,
            "its time ran out, or it was ended, 3m 20s ago.",
        ),
        (
            with_row(|row| {
                row.meaning = Meaning::Over;
                row.status = Some("ended".to_owned());
            }),
            Cause::SessionOver,
            "its status is \"ended\".",
        ),
        (
            with_row(|row| row.meaning = Meaning::Starting),
            Cause::SessionStarting,
            "still being created",
        ),
        (
            with_row(|row| row.owner = None),
            Cause::SessionUnassigned,
            "the row's owner is NULL.",
        ),
        (
            with_row(|row| {
                row.owner = Some(String::new());
                row.meaning = Meaning::Unusable("the session's owner cannot be".to_owned());
            }),
            Cause::OwnerUnusable,
            "The row's owner is \"\", which cannot be a machine id",
        ),
        (
            with_row(|row| row.meaning = Meaning::Unusable("the status is NULL".to_owned())),
            Cause::RowUnusable,
            "cannot be used: the status is NULL.",
        ),
        (
            on_the_platform(presence(Presence::Lost), known("stopped")),
            Cause::OwnerStopped,
            "the owner `e2863555a91708` does not run: the platform says \"stopped\"",
        ),
        (
            on_the_platform(findings(), PlatformMachine::NotRunning { region: None }),
            Cause::OwnerStopped,
            "does not run",
        ),
        (
            on_the_platform(findings(), known("created")),
            Cause::OwnerNotStarted,
            "exists and does not run: the platform says \"created\"",
        ),
        (
            on_the_platform(findings(), known("destroying")),
            Cause::OwnerGone,
            "is being taken away",
        ),
        (
            on_the_platform(findings(), PlatformMachine::Gone),
            Cause::OwnerGone,
            "is no machine of the app: it was destroyed, or never created",
        ),
        (
            on_the_platform(
                with_answered(|answered| answered.machine = Some(beaten(|_| ()))),
                PlatformMachine::Gone,
            ),
            Cause::OwnerGone,
            "was last seen 3m 20s ago, and is no machine of the app",
        ),
        (
            on_the_platform(never_seen(), PlatformMachine::Gone),
            Cause::OwnerNeverSeen,
            "was never seen, and the platform knows no such machine, so the container was not \
             created",
        ),
        (
            on_the_platform(never_seen(), known("started")),
            Cause::OwnerNeverSeen,
            "runs, says the platform, and has never said so itself",
        ),
        (
            got(findings(), unreachable("no_candidate")),
            Cause::OwnerGone,
            "the proxy knows no machine `e2863555a91708`",
        ),
        (
            got(presence(Presence::Alive), unreachable("timeout")),
            Cause::OwnerUnreachable,
            "could not connect to the owner `e2863555a91708` (timeout)",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Lost;
                answered.machine = Some(beaten(|_| ()));
            }),
            Cause::OwnerLost,
            "is lost: it was last seen 3m 20s ago",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Lost;
                answered.machine = Some(beaten(|machine| machine.left_seconds_ago = Some(61.0)));
            }),
            Cause::OwnerLost,
            "has left 1m 1s ago",
        ),
        (
            presence(Presence::Draining),
            Cause::OwnerDraining,
            "is draining",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Alive;
                answered.machine = Some(beaten(|machine| machine.rival_seconds_ago = Some(2.0)));
            }),
            Cause::DuplicateIdentity,
            "Two processes say that they are `e2863555a91708`",
        ),
        (
            got(findings(), answered(503, Some("duplicate-identity"))),
            Cause::DuplicateIdentity,
            "Two processes",
        ),
        (
            with_answered(|answered| {
                let row = answered.row.as_mut().unwrap();
                row.owner = Some("preview-web-0".to_owned());
                row.presence = Presence::NeverSeen;
            }),
            Cause::IdentityMismatch,
            "its owner is `preview-web-0`, while machines are called like `56837ddda10348`",
        ),
        (
            got(
                presence(Presence::Alive),
                answered(409, Some("replay-not-honoured")),
            ),
            Cause::ReplayNotHonoured,
            "because the request did not come through a proxy that does",
        ),
        (
            got(
                presence(Presence::Alive),
                through_fly(answered(409, Some("replay-not-honoured"))),
            ),
            Cause::ReplayNotHonoured,
            "although the answer came through Fly's proxy",
        ),
        (
            got(
                presence(Presence::Alive),
                answered(508, Some("replay-loop")),
            ),
            Cause::ReplayLoop,
            "went round in circles",
        ),
        (
            got(findings(), answered(413, Some("not-replayable"))),
            Cause::NotReplayable,
            "cannot be handed to the owner",
        ),
        (
            got(findings(), answered(410, Some("session-absent"))),
            Cause::SessionAbsent,
            "does not hold the session",
        ),
        (
            got(findings(), answered(403, Some("session-forbidden"))),
            Cause::SessionForbidden,
            "guard",
        ),
        (
            got(findings(), answered(503, Some("session-moving"))),
            Cause::SessionMoving,
            "changing hands",
        ),
        (
            got(findings(), answered(503, Some("lookup-unavailable"))),
            Cause::DatabaseDownThere,
            "was read from here, and `56837ddda10348` could not ask the database",
        ),
        (
            got(findings(), answered(404, Some("session-unknown"))),
            Cause::DirectoryDiffers,
            "and yet `56837ddda10348` answered `session-unknown`",
        ),
        (
            got(findings(), answered(404, None)),
            Cause::ApplicationRefused,
            "`56837ddda10348` answered 404 without an `Ownership-Code`",
        ),
        (
            got(
                findings(),
                through_fly(Got {
                    empty: true,
                    machine: None,
                    ..answered(502, None)
                }),
            ),
            Cause::ProxyError,
            "the proxy answered 502 by itself",
        ),
        (
            Findings {
                answer: Answer::Failed {
                    url: "https://app.example.com/".to_owned(),
                    why: "connect",
                    error: "connection refused".to_owned(),
                },
                ..presence(Presence::Alive)
            },
            Cause::UrlUnreachable,
            "https://app.example.com/ gave no answer: connection refused.",
        ),
        (
            down("no connection could be opened"),
            Cause::DatabaseDown,
            "cannot be asked from here: no connection could be opened.",
        ),
        (
            Findings {
                directory: Directory::Late {
                    error: "the query took too long".to_owned(),
                },
                ..findings()
            },
            Cause::DatabaseSlow,
            "did not answer in time: the query took too long.",
        ),
        (
            with_answered(|answered| answered.milliseconds = 700),
            Cause::DatabaseSlow,
            "takes 700 ms",
        ),
        (
            misfit(FaultKind::Table, "there is no table \"rooms\""),
            Cause::TableMissing,
            "there is no table \"rooms\".",
        ),
        (
            misfit(FaultKind::Column, "it has no column \"owner\""),
            Cause::ColumnMissing,
            "it has no column \"owner\".",
        ),
        (
            misfit(FaultKind::Type, "column \"id\" is of type text"),
            Cause::ColumnType,
            "is of type text.",
        ),
        (
            misfit(FaultKind::Migration, "there is no trigger"),
            Cause::MigrationPartly,
            "there is no trigger.",
        ),
        (
            with_answered(|answered| answered.kept = Kept::Partly(vec!["table x".to_owned()])),
            Cause::MigrationPartly,
            "there is no table x.",
        ),
        (
            got(presence(Presence::Alive), answered(200, None)),
            Cause::Fine,
            "its owner is `e2863555a91708`, which is alive, and a request for it was answered 200.",
        ),
        (
            findings(),
            Cause::Fine,
            "of whose presence nothing is kept, and no request was made",
        ),
        // The proxy woke it.
        (
            got(
                on_the_platform(findings(), known("stopped")),
                answered(200, None),
            ),
            Cause::Fine,
            "answered 200",
        ),
    ]
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
fn every_cause_is_in_the_table() {
    let told: Vec<Cause> = table().into_iter().map(|(_, cause, _)| cause).collect();
    for cause in Cause::ALL {
        assert!(told.contains(cause), "{cause} is told by no line");
    }
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
    let causes: Vec<Cause> = judge(&findings).iter().map(|found| found.cause).collect();
    assert_eq!(
        causes,
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
