//! Two processes under one id: an old one that somebody took for dead, and its successor.

use crate::{
    fleet::{EPOCHS_RISE, EPOCHS_SERVED_RISE, Fleet, ONE_PROCESS_SERVES, ONE_SERVES},
    report::check,
    rule::Rule,
    stories::{IN_TURN, RESTARTED},
};

fn twins(rule: Rule) -> Fleet<3, 1> {
    Fleet {
        twins: true,
        ..Fleet::new(rule)
    }
}

/// The rule is about ids. Until the old process notices, it serves whatever the new one does, and a
/// release by the new one is no proof that the old one stopped.
#[test]
fn two_serve_while_a_process_does_not_notice_its_successor() {
    let fleet = twins(Rule::new(1));
    let found = check("twins", fleet, &[ONE_PROCESS_SERVES, ONE_SERVES], None);
    found.has(ONE_PROCESS_SERVES);
    found.has(ONE_SERVES);
}

/// What it would take: a read counts only for the process that the directory knows when it is made,
/// and a process that took over an id serves nothing, and proves nothing, until F after that.
///
/// It holds for good, in 508,807 states; here the walk stops a little past where two serve without.
#[test]
fn one_process_serves_if_reads_ask_for_it_and_successors_wait() {
    let fleet = twins(Rule::new(1).telling_processes_apart());
    let all = [ONE_PROCESS_SERVES, EPOCHS_SERVED_RISE, EPOCHS_RISE];
    let found = check("twins that are told apart", fleet, &all, Some(13));
    for property in all {
        found.has_not(property);
    }
    // Not because nobody serves.
    let fleet = Fleet {
        remembers: true,
        ..twins(Rule::new(1).telling_processes_apart())
    };
    let found = check("twins in turn", fleet, &[IN_TURN, RESTARTED], None);
    found.has(IN_TURN);
    found.has(RESTARTED);
}
