use super::super::Rule::*;
use super::super::sample::*;
use super::*;
use crate::client::Layer;
use crate::history::ProcessEnd;
use crate::settings::Handover;

/// When everything has long been quiet.
const LATER: u64 = 60_000;

#[test]
fn whatever_is_not_listed_is_found() {
    for (status, code) in [
        (404, "session-unknown"),
        (410, "session-over"),
        (502, "directory-corrupt"),
        (413, "not-replayable"),
        (409, "replay-not-honoured"),
        (500, "session-moving"),
    ] {
        breaks(RefusalsHaveReasons, |history| {
            history.requests.push(refused("d", 12_100, status, code));
        });
    }
}

#[test]
fn every_listed_refusal_without_a_reason_is_found() {
    for (code, status) in LISTED {
        breaks(RefusalsHaveReasons, |history| {
            history.requests.push(refused("d", LATER, status, code));
        });
    }
}

#[test]
fn every_listed_refusal_has_reasons_that_count() {
    for (code, trouble, machine) in [
        ("session-moving", Draining, "d"),
        ("owner-lost", Stopped, "d"),
        ("owner-unreachable", Dead, "d"),
        ("owner-never-seen", Ahead, "d"),
        ("lookup-unavailable", Cut, "c"),
        ("session-starting", Starting, "d"),
        ("duplicate-identity", Twin, "d"),
    ] {
        let from = |machine: &str| {
            let mut request = refused("c", LATER, 503, code);
            request.way.push("d".to_owned());
            let machine = machine.to_owned();
            move |history: &mut History| {
                history.requests.push(request);
                let (from, to) = (At::ms(LATER - 5_000), At::ms(LATER - 3_500));
                history.troubles.add(trouble, Some(&machine), from, to);
            }
        };
        is_fine(from(machine));
        // Another machine's trouble is no reason.
        breaks(RefusalsHaveReasons, from("e"));
    }
}

#[test]
fn an_owner_that_is_no_more_is_lost_for_as_long_as_it_is_the_owner() {
    let lost = |history: &mut History| {
        history
            .requests
            .push(refused("c", LATER, 503, "owner-lost"));
    };
    breaks(RefusalsHaveReasons, lost);
    is_fine(|history| {
        lost(history);
        history.processes[3] = process("d", 7_000, 13_500, ProcessEnd::Killed);
    });
}

#[test]
fn a_healthy_owner_is_not_lost_after_an_outage() {
    breaks(RefusalsHaveReasons, |history| {
        let lost = refused("c", LATER, 503, "owner-lost");
        history.requests.push(lost);
        let outage = (At::ms(LATER - 5_000), At::ms(LATER - 500));
        history.troubles.add(NoDatabase, None, outage.0, outage.1);
    });
}

#[test]
fn a_dead_owner_is_found_later_after_an_outage() {
    let unreachable = |history: &mut History| {
        let unreachable = refused("c", LATER, 503, "owner-unreachable");
        history.requests.push(unreachable);
        let dead = (At::ms(LATER - 18_000), At::ms(LATER - 17_000));
        history.troubles.add(Dead, Some("d"), dead.0, dead.1);
    };
    breaks(RefusalsHaveReasons, unreachable);
    is_fine(|history| {
        unreachable(history);
        let outage = (At::ms(LATER - 15_000), At::ms(LATER - 10_000));
        history.troubles.add(NoDatabase, None, outage.0, outage.1);
    });
}

#[test]
fn an_owner_that_died_long_before_an_outage_is_found_again_after_it() {
    let unreachable = |history: &mut History, ended| {
        let unreachable = refused("c", LATER, 503, "owner-unreachable");
        history.requests.push(unreachable);
        history.processes[3] = process("d", 7_000, 13_500, ProcessEnd::Killed);
        let outage = (At::ms(LATER - 12_000), At::ms(ended));
        history.troubles.add(NoDatabase, None, outage.0, outage.1);
    };
    // Another machine reaches the database, and then is heard for as long as after which one is lost.
    is_fine(|history| unreachable(history, LATER - 5_000));
    breaks(RefusalsHaveReasons, |history| {
        unreachable(history, LATER - 9_000);
    });
}

#[test]
fn a_locked_row_excuses_the_lookup_of_its_session_alone() {
    let unavailable = |history: &mut History, session: Uuid| {
        let unavailable = refused("d", LATER, 503, "lookup-unavailable");
        history.requests.push(unavailable);
        let locked = (At::ms(LATER - 1_000), At::ms(LATER + 1_000));
        history
            .troubles
            .add_of(RowsLocked, &[session], locked.0, locked.1);
    };
    is_fine(|history| unavailable(history, SESSION));
    breaks(RefusalsHaveReasons, |history| {
        unavailable(history, Uuid::from_u128(2));
    });
}

#[test]
fn slow_readers_excuse_no_refusal() {
    breaks(RefusalsHaveReasons, |history| {
        let unavailable = refused("d", LATER, 503, "lookup-unavailable");
        history.requests.push(unavailable);
        let slow = (At::ms(LATER - 1_000), At::ms(LATER + 1_000));
        history
            .troubles
            .add(Trouble::SlowReaders, Some("d"), slow.0, slow.1);
    });
}

#[test]
fn who_serves_already_does_not_wait_again_unless_it_was_restarted() {
    let again = |history: &mut History| {
        history
            .requests
            .push(refused("d", LATER, 503, "session-moving"));
    };
    breaks(RefusalsHaveReasons, again);
    // A row that moves to another partition stays with its owner.
    breaks(RefusalsHaveReasons, |history| {
        again(history);
        let moved = (At::ms(LATER - 10), At::ms(LATER - 5));
        history
            .troubles
            .add_of(RowsMove, &[SESSION], moved.0, moved.1);
    });
    // Another layer, which waits by itself.
    is_fine(|history| {
        again(history);
        history.requests.last_mut().unwrap().layer = Layer::ByHeader;
    });
    // A process that came before the last one was served.
    is_fine(|history| {
        again(history);
        let mut younger = process("d", 13_100, u64::MAX, ProcessEnd::Running);
        younger.id = Some("D2".to_owned());
        history.processes.push(younger);
    });
}

#[test]
fn a_session_is_starting_only_while_it_has_no_owner() {
    is_fine(|history| {
        history
            .requests
            .push(refused("b", 4_020, 503, "session-starting"));
    });
    breaks(RefusalsHaveReasons, |history| {
        history
            .requests
            .push(refused("d", 13_500, 503, "session-starting"));
    });
}

#[test]
fn a_request_goes_round_in_circles_only_while_the_owner_changes() {
    is_fine(|history| {
        history
            .requests
            .push(refused("d", 12_100, 508, "replay-loop"));
    });
    breaks(RefusalsHaveReasons, |history| {
        history
            .requests
            .push(refused("d", 18_000, 508, "replay-loop"));
    });
}

#[test]
fn an_edge_that_reaches_no_machine_although_all_run_is_found() {
    for status in [500, 502, 503] {
        breaks(RefusalsHaveReasons, |history| {
            let edge = Outcome::Edge { status };
            history.requests.push(request(LATER, LATER + 1, "d", edge));
        });
    }
}

#[test]
fn an_application_fails_only_when_it_writes_and_cannot() {
    let fail = |history: &mut History, kind| {
        let (status, text) = (500, String::new());
        let mut request = request(LATER, LATER + 1, "d", Outcome::Failed { status, text });
        request.kind = kind;
        history.requests.push(request);
    };
    let cut = |history: &mut History| {
        let (from, to) = (At::ms(LATER - 100), At::ms(LATER + 100));
        history.troubles.add(Cut, Some("d"), from, to);
    };
    breaks(RefusalsHaveReasons, |history| fail(history, Kind::Write));
    breaks(RefusalsHaveReasons, |history| {
        fail(history, Kind::Read);
        cut(history);
    });
    is_fine(|history| {
        fail(history, Kind::Write);
        cut(history);
    });
}

/// A run in which machines carry requests.
fn forwarded(history: &mut History) {
    history.settings.handover = Handover::Forward;
    history
        .requests
        .push(carried("b", passed("c", 4, 12_500, 400)));
}

#[test]
fn a_machine_that_carries_requests_blames_no_edge() {
    breaks(RefusalsHaveReasons, |history| {
        forwarded(history);
        history.requests.push(Request {
            is_direct: true,
            ..refused("c", 12_100, 409, "replay-not-honoured")
        });
    });
}

#[test]
fn an_owner_is_out_of_reach_while_the_ways_to_it_are_cut() {
    let cut = |history: &mut History, machine: &str, from, to| {
        forwarded(history);
        let unreachable = refused("c", LATER, 503, "owner-unreachable");
        history.requests.push(unreachable);
        let troubles = &mut history.troubles;
        troubles.add(PeersCut, Some(machine), At::ms(from), At::ms(to));
    };
    is_fine(|history| cut(history, "d", LATER - 500, LATER + 500));
    // Another machine's, or too early.
    breaks(RefusalsHaveReasons, |history| {
        cut(history, "c", LATER - 500, LATER + 500);
    });
    breaks(RefusalsHaveReasons, |history| {
        cut(history, "d", LATER - 500, LATER - 1);
    });
}

#[test]
fn a_machine_that_cannot_read_carries_to_where_an_owner_was() {
    let unreachable = |history: &mut History, cut: &str| {
        let unreachable = refused("c", LATER, 503, "owner-unreachable");
        history.requests.push(unreachable);
        let (from, to) = (At::ms(LATER - 500), At::ms(LATER + 500));
        history.troubles.add(Cut, Some(cut), from, to);
    };
    // The process of `b` has ended.
    is_fine(|history| {
        forwarded(history);
        unreachable(history, "c");
    });
    breaks(RefusalsHaveReasons, |history| {
        forwarded(history);
        unreachable(history, "d");
    });
    // An edge finds the machine.
    breaks(RefusalsHaveReasons, |history| unreachable(history, "c"));
    breaks(RefusalsHaveReasons, |history| {
        forwarded(history);
        unreachable(history, "c");
        for process in &mut history.processes {
            process.ended = At::NEVER;
        }
    });
}
