//! That nothing is missed by what `settle` leaves out, and by taking machines for alike.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::Instant,
};

use stateright::Model as _;

use crate::{action::Action, fleet::Fleet, rule::Rule, state::State};

type Pair = State<2, 1>;

/// Goes from state to state by `step`, shows each to `visit`, and returns them all, by `key`.
fn walk(
    fleet: &Fleet<2, 1>,
    step: impl Fn(&Pair, Action) -> Option<Pair>,
    key: impl Fn(&Pair) -> u64,
    mut visit: impl FnMut(&Pair),
) -> HashSet<u64> {
    let mut pending = fleet.init_states();
    let mut known: HashSet<_> = pending.iter().map(&key).collect();
    let mut actions = Vec::new();
    while let Some(state) = pending.pop() {
        visit(&state);
        fleet.actions(&state, &mut actions);
        let steps = actions.drain(..).filter_map(|action| step(&state, action));
        pending.extend(steps.filter(|next| known.insert(key(next))));
    }
    known
}

/// Up to the third epoch every state is looked at as it is, and none settles into one that the
/// other checks do not reach.
#[test]
fn nothing_is_missed_by_what_is_left_out() {
    const EPOCHS: u8 = 3;
    let began = Instant::now();
    let hasher = RandomState::new();
    let fleet = Fleet::new(Rule::new(1));
    let reached = walk(
        &fleet,
        |state, action| fleet.next_state(state, action),
        |state| hasher.hash_one(state),
        |_| {},
    );
    let plain = walk(
        &fleet,
        |state, action| {
            let next = fleet.after(state, action);
            (next.sessions[0].row.epoch <= EPOCHS).then_some(next)
        },
        |state| hasher.hash_one((state.processes, state.sessions)),
        |state| {
            let serving: Vec<_> = state.serving(0, fleet.rule).collect();
            assert!(fleet.one_serves(state, 0) && !state.fell);
            let mut settled = *state;
            settled.sessions[0].settle(fleet.rule);
            assert!(settled.serving(0, fleet.rule).eq(serving), "{state:#?}");
            assert!(reached.contains(&hasher.hash_one(settled)), "{state:#?}");
        },
    );
    println!(
        "plain: {} states settle into {}, {:.1?}",
        plain.len(),
        reached.len(),
        began.elapsed()
    );
}
