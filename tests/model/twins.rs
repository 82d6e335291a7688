//! Two processes under one id: an old one that was taken for dead, and its successor.
//!
//! A read counts only for the process that the directory knows when it is made, and a process that
//! took over an id serves nothing, and proves nothing, until F after that.

use crate::{
    fleet::{EPOCHS_RISE, Fleet, ONE_SERVES},
    report::check,
    rule::Rule,
    stories::{IN_TURN, RESTARTED},
    world::World,
};

fn twins() -> Fleet<3, 1> {
    Fleet::new(Rule::new(1)).within(World::Twins)
}

#[test]
fn one_process_serves_whichever_other_one_runs_as_its_machine() {
    let all = [ONE_SERVES, EPOCHS_RISE];
    let found = check("twins", twins(), &all, None);
    for property in all {
        found.has_not(property);
    }
    // Not because none serves.
    let fleet = Fleet {
        remembers: true,
        ..twins()
    };
    let found = check("twins in turn", fleet, &[IN_TURN, RESTARTED], None);
    found.has(IN_TURN);
    found.has(RESTARTED);
}
