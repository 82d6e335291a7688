//! A session's epoch never falls, wherever it is seen, and each epoch has one owner.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::history::{History, Row, Sample};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    for (session, rows) in &rows {
        in_the_rows(*session, rows, findings);
    }
    let none = Vec::new();
    for (session, passes) in history.passes() {
        let rows = rows.get(&session).unwrap_or(&none);
        for (_, pass) in passes {
            let row = rows.iter().find(|row| row.epoch == pass.epoch);
            match row {
                None => {
                    let what = format!("{session}: no row was ever at the epoch of {pass:?}");
                    findings.add(Rule::EpochsRise, what);
                }
                Some(row) if row.owner.as_ref() != Some(&pass.machine) => {
                    let what = format!("{session}: {pass:?}, but {row:?}");
                    findings.add(Rule::EpochsRise, what);
                }
                Some(_) => {}
            }
        }
    }
    in_the_samples(&history.samples, &rows, findings);
}

fn in_the_rows(session: Uuid, rows: &[&Row], findings: &mut Findings) {
    for (before, after) in rows.iter().zip(rows.iter().skip(1)) {
        let changed = before.owner != after.owner;
        if after.epoch != before.epoch + u64::from(changed) {
            let what = format!("{session}: {before:?}, then {after:?}");
            findings.add(Rule::EpochsRise, what);
        }
    }
}

/// A sample may be older than one that was asked for later only if they were asked for at once.
fn in_the_samples(samples: &[Sample], rows: &BTreeMap<Uuid, Vec<&Row>>, findings: &mut Findings) {
    let mut last: BTreeMap<Uuid, Sample> = BTreeMap::new();
    for sample in samples {
        if let Some(before) = last.get(&sample.session)
            && before.to < sample.from
            && before.epoch > sample.epoch
        {
            findings.add(Rule::EpochsRise, format!("{before:?}, then {sample:?}"));
        }
        let rows = rows
            .get(&sample.session)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if !rows.iter().any(|row| row.epoch == sample.epoch) {
            let what = format!("the database knows nothing any more of {sample:?}");
            findings.add(Rule::EpochsRise, what);
        }
        last.insert(sample.session, *sample);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::history::History;

    #[test]
    fn a_row_whose_epoch_falls_or_jumps_or_stays_is_found() {
        let next = |history: &mut History, epoch| {
            let mut last = row(epoch, Some("a"), None, 14_000);
            last.number = 60;
            history.rows.push(last);
        };
        breaks(EpochsRise, |history| next(history, 7));
        breaks(EpochsRise, |history| next(history, 0));
        // It is the very row by which a machine served.
        breaks_all(&[EpochsRise, ServingWaits], |history| {
            next(history, 5);
        });
        is_fine(|history| history.rows.push(row(6, Some("a"), None, 14_000)));
    }

    #[test]
    fn an_epoch_that_changes_without_its_owner_is_found() {
        breaks(EpochsRise, |history| {
            history.rows.push(row(6, Some("d"), None, 14_000));
        });
    }

    #[test]
    fn a_request_served_at_an_epoch_that_never_was_is_found() {
        breaks(EpochsRise, |history| {
            history.requests.push(passed("d", 8, 13_500, 500));
        });
    }

    #[test]
    fn a_request_served_by_another_than_the_owner_is_found() {
        breaks_all(&[EpochsRise, OneOwnerAtATime], |history| {
            history.requests.push(passed("b", 5, 13_100, 500));
        });
    }

    #[test]
    fn a_commit_that_was_seen_and_is_lost_is_found() {
        breaks(EpochsRise, |history| {
            history.samples.push(sample(6, 14_000));
        });
        breaks(EpochsRise, |history| {
            history.samples.push(sample(3, 14_000));
        });
        // Two who ask at once may be answered in either order.
        is_fine(|history| {
            let mut slow = sample(3, 14_000);
            slow.from = At::ms(10_000);
            history.samples.push(slow);
        });
    }
}
