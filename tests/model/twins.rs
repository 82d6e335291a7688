//! Two processes under one id: an old one that somebody took for dead, and its successor.
//!
//! A read counts only for the process that the directory knows when it is made, and a process that
//! took over an id serves nothing, and proves nothing, until F after that.

use crate::{
    fleet::{EPOCHS_RISE, EPOCHS_SERVED_RISE, Fleet, ONE_PROCESS_SERVES, ONE_SERVES},
    mistake::Mistake,
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

#[test]
fn one_process_serves_whoever_else_runs_as_its_machine() {
    let all = [
        ONE_SERVES,
        ONE_PROCESS_SERVES,
        EPOCHS_SERVED_RISE,
        EPOCHS_RISE,
    ];
    let found = check("twins", twins(Rule::new(1)), &all, None);
    for property in all {
        found.has_not(property);
    }
    // Not because nobody serves.
    let fleet = Fleet {
        remembers: true,
        ..twins(Rule::new(1))
    };
    let found = check("twins in turn", fleet, &[IN_TURN, RESTARTED], None);
    found.has(IN_TURN);
    found.has(RESTARTED);
}

/// The old process serves until it notices, and so does who owns what the new one gave up.
#[test]
fn two_serve_if_a_read_counts_for_whoever_has_the_id() {
    two_serve("reads for an id", Mistake::ReadsForTheId);
}

#[test]
fn two_serve_if_a_successor_does_not_wait() {
    two_serve("no wait for a process", Mistake::SuccessorsDoNotWait);
}

fn two_serve(name: &str, mistake: Mistake) {
    let fleet = twins(Rule::new(1).with(mistake));
    let found = check(name, fleet, &[ONE_PROCESS_SERVES, ONE_SERVES], None);
    found.has(ONE_PROCESS_SERVES);
    found.has(ONE_SERVES);
}
