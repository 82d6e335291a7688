//! What was looked at, point by point, for whoever wants to see how the diagnosis came about.

use serde::Serialize;

use super::{
    findings::{Answer, Answered, Directory, Findings, Kept, Meaning, PlatformMachine, SessionRow},
    judge::SLOW,
    seconds,
};
use crate::{MachineId, Presence};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is about: `directory`, `owner`, `platform`, `request` or `fly-replay`.
    pub topic: &'static str,
    /// What was looked at.
    pub name: &'static str,
    /// What came of it.
    pub state: CheckState,
    /// The same in words.
    pub text: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckState {
    /// It is as it should be.
    Fine,
    /// It is not.
    Problem,
    /// It is not known; the text says what it would take.
    Unknown,
}

impl Check {
    pub(super) fn new(
        topic: &'static str,
        name: &'static str,
        state: CheckState,
        text: impl Into<String>,
    ) -> Self {
        Self {
            topic,
            name,
            state,
            text: text.into(),
        }
    }
}

use CheckState::{Fine, Problem, Unknown};

const DIRECTORY: &str = "directory";
const OWNER: &str = "owner";
const PLATFORM: &str = "platform";
const REQUEST: &str = "request";

/// Everything but the checklist of replays.
pub(super) fn checks(findings: &Findings) -> Vec<Check> {
    let mut checks = Vec::new();
    of_directory(findings, &mut checks);
    if let Some(answered) = findings.answered() {
        if let Some(row) = &answered.row {
            of_row(row, answered, &mut checks);
        }
        if let Some(owner) = findings.owner() {
            checks.push(of_presence(findings, owner, answered));
        }
    }
    if findings.owner().is_some() {
        checks.push(of_platform(findings));
    }
    of_request(findings, &mut checks);
    checks
}

fn of_directory(findings: &Findings, checks: &mut Vec<Check>) {
    let mut push =
        |name, state, text: String| checks.push(Check::new(DIRECTORY, name, state, text));
    match &findings.directory {
        Directory::NotAsked => push(
            "session id",
            Problem,
            format!("{:?} is no UUID", findings.session),
        ),
        Directory::Down { error } => push("database", Unknown, error.clone()),
        Directory::Late { error } => push("database", Problem, error.clone()),
        Directory::Misfit { faults } => {
            for fault in faults {
                push("table", Problem, fault.text.clone());
            }
        }
        Directory::Answered(answered) => {
            let took = answered.milliseconds;
            let state = if took > SLOW { Problem } else { Fine };
            push("database", state, format!("answered in {took} ms"));
            match &answered.kept {
                Kept::Yes => push(
                    "ownership",
                    Fine,
                    "epochs and presence are kept here".to_owned(),
                ),
                Kept::No => push(
                    "ownership",
                    Unknown,
                    "the ownership migration is not applied, so neither epochs nor presence are \
                     known"
                        .to_owned(),
                ),
                Kept::Partly(missing) => {
                    push(
                        "ownership",
                        Problem,
                        format!("there is no {}", missing.join(", no ")),
                    );
                }
                Kept::Unknown => push(
                    "ownership",
                    Unknown,
                    "this directory does not tell whether epochs are kept".to_owned(),
                ),
            }
            for warning in &answered.warnings {
                push("table", Unknown, warning.clone());
            }
        }
    }
}

fn of_row(row: &SessionRow, answered: &Answered, checks: &mut Vec<Check>) {
    let mut push =
        |name, state, text: String| checks.push(Check::new(DIRECTORY, name, state, text));
    let word = row.status.as_deref();
    let word = word.map_or_else(
        || "no status is kept".to_owned(),
        |word| format!("{word:?}"),
    );
    match &row.meaning {
        Meaning::Active => push("status", Fine, format!("active ({word})")),
        Meaning::Starting => push("status", Problem, format!("being created ({word})")),
        Meaning::Over => push("status", Problem, format!("over ({word})")),
        Meaning::Unusable(why) => push("row", Problem, why.clone()),
    }
    match row.remaining_seconds {
        None => push("life", Fine, "without an end".to_owned()),
        Some(left) if left > 0.0 => push("life", Fine, format!("{} left", seconds(left))),
        Some(left) => push("life", Problem, format!("over since {}", seconds(-left))),
    }
    match row.owner.as_deref() {
        None => push("owner", Problem, "NULL: nobody owns the session".to_owned()),
        Some(owner) if MachineId::parse(owner).is_err() => {
            push("owner", Problem, format!("{owner:?} is no machine id"));
        }
        Some(owner) => push("owner", Fine, owner.to_owned()),
    }
    match (row.epoch, &answered.kept) {
        (Some(epoch), _) => push("epoch", Fine, epoch.to_string()),
        (None, Kept::Yes) => push("epoch", Problem, "NULL".to_owned()),
        (None, _) => push("epoch", Unknown, "none is kept".to_owned()),
    }
}

fn of_presence(findings: &Findings, owner: &str, answered: &Answered) -> Check {
    let (state, text) = match (findings.presence(), &answered.machine) {
        (Presence::Alive, Some(machine)) => (
            Fine,
            format!("alive: last seen {} ago", seconds(machine.beat_seconds_ago)),
        ),
        (Presence::Alive, None) => (Fine, "alive".to_owned()),
        (Presence::Draining, _) => (Problem, "draining: it gives its sessions up".to_owned()),
        (Presence::Silent, _) => (
            Problem,
            "silent: it does not beat, and no other machine did meanwhile".to_owned(),
        ),
        (Presence::Lost, Some(machine)) => (
            Problem,
            format!("lost since {}", seconds(machine.beat_seconds_ago)),
        ),
        (Presence::Lost, None) => (Problem, "lost".to_owned()),
        (Presence::NeverSeen, _) => (Problem, format!("{owner} was never seen")),
        _ => (
            Unknown,
            "no presence is kept, or no machine keeps it".to_owned(),
        ),
    };
    Check::new(OWNER, "presence", state, text)
}

fn of_platform(findings: &Findings) -> Check {
    let in_region = |region: &Option<String>| {
        region
            .as_deref()
            .map_or_else(String::new, |region| format!(" in {region}"))
    };
    // The request may have started it since.
    let stopped = if findings.is_served_in_its_place() {
        Unknown
    } else {
        Problem
    };
    let (state, text) = match &findings.platform.machine {
        PlatformMachine::NotAsked => (
            Unknown,
            "not asked: it takes FLY_API_TOKEN and --app".to_owned(),
        ),
        PlatformMachine::NotAnswered { why } => (Unknown, why.clone()),
        PlatformMachine::Gone => (Problem, "no such machine (machines-api)".to_owned()),
        PlatformMachine::Known { word, region, .. } => {
            let state = if word == "started" { Fine } else { stopped };
            (state, format!("{word}{} (machines-api)", in_region(region)))
        }
    };
    Check::new(PLATFORM, "machine", state, text)
}

fn of_request(findings: &Findings, checks: &mut Vec<Check>) {
    let got = match &findings.answer {
        Answer::NotAsked => {
            checks.push(Check::new(
                REQUEST,
                "answer",
                Unknown,
                "not made: it takes the session's public --url",
            ));
            return;
        }
        Answer::Failed { url, error, .. } => {
            let text = format!("{url}: {error}");
            checks.push(Check::new(REQUEST, "answer", Problem, text));
            return;
        }
        Answer::Got(got) => got,
    };
    let code = got
        .code
        .as_deref()
        .map_or_else(String::new, |code| format!(", Ownership-Code: {code}"));
    let state = if got.is_served() { Fine } else { Problem };
    let text = format!("{}{code}, in {} ms", got.status, got.milliseconds);
    checks.push(Check::new(REQUEST, "answer", state, text));
    let (state, text) = match got.machine.as_deref() {
        Some(machine) if findings.served_elsewhere().is_some() => {
            (Problem, format!("{machine}, which is not the owner"))
        }
        Some(machine) => (Fine, machine.to_owned()),
        None => (
            Unknown,
            "a machine that did not say its name (it would with `show_internals(true)`)".to_owned(),
        ),
    };
    checks.push(Check::new(REQUEST, "handled by", state, text));
    let hops = if let Some(last) = got.redirects.last() {
        match got.redirects.len() {
            1 => format!("a redirect to {last}"),
            more => format!("{more} redirects, the last to {last}"),
        }
    } else if got.hops.is_empty() {
        let through = got.via.iter().filter(|via| via.contains("fly.io")).count();
        match through {
            0 => "no header tells".to_owned(),
            1 => "one delivery, by `via`".to_owned(),
            more => format!("{more} deliveries, by `via`"),
        }
    } else {
        got.hops.join(" -> ")
    };
    let state = if hops == "no header tells" {
        Unknown
    } else {
        Fine
    };
    checks.push(Check::new(REQUEST, "hops", state, hops));
}
