//! A small run in which all is as it should be, for the rules' own tests to spoil.
//!
//! One session. `a` claims it and gives it up in a drain; `b` has it, and is killed; `c` takes it
//! over, and a plain UPDATE gives it to `d`. Times are in ms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::{Rule, check};
use crate::client::Layer;
use crate::clock::At;
use crate::history::{
    Healing, History, Kind, Outcome, Pass, Process, ProcessEnd, Request, Row, Sample, Write,
};
use crate::settings::Settings;
use crate::stalls::Stalls;
use crate::stream::{Stream, StreamEnd, StreamKind};
use crate::troubles::{Trouble, Troubles};

pub const SESSION: Uuid = Uuid::from_u128(1);

/// The rules that a history breaks.
pub fn broken(history: &History) -> BTreeSet<Rule> {
    check(history).iter().map(|found| found.rule).collect()
}

/// Spoils the good run, and asserts that exactly this rule is found to be broken.
#[track_caller]
pub fn breaks(rule: Rule, spoil: impl FnOnce(&mut History)) {
    breaks_all(&[rule], spoil);
}

/// The same, for what breaks several.
#[track_caller]
pub fn breaks_all(rules: &[Rule], spoil: impl FnOnce(&mut History)) {
    let mut history = good();
    spoil(&mut history);
    let found = check(&history);
    let broken: BTreeSet<Rule> = found.iter().map(|found| found.rule).collect();
    assert_eq!(
        broken,
        rules.iter().copied().collect::<BTreeSet<_>>(),
        "{found:#?}"
    );
}

/// Changes the good run, and asserts that it is none the worse.
#[track_caller]
pub fn is_fine(change: impl FnOnce(&mut History)) {
    breaks_all(&[], change);
}

pub fn good() -> History {
    let mut troubles = Troubles::default();
    let mut trouble = |what, machine: &str, from, to| {
        troubles.add(what, Some(machine), At::ms(from), At::ms(to));
    };
    trouble(Trouble::Draining, "a", 4_000, 4_900);
    trouble(Trouble::Dead, "b", 6_000, 6_500);
    History {
        settings: Settings::new(0, Duration::from_secs(20)),
        requests: vec![
            passed("a", 1, 2_100, 900),
            wrote("a", 1, 3_000, 950, true),
            refused("a", 4_050, 503, "session-moving"),
            wrote("b", 3, 4_150, 900, true),
            passed("b", 3, 5_500, 700),
            request(6_000, 6_001, "b", Outcome::Broken("reset".to_owned())),
            request(6_100, 6_101, "b", Outcome::Edge { status: 502 }),
            refused("c", 7_000, 503, "owner-unreachable"),
            refused("c", 9_100, 503, "session-moving"),
            wrote("c", 4, 10_100, 900, true),
            passed("c", 4, 12_000, 500),
            passed("c", 4, 12_800, 100),
            passed("d", 5, 13_200, 900),
        ],
        streams: vec![Stream {
            session: SESSION,
            kind: StreamKind::Events,
            machine: "c".to_owned(),
            carrier: None,
            opened: At::ms(11_000),
            heard: At::ms(12_100),
            ended: At::ms(12_110),
            end: StreamEnd::Farewell("moved".to_owned()),
        }],
        rows: vec![
            row(0, None, None, 1_000),
            row(1, Some("a"), None, 2_000),
            row(2, None, Some(2), 4_000),
            row(3, Some("b"), Some(2), 4_100),
            taken(4, "c", 9_000),
            row(5, Some("d"), None, 12_000),
        ],
        writes: vec![write(1, "a", 11), write(3, "b", 31), write(4, "c", 41)],
        samples: vec![sample(1, 3_000), sample(3, 5_000), sample(4, 10_000)],
        processes: vec![
            process("a", 0, 4_900, drained(900)),
            process("b", 0, 6_010, ProcessEnd::Killed),
            process("c", 0, u64::MAX, ProcessEnd::Running),
            process("d", 7_000, u64::MAX, ProcessEnd::Running),
        ],
        troubles,
        healing: Healing {
            from: At::ms(14_000),
            sessions: BTreeMap::from([(SESSION, Some(At::ms(15_000)))]),
            machines: ["c", "d", "e", "f"]
                .map(|name| (name.to_owned(), Some(At::ms(14_100))))
                .into(),
        },
        stalls: Stalls::default(),
        doubt: Duration::ZERO,
    }
}

pub fn request(sent: u64, done: u64, machine: &str, outcome: Outcome) -> Request {
    Request {
        session: SESSION,
        kind: Kind::Read,
        is_direct: false,
        layer: Layer::ByPath,
        sent: At::ms(sent),
        done: At::ms(done),
        outcome,
        way: vec![machine.to_owned()],
        edge_error: None,
    }
}

pub fn passed(machine: &str, epoch: u64, at: u64, proved_ms: u64) -> Request {
    let pass = Pass {
        machine: machine.to_owned(),
        process: machine.to_uppercase(),
        epoch,
        at: At::ms(at),
        proved_for: Duration::from_millis(proved_ms),
        written: None,
    };
    request(at - 1, at + 1, machine, Outcome::Passed(pass))
}

/// The same, carried by another machine.
pub fn carried(by: &str, mut request: Request) -> Request {
    request.way.insert(0, by.to_owned());
    request
}

pub fn wrote(machine: &str, epoch: u64, at: u64, proved_ms: u64, written: bool) -> Request {
    let mut request = passed(machine, epoch, at, proved_ms);
    request.kind = Kind::Write;
    if let Outcome::Passed(pass) = &mut request.outcome {
        pass.written = Some(written);
    }
    request
}

pub fn refused(machine: &str, at: u64, status: u16, code: &str) -> Request {
    let code = code.to_owned();
    request(at, at + 1, machine, Outcome::Refused { status, code })
}

pub fn row(epoch: u64, owner: Option<&str>, released: Option<u64>, at: u64) -> Row {
    Row {
        session: SESSION,
        epoch,
        owner: owner.map(ToOwned::to_owned),
        is_assigned: true,
        released,
        committed: At::ms(at),
        number: i64::try_from(epoch * 10).unwrap(),
    }
}

/// The row of a machine that took the session over.
pub fn taken(epoch: u64, owner: &str, committed: u64) -> Row {
    Row {
        is_assigned: false,
        ..row(epoch, Some(owner), None, committed)
    }
}

pub fn write(epoch: u64, writer: &str, number: i64) -> Write {
    Write {
        session: SESSION,
        epoch,
        writer: writer.to_owned(),
        number,
    }
}

pub fn sample(epoch: u64, at: u64) -> Sample {
    Sample {
        session: SESSION,
        epoch,
        from: At::ms(at),
        to: At::ms(at + 5),
    }
}

pub fn process(machine: &str, started: u64, ended: u64, end: ProcessEnd) -> Process {
    let at = |ms| {
        if ms == u64::MAX {
            At::NEVER
        } else {
            At::ms(ms)
        }
    };
    Process {
        machine: machine.to_owned(),
        id: Some(machine.to_uppercase()),
        started: at(started),
        ended: at(ended),
        end,
    }
}

pub fn drained(took_ms: u64) -> ProcessEnd {
    let took = Duration::from_millis(took_ms);
    ProcessEnd::Drained { status: 0, took }
}

/// Lets another process of the machine pass a request.
pub fn of_process(mut request: Request, process: &str) -> Request {
    if let Outcome::Passed(pass) = &mut request.outcome {
        process.clone_into(&mut pass.process);
    }
    request
}

#[test]
fn a_run_as_it_should_be_breaks_no_rule() {
    assert_eq!(broken(&good()), BTreeSet::new());
}
