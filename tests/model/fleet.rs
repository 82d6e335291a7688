//! A fleet, as a model.

use stateright::{Model, Property};

use crate::{
    action::Action,
    mistake::Mistake,
    process::{Known, Life, Process},
    row::Row,
    rule::Rule,
    share::Share,
    state::State,
};

/// `M` processes, mostly of as many machines, and `S` sessions.
#[derive(Clone, Debug)]
pub(crate) struct Fleet<const M: usize, const S: usize> {
    pub(crate) rule: Rule,
    /// How many questions about one session a process may have on their way.
    pub(crate) flights: usize,
    /// Whether the last process has the id of the first one, and may run beside it.
    pub(crate) twins: bool,
    /// Whether states remember what happened, to tell a story by.
    pub(crate) remembers: bool,
}

pub(crate) const ONE_SERVES: &str = "no two machines may serve one session";
pub(crate) const ONE_PROCESS_SERVES: &str = "no two processes may serve one session";
pub(crate) const EPOCHS_SERVED_RISE: &str =
    "who may serve, may at no earlier epoch than others did";
pub(crate) const EPOCHS_RISE: &str = "epochs rise with every change of owner, and never fall";

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            flights: 1,
            twins: false,
            remembers: false,
        }
    }

    /// What an action makes of a state.
    pub(crate) fn after(&self, before: &State<M, S>, action: Action) -> State<M, S> {
        let mut state = *before;
        self.act(&mut state, action);
        for (now, before) in state.sessions.iter().zip(&before.sessions) {
            let changed = now.row.owner != before.row.owner;
            state.fell |= now.row.epoch < before.row.epoch + u8::from(changed);
        }
        state
    }

    fn remember(&self, state: &mut State<M, S>) {
        for machine in 0..M {
            if (0..S).any(|session| state.serves(machine, session, self.rule)) {
                state.processes[machine].has_served = true;
            }
        }
    }
}

impl<const M: usize, const S: usize> Model for Fleet<M, S> {
    type State = State<M, S>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        let mut owned = Row::born(Some(0));
        if self.rule.makes(Mistake::OwnedAtZero) {
            owned.epoch = 0;
        }
        let mut processes =
            std::array::from_fn(|machine| Process::new(machine.try_into().unwrap()));
        if self.twins {
            processes[0].has_twin = true;
            processes[0].known_for = self.rule.freshness();
            processes[M - 1] = Process {
                life: Life::Down,
                known: Known::NotYet,
                ..processes[0]
            };
        }
        let state = |row| State {
            processes,
            sessions: [Share::new(row); S],
            fell: false,
            was_late: [false; 3],
        };
        vec![state(Row::born(None)), state(owned)]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Action>) {
        self.choices(state, actions);
    }

    fn next_state(&self, before: &Self::State, action: Action) -> Option<Self::State> {
        let mut state = self.after(before, action);
        for share in &mut state.sessions {
            share.settle(self.rule);
        }
        if self.remembers {
            self.remember(&mut state);
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_SERVES, |fleet: &Self, state: &State<M, S>| {
                (0..S).all(|session| {
                    let mut serving = state.serving(session, fleet.rule);
                    let id = |machine: usize| state.processes[machine].id;
                    serving
                        .next()
                        .is_none_or(|one| serving.all(|other| id(one) == id(other)))
                })
            }),
            Property::always(EPOCHS_SERVED_RISE, |fleet: &Self, state: &State<M, S>| {
                (0..S).all(|session| state.epochs_served_rise(session, fleet.rule))
            }),
            Property::always(EPOCHS_RISE, |_, state: &State<M, S>| !state.fell),
        ];
        if self.twins {
            properties.push(Property::always(
                ONE_PROCESS_SERVES,
                |fleet: &Self, state: &State<M, S>| {
                    (0..S).all(|session| state.serving(session, fleet.rule).count() < 2)
                },
            ));
        }
        if self.remembers {
            properties.extend(Self::stories());
        }
        properties
    }
}
