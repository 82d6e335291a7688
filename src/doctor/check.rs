//! What was looked at, point by point: the evidence of a diagnosis.

use serde::Serialize;

use super::{
    facts::{Answer, Answered, Directory, Facts, Got, Kept, Meaning, PlatformMachine, SessionRow},
    words::{SLOW, seconds},
};
use crate::{MachineId, OwnerStatus};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is about: `directory`, `owner`, `platform`, `request` or `fly-replay`.
    pub topic: &'static str,
    /// What was looked at.
    pub name: &'static str,
    /// The result.
    pub state: CheckState,
    /// The result in words.
    pub text: String,
}

/// The result of a check.
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

use CheckState::{Fine, Problem, Unknown};

/// The checks of one topic.
pub(super) struct Topic<'a>(pub(super) &'static str, pub(super) &'a mut Vec<Check>);

impl Topic<'_> {
    pub(super) fn add(&mut self, name: &'static str, state: CheckState, text: impl Into<String>) {
        self.1.push(Check {
            topic: self.0,
            name,
            state,
            text: text.into(),
        });
    }
}

/// Everything but the checklist of replays.
pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut directory = Topic("directory", &mut checks);
    of_directory(facts, &mut directory);
    if let Some(answered) = facts.answered() {
        if let Some(row) = &answered.row {
            of_row(row, answered, &mut directory);
        }
        if let Some(owner) = facts.owner() {
            let (state, text) = presence(facts, owner, answered);
            Topic("owner", &mut checks).add("presence", state, text);
            let (state, text) = platform(facts);
            Topic("platform", &mut checks).add("machine", state, text);
        }
    }
    let mut request = Topic("request", &mut checks);
    match &facts.answer {
        Answer::NotAsked => request.add(
            "answer",
            Unknown,
            "not made: it takes the session's public --url",
        ),
        Answer::Failed { url, error, .. } => {
            request.add("answer", Problem, format!("{url}: {error}"));
        }
        Answer::Got(got) => of_answer(facts, got, &mut request),
    }
    checks
}

fn of_directory(facts: &Facts, checks: &mut Topic<'_>) {
    let answered = match &facts.directory {
        Directory::NotAsked { why } => return checks.add("session id", Problem, why),
        Directory::Down { error } => return checks.add("database", Unknown, error),
        Directory::Late { error } | Directory::Refused { error, .. } => {
            return checks.add("database", Problem, error);
        }
        Directory::Locked { locks } => {
            for lock in locks {
                checks.add("locks", Problem, lock.to_string());
            }
            return;
        }
        Directory::Misfit { faults } => {
            for fault in faults {
                checks.add("table", Problem, &fault.text);
            }
            return;
        }
        Directory::Answered(answered) => answered,
    };
    let took = answered.milliseconds;
    let state = if took > SLOW { Problem } else { Fine };
    checks.add("database", state, format!("answered in {took} ms"));
    let (state, text) = match &answered.kept {
        Kept::Yes => (Fine, "epochs and presence are kept here".to_owned()),
        Kept::No => (
            Unknown,
            "the ownership migration is not applied, so neither epochs nor presence are known"
                .to_owned(),
        ),
        Kept::Partly(missing) => (Problem, format!("there is no {}", missing.join(", no "))),
        Kept::Unknown => (
            Unknown,
            "this directory does not tell whether epochs are kept".to_owned(),
        ),
    };
    checks.add("ownership", state, text);
    for lock in &answered.locks {
        checks.add("locks", Problem, lock.to_string());
    }
    for missing in &answered.feed {
        checks.add("feed", Problem, missing);
    }
    for warning in &answered.warnings {
        checks.add("table", Unknown, warning);
    }
}

fn of_row(row: &SessionRow, answered: &Answered, checks: &mut Topic<'_>) {
    let word = match &row.status {
        Some(word) => format!("{word:?}"),
        None => "no status is kept".to_owned(),
    };
    match &row.meaning {
        Meaning::Active => checks.add("status", Fine, format!("active ({word})")),
        Meaning::Starting => checks.add("status", Problem, format!("being created ({word})")),
        Meaning::Over => checks.add("status", Problem, format!("over ({word})")),
        Meaning::Drifted(why) | Meaning::Unusable(why) => checks.add("row", Problem, why),
    }
    match row.remaining_seconds {
        None => checks.add("life", Fine, "without an end"),
        Some(left) if left > 0.0 => checks.add("life", Fine, format!("{} left", seconds(left))),
        Some(left) => checks.add("life", Problem, format!("ended {} ago", seconds(-left))),
    }
    match row.owner.as_deref() {
        None => checks.add("owner", Problem, "NULL: the session has no owner"),
        Some(owner) if MachineId::parse(owner).is_err() => {
            checks.add("owner", Problem, format!("{owner:?} is no machine id"));
        }
        Some(owner) => checks.add("owner", Fine, owner),
    }
    match (row.epoch, &answered.kept) {
        (Some(epoch), _) => checks.add("epoch", Fine, epoch.to_string()),
        (None, Kept::Yes) => checks.add("epoch", Problem, "NULL"),
        (None, _) => checks.add("epoch", Unknown, "none is kept"),
    }
}

fn presence(facts: &Facts, owner: &str, answered: &Answered) -> (CheckState, String) {
    let seen = answered.machine.as_ref().map_or_else(String::new, |seen| {
        format!(": last seen {} ago", seconds(seen.beat_seconds_ago))
    });
    match facts.owner_status() {
        OwnerStatus::Alive => (Fine, format!("alive{seen}")),
        OwnerStatus::Lost => (Problem, format!("lost{seen}")),
        OwnerStatus::NeverSeen => (Problem, format!("{owner} was never seen")),
        OwnerStatus::Draining => (Problem, "draining: it gives its sessions up".to_owned()),
        OwnerStatus::Silent => (
            Problem,
            "silent: it sends no heartbeats, and no other machine did meanwhile".to_owned(),
        ),
        _ => (
            Unknown,
            "no presence is kept, or no machine keeps it".to_owned(),
        ),
    }
}

fn platform(facts: &Facts) -> (CheckState, String) {
    match &facts.platform.machine {
        PlatformMachine::NotAsked => (
            Unknown,
            "not asked: it takes FLY_API_TOKEN and --app".to_owned(),
        ),
        PlatformMachine::NotAnswered { why } => (Unknown, why.clone()),
        PlatformMachine::Gone => (Problem, "no such machine (machines-api)".to_owned()),
        PlatformMachine::Known { word, region, .. } => {
            let state = match &**word {
                "started" => Fine,
                // The request may have started it since.
                _ if facts.is_served_in_its_place() => Unknown,
                _ => Problem,
            };
            let region = region.as_ref().map(|region| format!(" in {region}"));
            let region = region.unwrap_or_default();
            (state, format!("{word}{region} (machines-api)"))
        }
    }
}

fn of_answer(facts: &Facts, got: &Got, checks: &mut Topic<'_>) {
    let code = got.code.as_ref();
    let code = code.map_or_else(String::new, |code| format!(", Ownership-Code: {code}"));
    let state = if got.is_served() { Fine } else { Problem };
    let text = format!("{}{code}, in {} ms", got.status, got.milliseconds);
    checks.add("answer", state, text);
    let name = "handled by";
    match got.machine.as_deref() {
        Some(machine) if facts.served_elsewhere().is_some() => {
            checks.add(name, Problem, format!("{machine}, which is not the owner"));
        }
        Some(machine) => checks.add(name, Fine, machine),
        None => checks.add(
            name,
            Unknown,
            "a machine that did not say its name (it would with `expose_internals(true)`)",
        ),
    }
    let through = got.via.iter().filter(|via| via.contains("fly.io")).count();
    let (state, text) = match (got.redirects.as_slice(), through) {
        ([only], _) => (Fine, format!("a redirect to {only}")),
        ([.., last], _) => {
            let count = got.redirects.len();
            (Fine, format!("{count} redirects, the last to {last}"))
        }
        _ if !got.hops.is_empty() => (Fine, got.hops.join(" -> ")),
        (_, 0) => (Unknown, "no header tells".to_owned()),
        (_, 1) => (Fine, "one delivery, by `via`".to_owned()),
        (_, more) => (Fine, format!("{more} deliveries, by `via`")),
    };
    checks.add("hops", state, text);
}
