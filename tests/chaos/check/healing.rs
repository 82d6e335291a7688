//! After the last fault all is well again within the bound.

use super::{Findings, Rule};
use crate::history::History;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let healing = &history.healing;
    let bound = history.settings.heals_within();
    if healing.sessions.is_empty() || healing.machines.len() < crate::plan::AT_LEAST {
        let what = "no check ran after the last fault".to_owned();
        findings.add(Rule::AllHeals, what);
    }
    for (session, served) in &healing.sessions {
        let in_time = served.is_some_and(|at| {
            let stalled = history.stalls.within(healing.from, at);
            at.since(healing.from) <= bound + stalled
        });
        if !in_time {
            let mut rows = history.rows.iter().filter(|row| row.session == *session);
            let row = rows.next_back();
            let what =
                format!("{session} was not served again within {bound:?}, but {served:?}: {row:?}");
            findings.add(Rule::AllHeals, what);
        }
    }
    for (machine, ready) in &healing.machines {
        let in_time = ready.is_some_and(|at| {
            let stalled = history.stalls.within(healing.from, at);
            at.since(healing.from) <= bound + stalled
        });
        if !in_time {
            let what = format!("{machine} was not ready again within {bound:?}, but {ready:?}");
            findings.add(Rule::AllHeals, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::stalls::Stalls;

    #[test]
    fn a_session_or_a_machine_that_does_not_come_back_in_time_is_found() {
        for late in [None, Some(At::ms(60_000))] {
            breaks(AllHeals, |history| {
                history.healing.sessions.insert(SESSION, late);
            });
            breaks(AllHeals, |history| {
                history.healing.machines.insert("c".to_owned(), late);
            });
        }
    }

    #[test]
    fn a_run_without_a_last_check_has_not_healed() {
        breaks(AllHeals, |history| history.healing.sessions.clear());
        breaks(AllHeals, |history| {
            history.healing.machines.pop_first();
        });
    }

    #[test]
    fn time_in_which_nothing_ran_is_not_the_fleets() {
        is_fine(|history| {
            history
                .healing
                .sessions
                .insert(SESSION, Some(At::ms(60_000)));
            history.stalls = Stalls::of(vec![(At::ms(15_000), At::ms(55_000))]);
        });
    }
}
