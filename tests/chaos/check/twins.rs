//! Of two processes of one machine, the older one stops.

use uuid::Uuid;

use super::rights::Turn;
use super::{Findings, Rule};
use crate::history::History;
use crate::troubles::Trouble;

/// Of one machine's processes, the second may begin when the first has ended, or has noticed.
pub(super) fn one_at_a_time(
    history: &History,
    session: Uuid,
    one: &Turn<'_>,
    other: &Turn<'_>,
    findings: &mut Findings,
) {
    if one.first.process == other.first.process {
        if one.last.at >= other.first.at {
            let what = format!("{session}: {:?} and then {:?}", other.first, one.last);
            findings.add(Rule::EpochsRise, what);
        }
        return;
    }
    let start = |turn: &Turn<'_>| {
        let of_process = history.processes.iter();
        let mut known = of_process.filter(|one| one.id.as_ref() == Some(&turn.first.process));
        known.next().map(|process| process.started)
    };
    let (older, younger) = if start(one) <= start(other) {
        (one, other)
    } else {
        (other, one)
    };
    let Some(began) = start(younger) else {
        let what = format!(
            "{session}: a process that nobody started: {:?}",
            younger.first
        );
        findings.add(Rule::OneProcessAMachine, what);
        return;
    };
    // What a process may do beside a younger one, it may do until it can have noticed.
    let settings = &history.settings;
    let machine = older.first.machine.as_str();
    let mut notices = began + settings.notices_a_twin_within();
    for interval in history.troubles.iter() {
        let concerns = interval.machine.as_deref().is_none_or(|one| one == machine);
        let keeps_it_from_noticing = matches!(
            interval.trouble,
            Trouble::Stopped | Trouble::NoDatabase | Trouble::Starting | Trouble::Cut
        );
        if concerns && keeps_it_from_noticing && interval.to > began && interval.from <= notices {
            notices = notices.max(interval.to + settings.notices_a_twin_within());
        }
    }
    let notices = notices + history.stalls.within(began, notices);
    if older.last.at > notices {
        let what = format!(
            "{session}: {:?}, although {:?} is the machine since {began:?} and that was to be \
             noticed by {notices:?}",
            older.last, younger.first.process
        );
        findings.add(Rule::OneProcessAMachine, what);
    }
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
            let younger = of_process(passed("d", 5, 20_500, 500), "D2");
            history
                .requests
                .extend([younger, passed("d", 5, last, 500)]);
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
    fn a_process_that_nobody_started_is_found() {
        breaks(OneProcessAMachine, |history| {
            let stranger = of_process(passed("d", 5, 13_300, 500), "X");
            history.requests.push(stranger);
        });
    }
}
