//! From all that was found to the one thing that is wrong: no IO, no clock, and an answer for
//! everything.

use super::{
    CheckState,
    cause::Cause,
    check::checks,
    checklist::checklist,
    findings::{Answer, Directory, Fault, FaultKind, Findings, Got, Kept, Meaning, SessionRow},
};
use crate::{MachineId, Presence};

mod owner;
#[cfg(test)]
mod tests;
mod way;
mod words;

pub(super) use words::seconds;

/// What is wrong, in a sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) cause: Cause,
    pub(super) sentence: String,
    pub(super) next_step: String,
}

impl Judgement {
    fn new(cause: Cause, sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            cause,
            sentence: sentence.into(),
            next_step: next_step.into(),
        }
    }
}

/// A query that takes longer, on a connection that is open already, is slow: the layer gives a
/// lookup two seconds in all, and a read by key takes milliseconds.
pub(super) const SLOW: u64 = 300;

/// What is wrong, gravest first; never empty.
pub(super) fn judge(findings: &Findings) -> Vec<Judgement> {
    let answered = match &findings.directory {
        Directory::NotAsked => return vec![malformed(findings)],
        Directory::Down { error } => return vec![down(error)],
        Directory::Late { error } => return vec![late(error)],
        Directory::Misfit { faults } => return misfit(faults),
        Directory::Answered(answered) => answered,
    };
    let mut found = Vec::new();
    // First: it explains what else is wrong.
    if let Kept::Partly(missing) = &answered.kept {
        found.push(Judgement::new(
            Cause::MigrationPartly,
            format!(
                "The ownership migration is applied only in part: there is no {}.",
                missing.join(", no ")
            ),
            "Apply it: `ownership migrate --run`. It may be applied again and again.",
        ));
    }
    match &answered.row {
        None => found.push(unknown(findings.got())),
        Some(row) => of_the_row(findings, row, &mut found),
    }
    if answered.milliseconds > SLOW {
        found.push(Judgement::new(
            Cause::DatabaseSlow,
            format!(
                "The database answers, and takes {} ms for one row by its key, which is slow.",
                answered.milliseconds
            ),
            "Look at its load and its locks, and whether the id column has an index; what the \
             layer cannot read within 2 s it refuses.",
        ));
    }
    if found.is_empty() {
        found.push(failed_check(findings).unwrap_or_else(|| fine(findings)));
    }
    found
}

fn of_the_row(findings: &Findings, row: &SessionRow, found: &mut Vec<Judgement>) {
    let owner = row.owner.as_deref();
    match (&row.meaning, owner) {
        (Meaning::Unusable(_), Some(owner)) if MachineId::parse(owner).is_err() => {
            found.push(Judgement::new(
                Cause::OwnerUnusable,
                format!(
                    "The row's owner is {owner:?}, which cannot be a machine id, so nobody can \
                     serve the session; it is not a database timing problem."
                ),
                "Have the orchestrator write the id that the machine itself reads (on Fly.io \
                 FLY_MACHINE_ID), or NULL where there is none.",
            ));
        }
        (Meaning::Unusable(why), _) => found.push(Judgement::new(
            Cause::RowUnusable,
            format!("The row is there and cannot be used: {why}."),
            "Mend the row, or tell the lookup what its words mean.",
        )),
        (Meaning::Over, _) => found.push(over(row)),
        (Meaning::Starting, Some(owner)) if row.presence == Presence::Lost => {
            let machine = findings.answered().and_then(|a| a.machine.as_ref());
            found.push(Judgement::new(
                Cause::OwnerLost,
                format!(
                    "The session is still being created, says its status{}, and the owner \
                     `{owner}`, which would finish that, {}.",
                    words::quoted(row.status.as_deref()),
                    owner::how_lost(machine)
                ),
                "Start the machine again, or have the orchestrator create the session anew; \
                 waiting does not help.",
            ));
        }
        (Meaning::Starting, _) => found.push(Judgement::new(
            Cause::SessionStarting,
            format!(
                "The session is still being created, says its status{}; until that changes, no \
                 machine serves it.",
                words::quoted(row.status.as_deref())
            ),
            "Wait; if it stays so, look at the orchestrator, which writes the status.",
        )),
        (Meaning::Active, None) => found.push(Judgement::new(
            Cause::SessionUnassigned,
            "The session is active and nobody owns it: the row's owner is NULL.",
            "Look at the orchestrator, which assigns machines; or let machines claim what nobody \
             owns (`OnUnassigned::Claim`).",
        )),
        (Meaning::Active, Some(owner)) => {
            owner::judge(findings, owner, found);
            way::judge(findings, owner, found);
        }
    }
}

fn malformed(findings: &Findings) -> Judgement {
    Judgement::new(
        Cause::SessionMalformed,
        format!("{:?} is not a session id.", findings.session),
        "Give a UUID, hyphenated or as 32 hexadecimal digits.",
    )
}

fn down(error: &str) -> Judgement {
    Judgement::new(
        Cause::DatabaseDown,
        format!("The database cannot be asked from here: {error}."),
        "Check the URL (`--database`, DATABASE_URL) and that the server runs; while it is down, \
         owners serve what they have read a moment ago, and everything else is refused.",
    )
}

fn late(error: &str) -> Judgement {
    Judgement::new(
        Cause::DatabaseSlow,
        format!("The database did not answer in time: {error}."),
        "Look at its load, its connections and its locks; the layer refuses what it cannot look \
         up.",
    )
}

fn misfit(faults: &[Fault]) -> Vec<Judgement> {
    let of_kind = |kind| faults.iter().filter(move |fault| fault.kind == kind);
    let mut found: Vec<Judgement> = Vec::new();
    for (kind, cause, step) in [
        (
            FaultKind::Table,
            Cause::TableMissing,
            "Name the table (`--table`, `--schema`), and check that this database and this user \
             are the right ones.",
        ),
        (
            FaultKind::Column,
            Cause::ColumnMissing,
            "Name the columns as they are (`--owner-column` and the like), or say that there is \
             none (`--without-address` and the like).",
        ),
        (
            FaultKind::Type,
            Cause::ColumnType,
            "Name another column, or change the column's type.",
        ),
        (
            FaultKind::Migration,
            Cause::MigrationPartly,
            "Apply the migration: `ownership migrate --run`.",
        ),
    ] {
        let texts: Vec<&str> = of_kind(kind).map(|fault| fault.text.as_str()).collect();
        if !texts.is_empty() {
            let sentence = format!(
                "Sessions are not stored as the lookup was told: {}.",
                texts.join("; ")
            );
            found.push(Judgement::new(cause, sentence, step));
        }
    }
    if found.is_empty() {
        // Faults of a kind that a later version of `verify` may find.
        found.push(Judgement::new(
            Cause::TableMissing,
            "Sessions are not stored as the lookup was told.",
            "Check the names of the table and its columns.",
        ));
    }
    found
}

fn unknown(got: Option<&Got>) -> Judgement {
    if let Some(got) = got.filter(|got| got.is_served()) {
        return Judgement::new(
            Cause::SessionUnknown,
            format!(
                "There is no row for this session, and yet something answered {}.",
                got.status
            ),
            "Check that this is the database that the machines read, and that the layer wraps \
             this path.",
        );
    }
    Judgement::new(
        Cause::SessionUnknown,
        "There is no row for this session: the database answered, and does not know it.",
        "Check the id, and that this is the database that the orchestrator writes to.",
    )
}

fn over(row: &SessionRow) -> Judgement {
    let why = match (row.remaining_seconds, row.status.as_deref()) {
        (Some(left), _) if left <= 0.0 => {
            format!("its time ran out, or it was ended, {} ago", seconds(-left))
        }
        (_, Some(status)) => format!("its status is {status:?}"),
        _ => "it was ended".to_owned(),
    };
    let next = match row.remaining_seconds {
        Some(left) if left <= 0.0 => {
            "Start another session; or, if it should still live, look at who writes its end."
        }
        _ => {
            "Start another session; or, if that status means that it lives, say so \
             (`--active-status`)."
        }
    };
    Judgement::new(
        Cause::SessionOver,
        format!("The session is over: {why}."),
        next,
    )
}

/// A check that found a problem which nothing above tells: with that, nothing is fine.
fn failed_check(findings: &Findings) -> Option<Judgement> {
    let mut checks = checks(findings).into_iter().chain(checklist(findings));
    let failed = checks.find(|check| check.state == CheckState::Problem)?;
    let served = match &findings.answer {
        Answer::Got(got) => format!("a request for it was answered {}", got.status),
        Answer::NotAsked | Answer::Failed { .. } => "no request was made".to_owned(),
    };
    Some(Judgement::new(
        Cause::CheckFailed,
        format!(
            "The row is fine, and {served}, and yet a check found a problem ({}, {}): {}.",
            failed.topic, failed.name, failed.text
        ),
        "See the lines above that are marked with `!!`: what they tell can fail other requests, or \
         the next one.",
    ))
}

fn fine(findings: &Findings) -> Judgement {
    let owner = findings.owner().unwrap_or_default();
    let served = match &findings.answer {
        Answer::Got(got) => format!("a request for it was answered {}", got.status),
        Answer::NotAsked | Answer::Failed { .. } => {
            "no request was made, for want of `--url`".to_owned()
        }
    };
    Judgement::new(
        Cause::Fine,
        format!(
            "Nothing is wrong: the row is fine, its owner is `{owner}`{}, and {served}.",
            words::presence(findings.presence())
        ),
        match findings.answer {
            Answer::Got(_) => "None.",
            _ => "Give the session's public `--url`, so that the way there is looked at, too.",
        },
    )
}
