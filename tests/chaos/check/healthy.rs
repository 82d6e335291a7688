//! No machine takes a session over whose owner was alive and could beat.
//!
//! An owner may be judged by its silence only while others are heard: an outage of the database,
//! however long, and a lock on its tables make all machines silent, and none of them lost.

use std::time::Duration;

use super::{Findings, Rule};
use crate::clock::At;
use crate::history::History;
use crate::troubles::Trouble;

/// How long a beat may be under way, on a busy host, until it counts.
const LATE: Duration = Duration::from_secs(1);

/// What keeps one machine from beating, and not the others.
const SILENCES_ONE: [Trouble; 5] = [
    Trouble::Stopped,
    Trouble::Cut,
    Trouble::Standby,
    Trouble::Dead,
    Trouble::Starting,
];

pub(super) fn check(history: &History, findings: &mut Findings) {
    for (session, rows) in history.rows_by_session() {
        for (before, taken) in rows.iter().zip(rows.iter().skip(1)) {
            let (Some(owner), Some(_)) = (&before.owner, &taken.owner) else {
                continue;
            };
            let is_taken = !taken.is_assigned && before.owner != taken.owner;
            if is_taken && !may_be_lost(history, owner, taken.committed) {
                let what = format!("{session}: {before:?} was alive, and then {taken:?}");
                findings.add(Rule::HealthyMachinesKeep, what);
            }
        }
    }
}

fn may_be_lost(history: &History, machine: &str, at: At) -> bool {
    let settings = &history.settings;
    let enough = settings
        .lost_after
        .saturating_sub(settings.beat)
        .saturating_sub(LATE);
    let stalled = history.stalls.within(at - settings.lost_after, at);
    if stalled >= enough || has_left(history, machine, at) {
        return true;
    }
    silences(history, machine).into_iter().any(|(from, to)| {
        // Its next beat may itself have to wait.
        let held_up = history.troubles.within(&Trouble::SILENCES_ALL, to, at);
        let until = to + settings.recovers_within() + held_up;
        from + enough <= at && at <= until + history.stalls.within(to, at)
    })
}

/// Whether it was draining, which ends with its leave, and no process of it has come since. One that is still
/// starting may not have registered.
fn has_left(history: &History, machine: &str, at: At) -> bool {
    let is_starting = history.troubles.iter().any(|interval| {
        interval.trouble == Trouble::Starting
            && interval.machine.as_deref() == Some(machine)
            && (interval.from..=interval.to).contains(&at)
    });
    let mut drains = history.troubles.iter().filter(|interval| {
        interval.trouble == Trouble::Draining
            && interval.machine.as_deref() == Some(machine)
            && interval.from <= at
    });
    drains.any(|drain| {
        let mut processes = history.processes.iter();
        is_starting
            || !processes.any(|process| {
                process.machine == machine && process.started > drain.from && process.started <= at
            })
    })
}

/// When it did not beat for reasons of its own, in order, and each as long as it was.
fn silences(history: &History, machine: &str) -> Vec<(At, At)> {
    let troubles = history.troubles.iter().filter(|interval| {
        interval.machine.as_deref() == Some(machine) && SILENCES_ONE.contains(&interval.trouble)
    });
    let mut silences: Vec<(At, At)> = troubles.map(|one| (one.from, one.to)).collect();
    let mut processes: Vec<_> = history
        .processes
        .iter()
        .filter(|process| process.machine == machine)
        .map(|process| (process.started, process.ended))
        .collect();
    processes.sort();
    let mut gone_since = At(0);
    for (started, ended) in processes {
        if started > gone_since {
            silences.push((gone_since, started));
        }
        gone_since = gone_since.max(ended);
    }
    silences.push((gone_since, At::NEVER));
    silences.sort();
    let mut apart: Vec<(At, At)> = Vec::new();
    for (from, to) in silences {
        match apart.last_mut() {
            // Between two that are so close it may not have come to beat.
            Some((_, end)) if *end + history.settings.recovers_within() >= from => {
                *end = (*end).max(to);
            }
            _ => apart.push((from, to)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::history::{History, ProcessEnd};
    use crate::troubles::Trouble;

    /// `e` takes the session from `d`, which owns it at that time.
    fn taken_from_d(history: &mut History) {
        history.rows.push(taken(6, "e", 30_000));
        let mut running = process("e", 0, u64::MAX, ProcessEnd::Running);
        running.id = Some("E".to_owned());
        history.processes.push(running);
    }

    fn after(trouble: Trouble, machine: Option<&str>, from: u64, to: u64) -> impl Fn(&mut History) {
        let machine = machine.map(ToOwned::to_owned);
        move |history| {
            taken_from_d(history);
            let (from, to) = (At::ms(from), At::ms(to));
            history.troubles.add(trouble, machine.as_deref(), from, to);
        }
    }

    #[test]
    fn a_session_of_a_healthy_machine_is_not_taken() {
        breaks(HealthyMachinesKeep, taken_from_d);
        is_fine(|history| {
            taken_from_d(history);
            history.rows.last_mut().unwrap().is_assigned = true;
        });
    }

    #[test]
    fn a_session_is_not_taken_after_an_outage() {
        for trouble in Trouble::SILENCES_ALL {
            breaks(HealthyMachinesKeep, after(trouble, None, 22_000, 29_900));
        }
    }

    #[test]
    fn a_session_of_a_machine_that_was_silent_alone_is_taken() {
        for trouble in [Trouble::Stopped, Trouble::Cut, Trouble::Standby] {
            is_fine(after(trouble, Some("d"), 25_000, 29_000));
            // For too short a time.
            breaks(
                HealthyMachinesKeep,
                after(trouble, Some("d"), 29_000, 29_900),
            );
            // Too long ago.
            breaks(
                HealthyMachinesKeep,
                after(trouble, Some("d"), 15_000, 20_000),
            );
            // Another machine.
            breaks(
                HealthyMachinesKeep,
                after(trouble, Some("c"), 25_000, 29_000),
            );
        }
    }

    #[test]
    fn a_session_of_a_machine_that_ended_is_taken() {
        is_fine(|history| {
            taken_from_d(history);
            history.processes[3] = process("d", 7_000, 25_000, ProcessEnd::Killed);
        });
        // It has just been killed.
        breaks(HealthyMachinesKeep, |history| {
            taken_from_d(history);
            history.processes[3] = process("d", 7_000, 29_000, ProcessEnd::Killed);
        });
    }

    #[test]
    fn a_session_of_a_machine_that_has_left_is_taken_at_once() {
        is_fine(|history| {
            after(Trouble::Draining, Some("d"), 29_000, 29_500)(history);
            history.processes[3] = process("d", 7_000, 29_500, drained(500));
            let (from, to) = (At::ms(29_000), At::ms(31_000));
            let troubles = &mut history.troubles;
            troubles.add_of(Trouble::RowsLocked, &[SESSION], from, to);
        });
    }
}
