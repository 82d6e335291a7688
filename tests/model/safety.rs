//! Two machines never serve one session, whatever happens in whatever order.
//!
//! There is no bound on time or on the number of changes, except where a depth is named.

use crate::{
    fleet::{EPOCHS_RISE, Fleet, ONE_SERVES},
    report::check,
    rule::Rule,
};

fn holds<const M: usize, const S: usize>(name: &str, fleet: Fleet<M, S>, depth: Option<usize>) {
    let all = [ONE_SERVES, EPOCHS_RISE];
    let found = check(name, fleet, &all, depth);
    for property in all {
        found.has_not(property);
    }
}

#[test]
fn one_of_three_machines_serves() {
    holds(
        "three machines, F = 2",
        Fleet::<3, 1>::new(Rule::new(2)),
        None,
    );
}

#[test]
fn one_machine_serves_however_finely_time_is_cut() {
    holds(
        "two machines, F = 4",
        Fleet::<2, 1>::new(Rule::new(4)),
        None,
    );
}

#[test]
fn one_machine_serves_however_answers_overtake_each_other() {
    let fleet = Fleet {
        flights: 2,
        ..Fleet::<2, 1>::new(Rule::new(2))
    };
    holds("two machines, two questions each, F = 2", fleet, None);
}

/// What is done about one session looks at no other one, and what happens to a machine happens to
/// its part in each: about one of two sessions, a fleet does what it might do if there were only
/// that one. So this looks for slips in the model rather than in the rule, and some steps will do.
#[test]
fn one_machine_serves_each_of_two_sessions() {
    let fleet = Fleet::<2, 2>::new(Rule::new(1));
    holds("two machines, two sessions, F = 1", fleet, Some(8));
    let fleet = Fleet::<3, 2>::new(Rule::new(1));
    holds("three machines, two sessions, F = 1", fleet, Some(6));
}
