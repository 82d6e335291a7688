//! What an action does.

use std::ops::Range;

use crate::{
    action::{Action, Claims},
    fleet::Fleet,
    mistake::Mistake,
    process::{Known, Life, Process},
    row::Row,
    share::Share,
    state::State,
    world::World,
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
                let speaks_for_it = if state.seat.is_missing {
                    rule.makes(Mistake::ReadsWithoutARow)
                } else {
                    known != Known::NoMore || rule.makes(Mistake::ReadsForTheId)
                };
                sessions[session].reached(machine, slot, id, speaks_for_it, rule);
            }
            Action::ReachesStandby(machine, session, slot) => {
                let id = state.processes[machine].id;
                sessions[session].reached_standby(machine, slot, id, rule);
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
                let has_waited = self.has_waited(share, machine);
                let proves = rule.proves(share.row, has_waited) && process.is_alone(rule);
                for cache in self.caches_that_stop(machine) {
                    share.views[cache].give_up(share.row, rule);
                }
                let view = &mut share.views[machine];
                if process.known == Known::Now {
                    // The stronger one stands for both: without proof, it is as if the orchestrator
                    // did it.
                    view.release = view.release.max(Some(proves));
                }
            }
            Action::Releases(machine, session) => {
                let share = &mut sessions[session];
                share.release(share.views[machine].release == Some(true), rule);
            }
            Action::BeginsToDrain(machine) => {
                for cache in self.caches_that_stop(machine) {
                    state.processes[cache].life = Life::Draining;
                    for share in &mut *sessions {
                        share.views[cache].cache = None;
                    }
                }
            }
            Action::Drains(machine, session) => {
                let is_alone = state.processes[machine].is_alone(rule);
                let share = &mut sessions[session];
                let has_waited = self.has_waited(share, machine);
                share.release(rule.proves(share.row, has_waited) && is_alone, rule);
            }
            Action::Crashes(machine) => self.crash(state, machine),
            Action::Restarts(machine) => {
                for cache in self.caches_of(machine) {
                    let process = &mut state.processes[cache];
                    process.life = Life::Up;
                    process.known = Known::NotYet;
                    process.restarted = self.remembers;
                }
            }
            Action::IsKnown(machine) => self.take_id(state, machine),
            Action::ClaimsLate(machine, session) => {
                state.was_late[0] |= self.remembers;
                let id = state.processes[machine].id;
                sessions[session].set_owner(Some(id), rule);
            }
            Action::ReleasesLate(machine, session) => {
                state.was_late[1] |= self.remembers;
                let share = &mut sessions[session];
                share.release(share.views[machine].late.release == Some(true), rule);
            }
            Action::DrainsLate(machine, session) => {
                state.was_late[2] |= self.remembers;
                let share = &mut sessions[session];
                let has_waited = share.views[machine].late.drain == Some(true);
                share.release(rule.proves(share.row, has_waited), rule);
            }
            Action::Assigns(session, owner) => {
                let share = &mut sessions[session];
                share.set_owner(owner, rule);
                if owner.is_none() && rule.makes(Mistake::NullProves) {
                    share.row.released = Some(share.row.epoch);
                }
            }
            Action::Replaces(session, owner) => sessions[session].row = Row::born(Some(owner)),
            _ => self.act_seldom(state, action),
        }
    }

    /// What happens in one of the worlds alone.
    fn act_seldom(&self, state: &mut State<M, S>, action: Action) {
        let rule = self.rule;
        let sessions = &mut state.sessions;
        match action {
            Action::Moves(session, owner) => sessions[session].move_to(owner, rule),
            Action::Replicates(session) => sessions[session].standby = sessions[session].row,
            Action::DropsTriggers => sessions.iter_mut().for_each(|share| share.is_bare = true),
            Action::AppliesTriggers => sessions.iter_mut().for_each(|share| share.is_bare = false),
            Action::Touches(session) => {
                let owner = sessions[session].row.owner;
                sessions[session].set_owner(owner, rule);
            }
            Action::Decides(cache, session) => sessions[session].views[cache].decided = true,
            Action::Passes(cache, session) => {
                let passes =
                    state.serves(cache, session, rule) || rule.makes(Mistake::PassesAsDecided);
                let view = &mut state.sessions[session].views[cache];
                (view.decided, view.passes) = (false, passes);
            }
            Action::Evicts(cache, session) => sessions[session].views[cache].since = None,
            Action::Leaves(machine) => {
                let is_alone = state.processes[machine].is_alone(rule);
                state.seat.left = true;
                state.seat.took_over &= !is_alone && !rule.makes(Mistake::LeavesForOthers);
                if state.processes[machine].life == Life::Draining {
                    self.crash(state, machine);
                }
            }
            Action::DeletesMachine => state.seat.is_missing = true,
            Action::PutsBack(machine) => {
                let known_for = state.processes[machine].known_for;
                self.take_id(state, machine);
                if rule.makes(Mistake::PutsBackAtOnce) {
                    state.processes[machine].known_for = known_for;
                }
            }
            _ => unreachable!("{action:?} happens everywhere"),
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

    /// The caches that a release or a drain stops.
    fn caches_that_stop(&self, process: usize) -> Range<usize> {
        if self.rule.makes(Mistake::StopsOneLayer) {
            process..process + 1
        } else {
            self.caches_of(process)
        }
    }

    /// Whether a process has waited for the owner before: in one of its caches is enough, since that
    /// owner has stopped then.
    fn has_waited(&self, share: &Share<M>, process: usize) -> bool {
        let mut caches = share.views[self.caches_of(process)].iter();
        caches.any(|view| self.rule.has_waited(share.row, view.since))
    }

    fn crash(&self, state: &mut State<M, S>, machine: usize) {
        let process = state.processes[machine];
        let drains = process.life == Life::Draining
            && process.known == Known::Now
            // Without a proof it is as if the orchestrator did it.
            && process.is_alone(self.rule);
        for share in &mut state.sessions {
            let has_waited = self.has_waited(share, machine);
            let mut drain = drains.then_some(has_waited);
            for cache in self.caches_of(machine) {
                share.views[cache].crash(drain.take());
            }
        }
        for cache in self.caches_of(machine) {
            let process = &mut state.processes[cache];
            process.life = Life::Down;
            process.has_served = false;
        }
    }

    /// The directory learns which process has the machine's id from now on.
    fn take_id(&self, state: &mut State<M, S>, machine: usize) {
        let id = state.processes[machine].id;
        let mut known_for = 0;
        state.seat.is_missing = false;
        if self.world == World::TwinsThatLeave {
            let left = std::mem::take(&mut state.seat.left);
            state.seat.took_over |= !left;
            if !state.seat.took_over {
                known_for = self.rule.freshness();
            }
        }
        for (other, process) in state.processes.iter_mut().enumerate() {
            if process.id != id {
                continue;
            }
            let is_it = self.process_of(other) == machine;
            if is_it {
                process.known = Known::Now;
                process.known_for = known_for;
            } else if process.known == Known::Now {
                process.known = Known::NoMore;
            }
            if self.rule.makes(Mistake::ReleasesForTheId) {
                continue;
            }
            for share in &mut state.sessions {
                let view = &mut share.views[other];
                view.late.process_changed();
                if !is_it {
                    view.release = None;
                }
            }
        }
    }
}
