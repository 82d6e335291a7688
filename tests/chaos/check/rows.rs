//! No machine serves on after the row has changed, or too soon after it has, by the database's clock.
//!
//! Sharper than to look for two who serve at once: what one does wrong is found although no
//! other one served at that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::history::{History, Pass, Row};
use crate::troubles::Trouble;

/// What a commit may be seen later by than its own time says: the server writes the time down,
/// then the log, and then lets others see it, and may be waiting for a core in between.
const UNSEEN: Duration = Duration::from_millis(250);

/// What two readings of clocks that move in ticks may differ by.
const TICK: Duration = Duration::from_millis(10);

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    for (session, passes) in history.passes() {
        let epochs = Epochs::of(rows.get(&session).map(Vec::as_slice).unwrap_or_default());
        for (_, pass) in passes {
            if pass.was_proved() {
                against_the_rows(history, session, pass, &epochs, findings);
            } else {
                late_ones_were_stopped(history, session, pass, &epochs, findings);
            }
        }
    }
}

/// A session's row at each epoch.
pub(super) struct Epochs<'a>(BTreeMap<u64, &'a Row>);

impl<'a> Epochs<'a> {
    pub(super) fn of(rows: &[&'a Row]) -> Self {
        Self(rows.iter().map(|row| (row.epoch, *row)).collect())
    }

    fn at(&self, epoch: u64) -> Option<&'a Row> {
        self.0.get(&epoch).copied()
    }

    /// Whether the epoch was ended by a release, with the proof that its owner had stopped.
    pub(super) fn was_released(&self, epoch: u64) -> bool {
        let next = self.at(epoch + 1);
        next.is_some_and(|row| row.released == Some(row.epoch))
    }
}

fn against_the_rows(
    history: &History,
    session: Uuid,
    pass: &Pass,
    epochs: &Epochs<'_>,
    findings: &mut Findings,
) {
    let f = history.settings.freshness;
    let Some(row) = epochs.at(pass.epoch) else {
        // `EpochsRise` says so.
        return;
    };
    let not_before = if waits(row) {
        row.committed + f
    } else {
        row.committed
    };
    if pass.at + TICK < not_before {
        let what = format!("{session}: {pass:?} not before {not_before:?}: {row:?}");
        findings.add(Rule::ServingWaits, what);
    }
    let Some(next) = epochs.at(pass.epoch + 1) else {
        return;
    };
    let seen = next.committed + history.doubt + UNSEEN;
    let seen = seen + history.stalls.within(next.committed, seen);
    let (ends, by) = if epochs.was_released(pass.epoch) {
        // It stopped before it sent the release.
        (pass.at, next.committed + history.doubt + TICK)
    } else {
        (pass.right_ends(), seen + f)
    };
    if ends > by {
        let what = format!("{session}: {pass:?} until {ends:?}, but only by {by:?}: {next:?}");
        findings.add(Rule::ServingEnds, what);
    }
}

/// Whether the previous owner may still be serving when this row is committed.
fn waits(row: &Row) -> bool {
    // The first owner comes at the first epoch.
    row.epoch > 1 && row.released != Some(row.epoch - 1)
}

/// A process that passes requests long after it may was stopped on the way there.
fn late_ones_were_stopped(
    history: &History,
    session: Uuid,
    pass: &Pass,
    epochs: &Epochs<'_>,
    findings: &mut Findings,
) {
    let Some(next) = epochs.at(pass.epoch + 1) else {
        return;
    };
    let by = next.committed + history.doubt + UNSEEN + history.settings.freshness;
    let was_stopped = history.troubles.explain(
        &[Trouble::Stopped],
        Some(&[&pass.machine]),
        (next.committed, pass.at),
        Duration::ZERO,
    );
    if !was_stopped && pass.at > by + history.stalls.within(next.committed, pass.at) {
        let what = format!("{session}: {pass:?}, and nothing had stopped it: {next:?}");
        findings.add(Rule::ServingEnds, what);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::history::History;
    use crate::troubles::Trouble;

    #[test]
    fn the_proof_of_another_release_proves_nothing() {
        breaks(ServingWaits, |history| {
            history.rows[3].released = Some(1);
        });
    }

    #[test]
    fn serving_after_ones_own_release_is_found() {
        breaks(ServingEnds, |history| {
            history.requests.push(passed("a", 1, 4_090, 900));
        });
    }

    #[test]
    fn serving_on_after_the_row_has_changed_is_found() {
        breaks(ServingEnds, |history| {
            history.requests.pop();
            history.requests.push(passed("c", 4, 13_200, 100));
        });
        is_fine(|history| {
            history.requests.pop();
            history.requests.push(passed("c", 4, 12_900, 150));
        });
    }

    #[test]
    fn serving_before_the_owner_before_is_known_to_have_stopped_is_found() {
        breaks(ServingWaits, |history| {
            history.requests.push(passed("c", 4, 9_900, 900));
        });
    }

    #[test]
    fn serving_before_the_row_says_so_is_found() {
        breaks(ServingWaits, |history| {
            history.requests.push(passed("a", 1, 1_900, 900));
        });
    }

    #[test]
    fn who_is_late_without_having_been_stopped_is_found() {
        let late = |history: &mut History| history.requests.push(passed("c", 4, 14_000, 0));
        breaks(ServingEnds, late);
        is_fine(|history| {
            late(history);
            let stopped = (At::ms(12_900), At::ms(13_990));
            let troubles = &mut history.troubles;
            troubles.add(Trouble::Stopped, Some("c"), stopped.0, stopped.1);
        });
    }
}
