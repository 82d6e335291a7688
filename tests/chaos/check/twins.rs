//! Of two processes of one machine, the older one stops. That they do not serve a session at once
//! is checked with [`rights`](super::rights).

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::clock::At;
use crate::history::{History, Pass, Process};
use crate::troubles::Trouble;

/// What a process may do beside a younger one, it may do until it can have noticed that one,
/// whichever sessions the two serve.
pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut last: BTreeMap<&str, &Pass> = BTreeMap::new();
    for (_, pass) in history.passes().into_values().flatten() {
        let last = last.entry(&pass.process).or_insert(pass);
        if pass.was_proved() && pass.at > last.at {
            *last = pass;
        }
    }
    for (id, last) in last {
        let known = |process: &&Process| process.id.as_deref() == Some(id);
        let Some(process) = history.processes.iter().find(known) else {
            let what = format!("a process that was not started: {last:?}");
            findings.add(Rule::OneProcessAMachine, what);
            continue;
        };
        let younger = history
            .processes
            .iter()
            .filter(|other| other.machine == process.machine && other.started > process.started);
        for other in younger {
            let notices = notices(history, other);
            if last.at > notices {
                let what = format!("{last:?}, to be noticed by {notices:?}: {other:?}");
                findings.add(Rule::OneProcessAMachine, what);
            }
        }
    }
}

/// When the processes before this one have to have noticed it: by a beat that comes back.
fn notices(history: &History, younger: &Process) -> At {
    let within = history.settings.notices_a_twin_within();
    let began = younger.started;
    let mut notices = began + within;
    for interval in history.troubles.iter() {
        let concerns = interval
            .machine
            .as_ref()
            .is_none_or(|one| *one == younger.machine);
        let keeps_it_from_noticing = matches!(
            interval.trouble,
            Trouble::Stopped
                | Trouble::NoDatabase
                | Trouble::Unwritable
                | Trouble::Unreadable
                | Trouble::Starting
                | Trouble::Cut
                | Trouble::Standby
        );
        if concerns && keeps_it_from_noticing && interval.to > began && interval.from <= notices {
            notices = notices.max(interval.to + within);
        }
    }
    notices + history.stalls.within(began, notices)
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::history::{History, ProcessEnd};
    use crate::troubles::Trouble;

    /// A second process of `d` beside the first, which is noticed by 20,000 + `noticed`.
    fn twin(history: &mut History, started: u64) {
        let mut younger = process("d", started, u64::MAX, ProcessEnd::Running);
        younger.id = Some("D2".to_owned());
        history.processes.push(younger);
        let (from, to) = (At::ms(started), At::ms(started + 9_000));
        history.troubles.add(Trouble::Twin, Some("d"), from, to);
    }

    #[test]
    fn the_older_of_two_processes_may_serve_until_it_can_have_noticed() {
        let noticed = good().settings.notices_a_twin_within();
        let noticed = u64::try_from(noticed.as_millis()).unwrap();
        let both = |history: &mut History, last: u64| {
            twin(history, 20_000);
            history.requests.push(passed("d", 5, last, 500));
        };
        is_fine(|history| both(history, 20_000 + noticed));
        breaks(OneProcessAMachine, |history| {
            both(history, 20_001 + noticed);
        });
        // It was stopped meanwhile.
        is_fine(|history| {
            both(history, 30_000 + noticed);
            let stopped = (At::ms(19_900), At::ms(30_000));
            history
                .troubles
                .add(Trouble::Stopped, Some("d"), stopped.0, stopped.1);
        });
    }

    #[test]
    fn the_younger_of_two_processes_serves_when_the_older_can_prove_nothing_any_more() {
        let both = |history: &mut History, last: u64, first: u64| {
            twin(history, 20_000);
            let younger = of_process(passed("d", 5, first, 500), "D2");
            let older = passed("d", 5, last, 500);
            history.requests.extend([older, younger]);
        };
        is_fine(|history| both(history, 20_500, 21_000));
        breaks(OneProcessAMachine, |history| both(history, 20_501, 21_000));
        breaks(OneProcessAMachine, |history| both(history, 21_500, 21_000));
    }

    #[test]
    fn the_right_of_a_process_ends_with_it() {
        is_fine(|history| {
            history.requests.push(passed("d", 5, 20_500, 900));
            history.processes[3].ended = At::ms(20_700);
            history.processes[3].end = ProcessEnd::Killed;
            twin(history, 20_701);
            let younger = of_process(passed("d", 5, 20_900, 500), "D2");
            history.requests.push(younger);
        });
    }

    #[test]
    fn a_process_that_was_not_started_is_found() {
        breaks(OneProcessAMachine, |history| {
            let stranger = of_process(passed("d", 5, 13_300, 500), "X");
            history.requests.push(stranger);
        });
    }
}
