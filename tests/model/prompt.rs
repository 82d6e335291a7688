//! A fleet that does what it has to do in time, so that it can be said how long nobody serves.
//!
//! "Within a bound" is a property of time, and the other checks let anything take forever. Here
//! time passes only when all is done that is due: each healthy machine is asked for the session
//! in every tick, and a question of its own takes `delay` ticks at most. What happens to machines,
//! and what the orchestrator writes, is as unruly as ever, and so is the order within a tick. What
//! is counted is how many ticks have passed since the last such mishap in which nobody served.
//!
//! The requests are such as no hint stands in the way of. One that says that the session is
//! elsewhere can keep a machine from asking for as long as `CachePolicy::elsewhere`, until a request
//! comes whose replay failed.

use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use crate::{
    action::{Action, Claims},
    fleet::Fleet,
    process::{Known, Life},
    share::Share,
    state::State,
    view::Flight,
};

#[derive(Clone, Debug)]
pub(crate) struct Prompt<const M: usize> {
    pub(crate) fleet: Fleet<M, 1>,
    /// After how many ticks without a beat an owner is lost.
    pub(crate) lost: u8,
    /// How many ticks a question takes at most, with its answer.
    pub(crate) delay: u8,
    /// How many ticks all the rest may take.
    pub(crate) grace: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment<const M: usize> {
    pub(crate) state: State<M, 1>,
    /// How long ago each machine's last beat was.
    beats: [u8; M],
    due: [Due; M],
    /// For how many ticks nobody may serve from now on.
    left: u8,
    is_overdue: bool,
}

/// What a machine has to do for the request that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Due {
    Nothing,
    Read,
    Claim,
}

pub(crate) const IN_TIME: &str = "the session is served in time";
pub(crate) const TIME_PASSES: &str = "time passes";

impl<const M: usize> Hash for Moment<M> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let State {
            processes,
            sessions,
            ..
        } = &self.state;
        (
            processes,
            sessions,
            self.beats,
            self.due,
            self.left,
            self.is_overdue,
        )
            .hash(hasher);
    }
}

impl<const M: usize> Model for Prompt<M> {
    type State = Moment<M>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        let moment = |state| Moment {
            state,
            beats: [0; M],
            due: [Due::Read; M],
            left: self.allowed(&state),
            is_overdue: false,
        };
        self.fleet.init_states().into_iter().map(moment).collect()
    }

    fn actions(&self, moment: &Self::State, actions: &mut Vec<Action>) {
        self.fleet.actions(&moment.state, actions);
        actions.retain(|action| self.is_possible(moment, *action));
    }

    fn next_state(&self, before: &Self::State, action: Action) -> Option<Self::State> {
        let mut moment = *before;
        match action {
            Action::Ticks => self.tick(&mut moment),
            Action::Reaches(machine, _, slot) => self.reach(&mut moment, machine, slot),
            Action::Asks(machine, ..)
            | Action::Crashes(machine)
            | Action::BeginsToDrain(machine) => moment.due[machine] = Due::Nothing,
            Action::IsKnown(machine) => {
                moment.beats[machine] = 0;
                moment.due[machine] = Due::Read;
            }
            _ => {}
        }
        let after = self.fleet.next_state(&moment.state, action);
        moment.state = after.unwrap_or(moment.state);
        if is_mishap(action, &before.state, self.fleet.rule.freshness()) {
            moment.left = self.allowed(&moment.state);
        }
        for machine in 0..M {
            self.ask(&mut moment, machine, action == Action::Ticks);
        }
        Some(moment)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IN_TIME, |_, moment: &Moment<M>| !moment.is_overdue),
            Property::always(TIME_PASSES, |prompt: &Self, moment: &Moment<M>| {
                prompt.can_go_on(moment)
            }),
        ]
    }
}

impl<const M: usize> Prompt<M> {
    fn is_possible(&self, moment: &Moment<M>, action: Action) -> bool {
        match action {
            Action::Ticks => self.is_all_done(moment),
            Action::Asks(machine, _, Claims::No) => moment.due[machine] == Due::Read,
            Action::Asks(machine, _, Claims::Yes) => moment.due[machine] == Due::Claim,
            // Notifications make it only quicker, and answers that are lost are asked for again.
            Action::Forgets(..) | Action::Misses(..) => false,
            // There is one that stays healthy.
            Action::Crashes(machine) | Action::BeginsToDrain(machine) => machine < M - 1,
            // Nobody gives a session to a machine that is not there.
            Action::Assigns(_, Some(owner)) | Action::Moves(_, Some(owner)) => {
                let process = moment.state.processes[usize::from(owner)];
                process.life == Life::Up && process.known == Known::Now
            }
            _ => true,
        }
    }

    /// Whether time may pass, or something is done for which it waits.
    fn can_go_on(&self, moment: &Moment<M>) -> bool {
        let mut actions = Vec::new();
        self.actions(moment, &mut actions);
        actions.into_iter().any(|action| {
            matches!(
                action,
                Action::Ticks
                    | Action::Asks(..)
                    | Action::Reaches(..)
                    | Action::Hears(..)
                    | Action::Releases(..)
                    | Action::Drains(..)
                    | Action::IsKnown(_)
            )
        })
    }

    fn is_all_done(&self, moment: &Moment<M>) -> bool {
        let share = &moment.state.sessions[0];
        (0..M).all(|machine| {
            let process = moment.state.processes[machine];
            let view = &share.views[machine];
            let in_time = match view.flights[0] {
                Flight::None => true,
                Flight::Asked { age, .. } => age < self.delay,
                Flight::Answered(read) => read.age < self.delay,
            };
            let owns = share.row.owner == Some(process.id);
            process.life == Life::Down
                || process.known == Known::Now
                    && moment.due[machine] == Due::Nothing
                    && in_time
                    && view.release.is_none()
                    && !(owns && process.life == Life::Draining)
        })
    }

    fn tick(&self, moment: &mut Moment<M>) {
        let Share { row, views, .. } = &moment.state.sessions[0];
        let serving = moment.state.serving(0, self.fleet.rule);
        let epochs = serving.filter_map(|machine| Some(views[machine].cache?.epoch));
        match epochs.max() {
            // From now on it takes a read to go on.
            Some(epoch) if epoch == row.epoch => moment.left = self.grace,
            // On old news.
            Some(_) => {}
            None if moment.left == 0 => moment.is_overdue = true,
            None => moment.left -= 1,
        }
        for (beat, process) in moment.beats.iter_mut().zip(&moment.state.processes) {
            *beat = match process.life {
                Life::Up | Life::Draining => 0,
                Life::Down => (*beat + 1).min(self.lost + 1),
            };
        }
    }

    /// A machine that cannot serve asks again with the next request, which comes in the next tick.
    fn ask(&self, moment: &mut Moment<M>, machine: usize, is_next_tick: bool) {
        let process = moment.state.processes[machine];
        let Share { row, views, .. } = &moment.state.sessions[0];
        let is_busy = views[machine].flights[0] != Flight::None;
        let serves = moment.state.serves(machine, 0, self.fleet.rule);
        if is_next_tick && process.life == Life::Up && !is_busy && !serves {
            moment.due[machine] = Due::Read;
        }
        if moment.due[machine] == Due::Claim && row.owner == Some(process.id) {
            // There is nothing to claim any more.
            moment.due[machine] = Due::Read;
        }
    }

    /// A question reaches the directory, which knows who is lost.
    fn reach(&self, moment: &mut Moment<M>, machine: usize, slot: usize) {
        let share = &mut moment.state.sessions[0];
        let is_lost = |owner: u8| moment.beats[usize::from(owner)] > self.lost;
        let is_free = share.row.owner.is_none_or(is_lost);
        let Flight::Asked { claims, .. } = &mut share.views[machine].flights[slot] else {
            return;
        };
        if *claims {
            *claims = is_free;
        } else if is_free && moment.state.processes[machine].life == Life::Up {
            moment.due[machine] = Due::Claim;
        }
    }

    /// For how many ticks nobody may serve after a mishap that led to this.
    fn allowed(&self, state: &State<M, 1>) -> u8 {
        let row = state.sessions[0].row;
        let life = row
            .owner
            .map(|owner| state.processes[usize::from(owner)].life);
        let next = row.epoch + u8::from(life != Some(Life::Up));
        let silence = if life == Some(Life::Down) {
            self.lost
        } else {
            0
        };
        let wait = if self.fleet.rule.waits(next, row.released) {
            self.fleet.rule.freshness()
        } else {
            0
        };
        silence + wait + self.grace
    }
}

fn is_mishap<const M: usize>(action: Action, before: &State<M, 1>, freshness: u8) -> bool {
    let owns = |machine: usize| before.sessions[0].row.owner == Some(before.processes[machine].id);
    match action {
        Action::Crashes(machine) | Action::BeginsToDrain(machine) => owns(machine),
        Action::GivesUp(..)
        | Action::Releases(..)
        | Action::Drains(..)
        | Action::Assigns(..)
        | Action::ClaimsLate(..)
        | Action::ReleasesLate(..)
        | Action::DrainsLate(..) => true,
        Action::Moves(session, owner) => before.sessions[session].row.owner != owner,
        // What has waited waits again. What waits is never forgotten.
        Action::Evicts(machine, _) => {
            let since = before.sessions[0].views[machine].since;
            since.is_some_and(|since| since.age >= freshness)
        }
        _ => false,
    }
}
