//! A machine that drains gives up every session whose row is not locked.

use std::time::Duration;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::clock::At;
use crate::history::{History, Process, ProcessEnd, Row};
use crate::troubles::Trouble;

/// A row that has come so shortly before the drain may not be known to be there.
const RECENT: Duration = Duration::from_millis(500);

/// What keeps a machine from writing, whichever session it is.
const KEEPS_ONE: [Trouble; 5] = [
    Trouble::Stopped,
    Trouble::Cut,
    Trouble::Standby,
    Trouble::Starting,
    Trouble::Twin,
];

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    for process in &history.processes {
        let ProcessEnd::Drained { took, .. } = process.end else {
            continue;
        };
        let (began, ended) = (process.ended - took, process.ended);
        if could_not_write(history, process, began) {
            continue;
        }
        for (session, rows) in &rows {
            if let Some(kept) = kept(rows, process, began)
                && !was_locked(history, *session, began, ended)
            {
                let what = format!("{session}: {kept:?} after {process:?}");
                findings.add(Rule::DrainsGiveUp, what);
            }
        }
    }
}

/// The row by which the process owned the session, and still does at its end.
fn kept<'a>(rows: &[&'a Row], process: &Process, began: At) -> Option<&'a Row> {
    let before = |row: &&&Row| row.committed + RECENT <= began;
    let owned = rows.iter().rev().find(before)?;
    let is_owner = owned.owner.as_ref() == Some(&process.machine);
    let next = rows.iter().find(|row| row.number > owned.number);
    let is_kept = next.is_none_or(|next| next.committed > process.ended);
    (is_owner && is_kept).then_some(*owned)
}

fn could_not_write(history: &History, process: &Process, began: At) -> bool {
    let during = (began, process.ended);
    let recovers = history.settings.recovers_within();
    let troubles = &history.troubles;
    troubles.explain(&Trouble::SILENCES_ALL, None, during, recovers)
        || troubles.explain(&KEEPS_ONE, Some(&[&process.machine]), during, recovers)
        || history.stalls.within(began, process.ended) > history.settings.drain / 4
}

fn was_locked(history: &History, session: Uuid, began: At, ended: At) -> bool {
    history.troubles.explain_session(
        &[Trouble::RowsLocked, Trouble::RowsMove],
        session,
        (began, ended),
        Duration::ZERO,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use super::*;

    /// `d` drains, and keeps the session that it owns.
    fn keeps(history: &mut History) {
        history.processes[3] = process("d", 7_000, 30_000, drained(900));
        let (from, to) = (At::ms(29_100), At::ms(30_000));
        history.troubles.add(Trouble::Draining, Some("d"), from, to);
    }

    #[test]
    fn a_drain_that_keeps_a_session_is_found() {
        breaks(DrainsGiveUp, keeps);
        is_fine(|history| {
            keeps(history);
            history.rows.push(row(6, None, Some(6), 29_200));
        });
    }

    #[test]
    fn a_drain_may_keep_a_session_that_is_locked() {
        let locked = |history: &mut History, session: u128| {
            keeps(history);
            let (from, to) = (At::ms(29_000), At::ms(31_000));
            let sessions = [Uuid::from_u128(session)];
            let troubles = &mut history.troubles;
            troubles.add_of(Trouble::RowsLocked, &sessions, from, to);
        };
        is_fine(|history| locked(history, 1));
        breaks(DrainsGiveUp, |history| locked(history, 2));
    }

    #[test]
    fn a_drain_gives_up_nothing_without_a_database() {
        is_fine(|history| {
            keeps(history);
            let (from, to) = (At::ms(29_000), At::ms(31_000));
            history.troubles.add(Trouble::NoDatabase, None, from, to);
        });
    }
}
