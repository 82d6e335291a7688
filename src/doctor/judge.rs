//! From all facts to what is wrong, gravest first. No IO, no clock.

use super::{
    Complaint,
    check::{CheckState, checks},
    checklist::checklist,
    facts::{Answer, Directory, Facts, Fault, Kept, Meaning, SessionRow},
    words::{SLOW, seconds},
};
use crate::{Finding, MachineId, OwnerStatus, postgres::SeenLock};

mod owned;
#[cfg(test)]
mod tests;

use owned::{Case, lost};

/// What is wrong, gravest first; never empty.
pub(super) fn judge(facts: &Facts) -> Vec<Complaint> {
    let from_here = |finding, error| Complaint::new(finding, &format!(" from here: {error}"));
    let answered = match &facts.directory {
        Directory::NotAsked { why } => {
            let evidence = format!(": {why}");
            return vec![Complaint::new(Finding::SessionMalformed, &evidence)];
        }
        Directory::Down { error } => return vec![from_here(Finding::DirectoryDown, error)],
        Directory::Refused { finding, error } => {
            return vec![Complaint::new(*finding, &format!(": {error}"))];
        }
        Directory::Locked { locks } => return vec![locked(locks)],
        Directory::Late { error } => {
            let evidence = format!(": {error}");
            return vec![Complaint::new(Finding::DirectorySlow, &evidence)];
        }
        Directory::Misfit { faults } => return misfit(faults),
        Directory::Answered(answered) => answered,
    };
    let mut found = Vec::new();
    // First: each explains what else is wrong.
    if !answered.locks.is_empty() {
        found.push(locked(&answered.locks));
    }
    let is_heard = matches!(
        facts.owner_status(),
        OwnerStatus::Alive | OwnerStatus::Draining | OwnerStatus::Unknown
    );
    // The user of an operator may have fewer rights than that of machines.
    if !answered.denied.is_empty() && !is_heard {
        let evidence = format!(": {}", answered.denied.join("; "));
        found.push(Complaint::new(Finding::DatabaseDenied, &evidence));
    }
    if let Kept::Partly(missing) = &answered.kept {
        let evidence = format!(": there is no {}", missing.join(", no "));
        found.push(Complaint::new(Finding::MigrationPartly, &evidence));
    }
    match &answered.row {
        None => found.push(Complaint::new(
            Finding::SessionUnknown,
            &match facts.got().filter(|got| got.is_served()) {
                Some(got) => format!(", and yet something answered {}", got.status),
                None => ": it answered, and there is no row".to_owned(),
            },
        )),
        Some(row) => of_the_row(facts, row, &mut found),
    }
    if answered.milliseconds > SLOW {
        let evidence = format!(": one row by its key took {} ms", answered.milliseconds);
        found.push(Complaint::new(Finding::DirectorySlow, &evidence));
    }
    if !answered.feed.is_empty() {
        let evidence = format!(": {}", answered.feed.join("; "));
        found.push(Complaint::new(Finding::NotifyTriggers, &evidence));
    }
    if found.is_empty() {
        found.push(fine(facts));
    }
    found
}

fn locked(locks: &[SeenLock]) -> Complaint {
    let locks: Vec<String> = locks.iter().map(ToString::to_string).collect();
    let evidence = format!(": {}", locks.join("; "));
    Complaint::new(Finding::DatabaseLocked, &evidence)
}

fn misfit(faults: &[Fault]) -> Vec<Complaint> {
    let mut found: Vec<Complaint> = Vec::new();
    for finding in [
        Finding::TableMissing,
        Finding::ColumnMissing,
        Finding::ColumnType,
        Finding::MigrationPartly,
    ] {
        let of_this = faults.iter().filter(|fault| fault.finding == finding);
        let texts: Vec<&str> = of_this.map(|fault| fault.text.as_str()).collect();
        if !texts.is_empty() {
            let evidence = format!(": {}", texts.join("; "));
            found.push(Complaint::new(finding, &evidence));
        }
    }
    if found.is_empty() {
        found.push(Complaint::new(Finding::TableMissing, ""));
    }
    found
}

fn of_the_row(facts: &Facts, row: &SessionRow, found: &mut Vec<Complaint>) {
    let status = row.status.as_deref();
    let word = status.map_or_else(String::new, |word| format!(": its status is {word:?}"));
    let owner = row.owner.as_deref();
    found.push(match (&row.meaning, owner) {
        (Meaning::Unusable(_), Some(owner)) if MachineId::parse(owner).is_err() => {
            Complaint::new(Finding::OwnerUnusable, &format!(": {owner:?}"))
        }
        (Meaning::Drifted(why), _) => {
            Complaint::new(Finding::OwnerWithoutEpoch, &format!(": {why}"))
        }
        (Meaning::Unusable(why), _) => Complaint::new(Finding::RowUnusable, &format!(": {why}")),
        (Meaning::Over, _) => Complaint::new(
            Finding::SessionOver,
            &match row.remaining_seconds {
                Some(left) if left <= 0.0 => {
                    format!(
                        ": its time ran out, or it was ended, {} ago",
                        seconds(-left)
                    )
                }
                _ => word,
            },
        ),
        (Meaning::Starting, Some(owner)) if row.presence == OwnerStatus::Lost => {
            let evidence = format!("{}, and would finish creating the session", lost(facts));
            Complaint::of_owner(Finding::OwnerLost, "", owner, &evidence)
        }
        (Meaning::Starting, _) => Complaint::new(Finding::SessionStarting, &word),
        (Meaning::Active, None) => {
            let how = match row.epoch {
                Some(0) => ", and it never had one",
                Some(_) if row.released => {
                    "; its last owner gave it up, and no machine has claimed it"
                }
                _ => "",
            };
            let evidence = format!(": the row's owner is NULL{how}");
            Complaint::new(Finding::SessionUnassigned, &evidence)
        }
        (Meaning::Active, Some(owner)) => {
            Case::judge(facts, owner, found);
            return;
        }
    });
}

/// Nothing is wrong, unless a check found a problem that nothing else tells.
fn fine(facts: &Facts) -> Complaint {
    let served = match &facts.answer {
        Answer::Got(got) => format!("a request for it was answered {}", got.status),
        _ => "no request was made, for want of `--url`".to_owned(),
    };
    let mut all = checks(facts).into_iter().chain(checklist(facts));
    if let Some(failed) = all.find(|check| check.state == CheckState::Problem) {
        let evidence = format!(
            " ({}, {}): {}; the row is fine, and {served}",
            failed.topic, failed.name, failed.text
        );
        return Complaint::new(Finding::CheckFailed, &evidence);
    }
    let presence = match facts.owner_status() {
        OwnerStatus::Unknown => "of whose presence nothing is kept".to_owned(),
        presence => format!("which is {}", presence.as_str()),
    };
    let owner = facts.owner().unwrap_or_default();
    let evidence = format!(": the row is fine, its owner is `{owner}`, {presence}, and {served}");
    let mut complaint = Complaint::new(Finding::Fine, &evidence);
    if !matches!(facts.answer, Answer::Got(_)) {
        complaint.next_step =
            "Give the session's public `--url`, so that the way there is looked at, too.";
    }
    complaint
}
