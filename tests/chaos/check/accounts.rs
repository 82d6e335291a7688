//! Every request is answered, or breaks for a known reason, in bounded time.

use std::time::Duration;

use super::{Findings, Rule};
use crate::history::{History, Outcome, ProcessEnd, Request};
use crate::troubles::Trouble;

/// What keeps a request waiting while it lasts.
const HOLDS_UP: [Trouble; 5] = [
    Trouble::Stopped,
    Trouble::Cut,
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
            _ => {}
        }
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

fn bound(history: &History, request: &Request) -> Duration {
    let held_up = history
        .troubles
        .within(&HOLDS_UP, request.sent, request.done);
    let stalled = history.stalls.within(request.sent, request.done);
    history.settings.answers_within() + held_up + stalled
}

/// An answer that has begun breaks when its machine dies, and only then: the edge does not.
fn may_break(history: &History, request: &Request) -> bool {
    // The edge knows which machine is gone; a request past the edge finds out by asking again.
    let after = if request.is_direct {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    };
    let machines: Vec<&str> = request.way.iter().map(String::as_str).collect();
    history.troubles.explain(
        &[Trouble::Dead, Trouble::Draining, Trouble::Twin],
        Some(&machines),
        (request.sent, request.done),
        after,
    )
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use super::*;
    use crate::clock::At;

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
