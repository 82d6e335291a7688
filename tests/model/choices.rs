//! What can happen next in a state.

use crate::{
    action::{Action, Claims},
    fleet::Fleet,
    mistake::Mistake,
    process::{Known, Life},
    state::State,
    view::Flight,
};

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn choices(&self, state: &State<M, S>, choices: &mut Vec<Action>) {
        choices.push(Action::Ticks);
        for machine in 0..M {
            self.of_process(state, machine, choices);
            for session in 0..S {
                late(state, machine, session, choices);
                self.of_view(state, machine, session, choices);
            }
        }
        for session in 0..S {
            let owner = state.sessions[session].row.owner;
            let machines = state.processes[..M - usize::from(self.twins)].iter();
            let others = machines.map(|process| Some(process.id)).chain([None]);
            let others = others.filter(|other| *other != owner);
            choices.extend(others.map(|other| Action::Assigns(session, other)));
            if self.rule.makes(Mistake::RowIsReplaced) {
                choices.push(Action::Replaces(session, 1));
            }
        }
    }

    fn of_process(&self, state: &State<M, S>, machine: usize, choices: &mut Vec<Action>) {
        let process = state.processes[machine];
        match process.life {
            Life::Down => choices.push(Action::Restarts(machine)),
            // If it ended before, it might as well not have begun.
            _ if process.known == Known::NotYet => choices.push(Action::IsKnown(machine)),
            Life::Up => choices.extend([Action::BeginsToDrain(machine), Action::Crashes(machine)]),
            Life::Draining => choices.push(Action::Crashes(machine)),
        }
        if self.rule.makes(Mistake::ClockStandsStill) {
            choices.push(Action::StandsStill(machine));
        }
    }

    fn of_view(
        &self,
        state: &State<M, S>,
        machine: usize,
        session: usize,
        choices: &mut Vec<Action>,
    ) {
        let process = state.processes[machine];
        let share = &state.sessions[session];
        let view = &share.views[machine];
        let may_act =
            process.known != Known::NotYet || self.rule.makes(Mistake::ReadsBeforeItIsKnown);
        if process.life == Life::Down || !may_act {
            return;
        }
        for slot in 0..self.flights {
            match view.flights[slot] {
                Flight::None => {}
                Flight::Asked { claims, .. } => {
                    choices.push(Action::Reaches(machine, session, slot));
                    // A read that is lost before it does anything might as well not have been sent.
                    if claims {
                        choices.push(Action::Misses(machine, session, slot));
                    }
                }
                Flight::Answered(_) => choices.extend([
                    Action::Hears(machine, session, slot),
                    Action::Misses(machine, session, slot),
                ]),
            }
        }
        let owns = share.row.owner == Some(process.id);
        if view.flights[..self.flights].contains(&Flight::None) {
            choices.push(Action::Asks(machine, session, Claims::No));
            // Of what nobody owns, or somebody who is believed to be lost: it may be paused, or
            // alive and well, so anybody may be believed to be.
            if !owns && process.life == Life::Up {
                choices.push(Action::Asks(machine, session, Claims::Yes));
            }
        }
        if view.cache.is_some() {
            choices.push(Action::Forgets(machine, session));
        }
        if owns && process.life == Life::Up {
            choices.push(Action::GivesUp(machine, session));
            if view.release.is_some() {
                choices.push(Action::Releases(machine, session));
            }
        }
        if owns && process.life == Life::Draining && process.known == Known::Now {
            choices.push(Action::Drains(machine, session));
        }
    }
}

fn late<const M: usize, const S: usize>(
    state: &State<M, S>,
    machine: usize,
    session: usize,
    choices: &mut Vec<Action>,
) {
    let share = &state.sessions[session];
    let late = &share.views[machine].late;
    if late.claim {
        choices.push(Action::ClaimsLate(machine, session));
    }
    if share.row.owner == Some(state.processes[machine].id) {
        if late.release.is_some() {
            choices.push(Action::ReleasesLate(machine, session));
        }
        if late.drain.is_some() {
            choices.push(Action::DrainsLate(machine, session));
        }
    }
}
