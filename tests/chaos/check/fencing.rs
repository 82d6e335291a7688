//! What is written by a lower epoch is never seen after what was written by a higher one.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Findings, Rule};
use crate::history::{History, Write};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    let mut last: BTreeMap<Uuid, &Write> = BTreeMap::new();
    let mut made: BTreeSet<(Uuid, u64, &str)> = BTreeSet::new();
    let mut writes: Vec<&Write> = history.writes.iter().collect();
    writes.sort_by_key(|write| write.number);
    for write in writes {
        made.insert((write.session, write.epoch, &write.writer));
        if let Some(before) = last.insert(write.session, write)
            && before.epoch > write.epoch
        {
            let what = format!("{before:?}, then {write:?}");
            findings.add(Rule::WritesAreFenced, what);
        }
        let rows = rows
            .get(&write.session)
            .map(Vec::as_slice)
            .unwrap_or_default();
        // Both are numbered while the session's row is locked.
        let row = rows.iter().rfind(|row| row.number < write.number);
        if row
            .is_none_or(|row| row.epoch != write.epoch || row.owner.as_ref() != Some(&write.writer))
        {
            findings.add(Rule::WritesAreFenced, format!("{write:?}, but {row:?}"));
        }
    }
    for (session, passes) in history.passes() {
        for (request, pass) in passes {
            match pass.written {
                Some(true) if !made.contains(&(session, pass.epoch, &pass.machine)) => {
                    let what = format!("{session}: nothing was written of {pass:?}");
                    findings.add(Rule::WritesAreFenced, what);
                }
                // It may be refused only because of a later epoch, which the answer came after.
                Some(false) => {
                    let rows = rows.get(&session).map(Vec::as_slice).unwrap_or_default();
                    let newer = rows.iter().find(|row| row.epoch > pass.epoch);
                    if newer.is_none_or(|row| row.committed > request.done) {
                        let what = format!("{session}: refused without a reason: {pass:?}");
                        findings.add(Rule::WritesAreFenced, what);
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;

    #[test]
    fn a_write_of_a_lower_epoch_after_one_of_a_higher_is_found() {
        breaks(WritesAreFenced, |history| {
            history.writes.push(write(3, "b", 42));
        });
    }

    #[test]
    fn a_write_after_the_epoch_is_found_without_a_second_writer() {
        breaks(WritesAreFenced, |history| {
            history.writes.push(write(4, "c", 51));
        });
        is_fine(|history| history.writes.push(write(4, "c", 49)));
    }

    #[test]
    fn a_write_of_another_than_the_epochs_owner_is_found() {
        breaks(WritesAreFenced, |history| {
            history.writes.push(write(4, "d", 42));
        });
        breaks(WritesAreFenced, |history| {
            history.writes.push(write(9, "d", 52));
        });
    }

    #[test]
    fn a_write_that_was_said_to_be_made_and_was_not_is_found() {
        breaks(WritesAreFenced, |history| {
            history.requests.push(wrote("d", 5, 13_300, 500, true));
        });
    }

    #[test]
    fn a_write_may_be_refused_by_a_later_epoch_alone() {
        is_fine(|history| history.requests.push(wrote("c", 4, 12_100, 500, false)));
        breaks(WritesAreFenced, |history| {
            history.requests.push(wrote("d", 5, 13_300, 500, false));
        });
    }
}
