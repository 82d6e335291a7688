//! A fleet, as a model.

use std::ops::Range;

use stateright::{Model, Property};

use crate::{
    action::Action,
    mistake::Mistake,
    process::{Known, Life, Process},
    row::Row,
    rule::Rule,
    share::Share,
    state::{Seat, State},
    world::World,
};

/// `M` processes, mostly of as many machines, and `S` sessions.
#[derive(Clone, Debug)]
pub(crate) struct Fleet<const M: usize, const S: usize> {
    pub(crate) rule: Rule,
    /// How many questions about one session a process may have on their way.
    pub(crate) flights: usize,
    pub(crate) world: World,
    /// Whether states remember what happened, to tell a story by.
    pub(crate) remembers: bool,
}

/// Judged only where epochs rise, which it builds on.
pub(crate) const ONE_SERVES: &str =
    "no two processes may serve a session, and none at an epoch before another one's";
pub(crate) const EPOCHS_RISE: &str = "epochs rise with every change of owner, and never fall";

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            flights: 1,
            world: World::Plain,
            remembers: false,
        }
    }

    pub(crate) fn within(self, world: World) -> Self {
        Self { world, ..self }
    }

    /// The process that a cache is part of.
    pub(crate) fn process_of(&self, cache: usize) -> usize {
        match self.world {
            World::Layers if cache == 1 => 0,
            _ => cache,
        }
    }

    /// The caches of a process.
    pub(crate) fn caches_of(&self, process: usize) -> Range<usize> {
        match self.world {
            World::Layers if process == 0 => 0..2,
            _ => process..process + 1,
        }
    }

    /// What an action makes of a state.
    pub(crate) fn after(&self, before: &State<M, S>, action: Action) -> State<M, S> {
        let mut state = *before;
        for share in &mut state.sessions {
            for view in &mut share.views {
                view.passes = false;
            }
        }
        self.act(&mut state, action);
        for (now, before) in state.sessions.iter().zip(&before.sessions) {
            // While the triggers are missing, an owner has no epoch.
            let changed = now.row.stamp != before.row.stamp;
            state.fell |= now.row.epoch < before.row.epoch + u8::from(changed);
        }
        state
    }

    pub(crate) fn one_serves(&self, state: &State<M, S>, session: usize) -> bool {
        let mut serving = state.serving(session, self.rule);
        let process = |cache: usize| self.process_of(cache);
        let is_one = serving
            .next()
            .is_none_or(|one| serving.all(|other| process(one) == process(other)));
        is_one && state.epochs_served_rise(session, self.rule)
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
        if self.world == World::Layers {
            processes[1].id = processes[0].id;
        }
        if self.world.has_twins() {
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
            seat: Seat {
                is_missing: false,
                left: false,
                took_over: false,
            },
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
                state.fell || (0..S).all(|session| fleet.one_serves(state, session))
            }),
            Property::always(EPOCHS_RISE, |_, state: &State<M, S>| !state.fell),
        ];
        if self.remembers {
            properties.extend(Self::stories());
        }
        properties
    }
}
