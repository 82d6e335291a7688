//! What can happen next in a state.

use crate::{
    action::{Action, Claims},
    fleet::Fleet,
    mistake::Mistake,
    process::{Known, Life},
    share::Share,
    state::State,
    view::Flight,
    world::World,
};

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn choices(&self, state: &State<M, S>, choices: &mut Vec<Action>) {
        choices.push(Action::Ticks);
        if self.world == World::TwinsWithoutARow && !state.seat.is_missing {
            choices.push(Action::DeletesMachine);
        }
        for machine in 0..M {
            if self.process_of(machine) == machine {
                self.of_process(state, machine, choices);
            }
            for session in 0..S {
                late(state, machine, session, choices);
                self.of_view(state, machine, session, choices);
            }
        }
        for session in 0..S {
            let owner = state.sessions[session].row.owner;
            let machines = state.processes.iter().enumerate();
            let machines = machines.filter(|(machine, process)| {
                let earlier = &state.processes[..*machine];
                earlier.iter().all(|earlier| earlier.id != process.id)
            });
            let owners = machines.map(|(_, process)| Some(process.id)).chain([None]);
            for other in owners {
                if other != owner {
                    choices.push(Action::Assigns(session, other));
                }
                if self.world == World::Partitions {
                    choices.push(Action::Moves(session, other));
                }
            }
            self.of_row(&state.sessions[session], session, choices);
            if self.rule.makes(Mistake::RowIsReplaced) {
                choices.push(Action::Replaces(session, 1));
            }
        }
    }

    fn of_row(&self, share: &Share<M>, session: usize, choices: &mut Vec<Action>) {
        match self.world {
            World::Standby if share.standby != share.row => {
                choices.push(Action::Replicates(session));
            }
            World::Triggers if share.is_bare => choices.push(Action::AppliesTriggers),
            World::Triggers => {
                choices.push(Action::DropsTriggers);
                if share.row.has_drifted() {
                    choices.push(Action::Touches(session));
                }
            }
            _ => {}
        }
    }

    fn of_process(&self, state: &State<M, S>, machine: usize, choices: &mut Vec<Action>) {
        let process = state.processes[machine];
        match process.life {
            Life::Down => choices.push(Action::Restarts(machine)),
            // If it ended before, it might as well not have begun.
            // One that begins while the row is missing cannot know of the one before: left out.
            _ if process.known == Known::NotYet && state.seat.is_missing => {}
            _ if process.known == Known::NotYet => choices.push(Action::IsKnown(machine)),
            // Drains, crashes and what is carried out late are seen elsewhere, and make too many
            // states of triggers.
            _ if self.world == World::Triggers => {}
            Life::Up => choices.extend([Action::BeginsToDrain(machine), Action::Crashes(machine)]),
            Life::Draining => choices.push(Action::Crashes(machine)),
        }
        let is_up = process.life == Life::Up;
        let may_leave = process.life == Life::Draining
            || is_up && self.rule.makes(Mistake::LeavesBeforeItStops);
        if self.world == World::TwinsThatLeave
            && may_leave
            && process.known == Known::Now
            && !state.seat.left
        {
            choices.push(Action::Leaves(machine));
        }
        if state.seat.is_missing && process.life != Life::Down && process.known != Known::NotYet {
            choices.push(Action::PutsBack(machine));
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
                    if self.world == World::Standby && !claims {
                        choices.push(Action::ReachesStandby(machine, session, slot));
                    }
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
        if self.world == World::Hooks {
            if view.decided {
                choices.push(Action::Passes(machine, session));
            } else if state.serves(machine, session, self.rule) {
                choices.push(Action::Decides(machine, session));
            }
        }
        if self.world == World::Forgetful
            && let Some(since) = view.since
            && (since.age >= self.rule.freshness() || self.rule.makes(Mistake::ForgetsAWait))
        {
            choices.push(Action::Evicts(machine, session));
        }
        if self.process_of(machine) != machine {
            return;
        }
        let can_release = share.can_be_released_by(process.id);
        if owns && process.life == Life::Up {
            choices.push(Action::GivesUp(machine, session));
            if view.release.is_some() && can_release {
                choices.push(Action::Releases(machine, session));
            }
        }
        // A release looks for the machine's row.
        let is_known = process.known == Known::Now && !state.seat.is_missing;
        if can_release && process.life == Life::Draining && is_known {
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
    if share.can_be_released_by(state.processes[machine].id) {
        if late.release.is_some() {
            choices.push(Action::ReleasesLate(machine, session));
        }
        if late.drain.is_some() {
            choices.push(Action::DrainsLate(machine, session));
        }
    }
}
