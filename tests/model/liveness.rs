//! A session is served again, and in time.

use crate::{
    fleet::Fleet,
    prompt::{IN_TIME, Prompt, TIME_PASSES},
    report::{Found, check},
    rule::Rule,
};

/// What it takes at most, in questions, beside the silence of an owner that died and the wait for
/// it: two machines that want the session come in each other's way, so there are a read and a claim
/// that come too late, and a read and a claim that do not.
const QUESTIONS: u8 = 4;

/// A fleet whose last machine stays healthy, with so much less time than it may need.
pub(crate) fn prompt<const M: usize>(rule: Rule, lost: u8, delay: u8, less: u8) -> Prompt<M> {
    Prompt {
        fleet: Fleet::new(rule),
        lost,
        delay,
        // The moment in which all that is noticed.
        grace: 1 + QUESTIONS * delay - less,
    }
}

/// Checks a fleet whose last machine stays healthy, with so much less time than it may need.
fn served<const M: usize>(rule: Rule, lost: u8, delay: u8, less: u8) -> Found {
    let prompt: Prompt<M> = prompt(rule, lost, delay, less);
    let name = format!(
        "{M} machines, lost after {lost}, F = {}, questions take {delay}, {less} less",
        rule.freshness()
    );
    let found = check(&name, prompt, &[IN_TIME], None);
    found.has_not(TIME_PASSES);
    found
}

#[test]
fn a_session_is_served_within_silence_and_wait_and_four_questions() {
    for delay in 0..2 {
        for lost in 1..3 {
            for freshness in delay + 1..4 {
                served::<2>(Rule::new(freshness), lost, delay, 0).has_not(IN_TIME);
            }
        }
    }
    served::<2>(Rule::new(3), 1, 2, 0).has_not(IN_TIME);
}

/// So the bound above is no accident of a model in which nothing takes long.
#[test]
fn it_can_take_as_long_as_that() {
    for delay in 0..2 {
        served::<2>(Rule::new(2 * delay + 1), 1, delay, 1).has(IN_TIME);
    }
}
