//! What an action does.

use crate::{
    action::{Action, Claims},
    fleet::Fleet,
    mistake::Mistake,
    process::{Known, Life, Process},
    row::Row,
    share::Share,
    state::State,
};

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn act(&self, state: &mut State<M, S>, action: Action) {
        let rule = self.rule;
        let sessions = &mut state.sessions;
        match action {
            Action::Ticks => (0..M).for_each(|machine| self.tick(state, machine)),
            Action::StandsStill(still) => {
                let others = (0..M).filter(|machine| *machine != still);
                others.for_each(|machine| self.tick(state, machine));
            }
            Action::Asks(machine, session, claims) => {
                sessions[session].views[machine].ask(claims == Claims::Yes);
            }
            Action::Reaches(machine, session, slot) => {
                let Process { id, known, .. } = state.processes[machine];
                let speaks_for_it = known != Known::NoMore || rule.makes(Mistake::ReadsForTheId);
                sessions[session].reached(machine, slot, id, speaks_for_it);
            }
            Action::Hears(machine, session, slot) => {
                let view = &mut sessions[session].views[machine];
                view.arrived(slot, rule);
                if state.processes[machine].life == Life::Draining {
                    view.cache = None;
                }
            }
            Action::Misses(machine, session, slot) => sessions[session].views[machine].lose(slot),
            Action::Forgets(machine, session) => sessions[session].views[machine].cache = None,
            Action::GivesUp(machine, session) => {
                let process = state.processes[machine];
                let share = &mut sessions[session];
                let view = &mut share.views[machine];
                view.give_up(share.row, rule);
                view.release = view
                    .release
                    .filter(|_| process.known == Known::Now)
                    .map(|proves| proves && process.is_alone(rule));
            }
            Action::Releases(machine, session) => {
                let share = &mut sessions[session];
                share.release(share.views[machine].release == Some(true));
            }
            Action::BeginsToDrain(machine) => {
                state.processes[machine].life = Life::Draining;
                for share in sessions {
                    share.views[machine].cache = None;
                }
            }
            Action::Drains(machine, session) => {
                let is_alone = state.processes[machine].is_alone(rule);
                let Share { row, views } = &sessions[session];
                let has_waited = rule.has_waited(*row, views[machine].since);
                let proves = rule.proves(*row, has_waited) && is_alone;
                sessions[session].release(proves);
            }
            Action::Crashes(machine) => self.crash(state, machine),
            Action::Restarts(machine) => {
                let process = &mut state.processes[machine];
                process.life = Life::Up;
                process.known = Known::NotYet;
                process.restarted = self.remembers;
            }
            Action::IsKnown(machine) => self.take_id(state, machine),
            Action::ClaimsLate(machine, session) => {
                state.was_late[0] |= self.remembers;
                let id = state.processes[machine].id;
                sessions[session].set_owner(Some(id));
            }
            Action::ReleasesLate(machine, session) => {
                state.was_late[1] |= self.remembers;
                let share = &mut sessions[session];
                share.release(share.views[machine].late.release == Some(true));
            }
            Action::DrainsLate(machine, session) => {
                state.was_late[2] |= self.remembers;
                let share = &mut sessions[session];
                let has_waited = share.views[machine].late.drain == Some(true);
                share.release(rule.proves(share.row, has_waited));
            }
            Action::Assigns(session, owner) => {
                let share = &mut sessions[session];
                share.set_owner(owner);
                if owner.is_none() && rule.makes(Mistake::NullProves) {
                    share.row.released = Some(share.row.epoch);
                }
            }
            Action::Replaces(session, owner) => sessions[session].row = Row::born(Some(owner)),
        }
    }

    fn tick(&self, state: &mut State<M, S>, machine: usize) {
        for share in &mut state.sessions {
            share.views[machine].tick(self.rule);
        }
        let process = &mut state.processes[machine];
        if process.has_twin {
            process.known_for = (process.known_for + 1).min(self.rule.freshness());
        }
    }

    fn crash(&self, state: &mut State<M, S>, machine: usize) {
        let process = &mut state.processes[machine];
        let drains = process.life == Life::Draining
            && process.known == Known::Now
            // Without a proof it is as if the orchestrator did it.
            && process.is_alone(self.rule);
        process.life = Life::Down;
        process.has_served = false;
        for share in &mut state.sessions {
            share.views[machine].crash(drains, share.row, self.rule);
        }
    }

    /// The directory learns which process has the machine's id from now on.
    fn take_id(&self, state: &mut State<M, S>, machine: usize) {
        let id = state.processes[machine].id;
        for (other, process) in state.processes.iter_mut().enumerate() {
            if process.id != id {
                continue;
            }
            if other == machine {
                process.known = Known::Now;
                process.known_for = 0;
            } else if process.known == Known::Now {
                process.known = Known::NoMore;
            }
            if self.rule.makes(Mistake::ReleasesForTheId) {
                continue;
            }
            for share in &mut state.sessions {
                let view = &mut share.views[other];
                view.late.process_changed();
                if other != machine {
                    view.release = None;
                }
            }
        }
    }
}
