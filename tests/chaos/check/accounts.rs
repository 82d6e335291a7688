//! Every request is answered, or breaks for a known reason, in bounded time.

use std::time::Duration;

use super::{Findings, Rule};
use crate::history::{History, Outcome, ProcessEnd, Request};
use crate::troubles::Trouble;

/// What keeps a request waiting while it lasts.
const HOLDS_UP: [Trouble; 6] = [
    Trouble::Stopped,
    Trouble::Cut,
    Trouble::PeersCut,
    Trouble::NoDatabase,
    Trouble::Unwritable,
    Trouble::Unreadable,
];

pub(super) fn check(history: &History, findings: &mut Findings) {
    for request in &history.requests {
        let took = request.done.since(request.sent);
        let bound = bound(history, request);
        if took > bound {
            let what = format!("took {took:?}, more than {bound:?}: {request:?}");
            findings.add(Rule::NothingIsLost, what);
        }
        match &request.outcome {
            Outcome::Nothing => {
                findings.add(Rule::NothingIsLost, format!("no answer: {request:?}"));
            }
            Outcome::Broken(_) if !may_break(history, request) => {
                let what = format!("broke, and no process was killed: {request:?}");
                findings.add(Rule::NothingIsLost, what);
            }
            Outcome::Passed(pass) if request.way.last() != Some(&pass.machine) => {
                let what = format!("served by a machine that it did not come to: {request:?}");
                findings.add(Rule::NothingIsLost, what);
            }
            _ => {}
        }
    }
    if history.settings.forwards() && !history.requests.iter().any(is_carried) {
        let what = "no request was carried".to_owned();
        findings.add(Rule::NothingIsLost, what);
    }
    for process in &history.processes {
        let in_time = match process.end {
            ProcessEnd::Running | ProcessEnd::Killed => true,
            ProcessEnd::DidNotEnd | ProcessEnd::ByItself => false,
            ProcessEnd::Drained { status, took } => {
                let held_up =
                    history
                        .troubles
                        .within(&HOLDS_UP, process.ended - took, process.ended);
                let stalled = history.stalls.within(process.ended - took, process.ended);
                let settings = &history.settings;
                let drains = settings.drain + settings.linger + settings.slack;
                status == 0 && took <= drains + held_up + stalled
            }
        };
        if !in_time {
            findings.add(
                Rule::NothingIsLost,
                format!("did not end as it should: {process:?}"),
            );
        }
    }
}

/// Whether another machine served it than it came to.
fn is_carried(request: &Request) -> bool {
    matches!(request.outcome, Outcome::Passed(_)) && request.way.len() > 1
}

fn bound(history: &History, request: &Request) -> Duration {
    let held_up = history
        .troubles
        .within(&HOLDS_UP, request.sent, request.done);
    let stalled = history.stalls.within(request.sent, request.done);
    history.settings.answers_within() + held_up + stalled
}

/// An answer that has begun breaks when a machine on its way dies, and only then: the edge does not; or if
/// it is carried and the ways to the machine whose it is are cut.
fn may_break(history: &History, request: &Request) -> bool {
    // The edge knows which machine is gone; a request past the edge finds out by asking again.
    let after = if request.is_direct {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    };
    let machines: Vec<&str> = request.way.iter().map(String::as_str).collect();
    let during = (request.sent, request.done);
    let explains = |troubles: &[Trouble], machines: &[&str]| {
        let troubles_of = &history.troubles;
        troubles_of.explain(troubles, Some(machines), during, after)
    };
    let carried = machines.get(1..).unwrap_or_default();
    explains(
        &[Trouble::Dead, Trouble::Draining, Trouble::Twin],
        &machines,
    ) || explains(&[Trouble::PeersCut], carried)
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use super::*;
    use crate::clock::At;
    use crate::settings::Handover;

    #[test]
    fn a_request_without_an_answer_is_found() {
        breaks(NothingIsLost, |history| {
            history
                .requests
                .push(request(11_000, 12_000, "c", Outcome::Nothing));
        });
    }

    #[test]
    fn a_slow_request_is_found_unless_a_process_was_stopped_as_long() {
        let slow = |history: &mut History| {
            history.requests.last_mut().unwrap().done = At::ms(13_200 + 30_000);
        };
        breaks(NothingIsLost, slow);
        is_fine(|history| {
            slow(history);
            let stopped = (At::ms(14_000), At::ms(24_000));
            history
                .troubles
                .add(Trouble::Stopped, Some("c"), stopped.0, stopped.1);
        });
    }

    #[test]
    fn an_answer_may_break_with_its_machine_only() {
        breaks(NothingIsLost, |history| {
            let broken = Outcome::Broken("reset".to_owned());
            history.requests.push(request(6_000, 6_001, "c", broken));
        });
    }

    #[test]
    fn a_carried_answer_may_break_with_its_carrier_or_the_way_between() {
        let broke = |history: &mut History, trouble, machine: &str| {
            let broken = Outcome::Broken("reset".to_owned());
            let broken = request(11_000, 11_001, "c", broken);
            history.requests.push(carried("d", broken));
            let (from, to) = (At::ms(10_900), At::ms(11_500));
            history.troubles.add(trouble, Some(machine), from, to);
        };
        is_fine(|history| broke(history, Trouble::Dead, "d"));
        is_fine(|history| broke(history, Trouble::PeersCut, "c"));
        breaks(NothingIsLost, |history| {
            broke(history, Trouble::PeersCut, "d");
        });
        breaks(NothingIsLost, |history| broke(history, Trouble::Dead, "b"));
    }

    #[test]
    fn a_run_in_which_nothing_is_carried_shows_nothing() {
        breaks(NothingIsLost, |history| {
            history.settings.handover = Handover::Forward;
        });
    }

    #[test]
    fn an_answer_that_is_not_its_machines_is_found() {
        breaks(NothingIsLost, |history| {
            let mut served = passed("c", 4, 12_500, 400);
            served.way.push("d".to_owned());
            history.requests.push(served);
        });
    }

    #[test]
    fn a_machine_that_does_not_drain_in_time_or_ends_badly_is_found() {
        for end in [
            ProcessEnd::DidNotEnd,
            ProcessEnd::ByItself,
            drained(20_000),
            ProcessEnd::Drained {
                status: 101,
                took: Duration::ZERO,
            },
        ] {
            breaks(NothingIsLost, |history| history.processes[0].end = end);
        }
    }
}
