//! What the model has to be able to tell, or its silence about two owners says nothing.

use stateright::Property;

use crate::{fleet::Fleet, process::Life, report::check, rule::Rule, state::State, view::Read};

const WAITED: &str = "who took a session over serves it after a wait";
const AT_ONCE: &str = "who comes after a release serves at once";
const OLD_NEWS: &str = "who lost a session serves it on old news";
pub(crate) const IN_TURN: &str = "two machines serve in turn";
pub(crate) const RESTARTED: &str = "a machine serves after a restart";
const DRAINED: &str = "what a machine gave up when it drained is served elsewhere";
const LATE_CLAIM: &str = "a machine serves by a claim that nobody waited for";
const LATE_RELEASE: &str = "who comes after a release that was carried out late serves at once";
const LATE_DRAIN: &str = "who comes after a drain that was carried out late serves at once";

impl<const M: usize, const S: usize> Fleet<M, S> {
    pub(crate) fn stories() -> [Property<Self>; 9] {
        [
            story(WAITED, |fleet, state| {
                served_from(fleet, state, |read| {
                    fleet.rule.waits(read.epoch, read.released)
                })
            }),
            story(AT_ONCE, |fleet, state| served_from(fleet, state, is_proven)),
            story(OLD_NEWS, |fleet, state| {
                let owner = state.sessions[0].row.owner;
                let mut serving = state.serving(0, fleet.rule);
                serving.any(|machine| owner != Some(state.processes[machine].id))
            }),
            story(IN_TURN, |_, state| {
                let processes = state.processes.iter();
                processes.filter(|process| process.has_served).count() > 1
            }),
            story(RESTARTED, |fleet, state| {
                let mut serving = state.serving(0, fleet.rule);
                serving.any(|machine| state.processes[machine].restarted)
            }),
            story(DRAINED, |fleet, state| {
                let mut processes = state.processes.iter();
                processes.any(|process| process.life == Life::Draining && process.has_served)
                    && served_from(fleet, state, is_proven)
            }),
            story(LATE_CLAIM, |fleet, state| {
                // From then on nobody else was the owner.
                state.was_late[0]
                    && served_from(fleet, state, |read| {
                        read.epoch == state.sessions[0].row.epoch
                    })
            }),
            story(LATE_RELEASE, |fleet, state| {
                state.was_late[1] && served_from(fleet, state, is_proven)
            }),
            story(LATE_DRAIN, |fleet, state| {
                state.was_late[2] && served_from(fleet, state, is_proven)
            }),
        ]
    }
}

fn story<const M: usize, const S: usize>(
    name: &'static str,
    condition: fn(&Fleet<M, S>, &State<M, S>) -> bool,
) -> Property<Fleet<M, S>> {
    Property::sometimes(name, condition)
}

fn served_from<const M: usize, const S: usize>(
    fleet: &Fleet<M, S>,
    state: &State<M, S>,
    what: impl Fn(Read) -> bool,
) -> bool {
    let views = &state.sessions[0].views;
    let mut serving = state.serving(0, fleet.rule);
    serving.any(|machine| views[machine].cache.is_some_and(&what))
}

/// Whether it was the release of the owner before that let its reader serve.
fn is_proven(read: Read) -> bool {
    read.released.is_some()
}

#[test]
fn whatever_a_fleet_lives_through_is_in_the_model() {
    let stories = [
        WAITED,
        AT_ONCE,
        OLD_NEWS,
        IN_TURN,
        RESTARTED,
        DRAINED,
        LATE_CLAIM,
        LATE_RELEASE,
        LATE_DRAIN,
    ];
    let fleet = Fleet {
        remembers: true,
        ..Fleet::<2, 1>::new(Rule::new(1))
    };
    let found = check("stories", fleet, &stories, None);
    for story in stories {
        found.has(story);
    }
}
