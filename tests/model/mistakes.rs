//! Each part of the rule is needed: without it, two machines serve one session. And so is each
//! thing that the rule takes for granted.

use crate::{
    fleet::{Fleet, ONE_SERVES},
    mistake::Mistake,
    report::check,
    rule::Rule,
};

fn two_serve(name: &str, mistake: Mistake) {
    let fleet = Fleet::<2, 1>::new(Rule::new(2).with(mistake));
    check(name, fleet, &[ONE_SERVES], None).has(ONE_SERVES);
}

#[test]
fn two_serve_if_the_wait_is_shorter_than_a_read_is_relied_on() {
    two_serve("a shorter wait", Mistake::WaitsLess);
}

#[test]
fn two_serve_if_nobody_waits() {
    two_serve("no wait", Mistake::NeverWaits);
}

#[test]
fn two_serve_if_the_wait_begins_before_the_machine_knows() {
    two_serve("a wait from the question on", Mistake::WaitsFromTheQuestion);
}

#[test]
fn two_serve_if_reads_are_young_when_they_arrive() {
    two_serve("age from the answer on", Mistake::AgesFromTheAnswer);
}

#[test]
fn two_serve_if_a_machine_that_waits_can_prove_a_release() {
    two_serve("every release a proof", Mistake::EveryReleaseProves);
}

#[test]
fn two_serve_if_no_owner_is_taken_for_a_release() {
    two_serve("NULL a proof", Mistake::NullProves);
}

#[test]
fn two_serve_if_a_proof_outlives_the_next_owner() {
    two_serve("proofs that last", Mistake::ProofsLast);
}

#[test]
fn two_serve_if_what_was_given_up_is_forgotten() {
    two_serve("nothing given up", Mistake::ForgetsWhatItGaveUp);
}

#[test]
fn two_serve_if_a_machine_writes_before_it_stops() {
    two_serve("a write first", Mistake::WritesBeforeItStops);
}

#[test]
fn two_serve_if_a_release_speaks_for_a_process_that_was_started_since() {
    two_serve("releases for an id", Mistake::ReleasesForTheId);
}

#[test]
fn two_serve_if_a_process_serves_from_what_it_read_before_it_was_known() {
    two_serve("reads before it is known", Mistake::ReadsBeforeItIsKnown);
}

#[test]
fn two_serve_if_a_clock_stands_still() {
    two_serve("a clock that stands still", Mistake::ClockStandsStill);
}

#[test]
fn two_serve_if_a_row_is_replaced() {
    two_serve("a row that is replaced", Mistake::RowIsReplaced);
}

#[test]
fn two_serve_if_an_owned_row_starts_at_zero() {
    two_serve("owned at zero", Mistake::OwnedAtZero);
}
