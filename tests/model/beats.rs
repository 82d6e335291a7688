//! Which machine is lost, beside a database that is away for a while.
//!
//! While the database is away, all machines are silent, and none of them is dead. So a silence
//! needs a witness: a machine that was heard without a gap for as long as the other one was not.
//! The rule here is a copy of the one in SQL (`Ownership::is_lost`, `Ownership::steady_since`).
//!
//! Each machine beats once a tick, in any order, and so often as the settings allow: a machine is
//! lost after four intervals. What can happen: machines die and begin again; the database goes away
//! for any time and comes back, or fails over to a server whose clock is ahead. Between two outages,
//! each machine beats once: with outages that hit every beat of one machine and none of another's,
//! nothing tells them from the death of that one.

use stateright::{Model, Property};

use crate::{mistake::Mistake, report::check};

/// After so many ticks without a beat a machine may be lost.
const SILENCE: u8 = 4;
/// A machine that is not heard for longer than that begins to be steady anew.
const GAP: u8 = SILENCE / 2;
/// No time is counted further: by then, all is over that depends on it.
const LONG: u8 = 2 * SILENCE + 1;

/// So long after the last event, a dead machine is lost at the latest: another one has to be steady
/// for the silence, from its next beat on, which is up to a tick away.
const AT_LAST: u8 = SILENCE + 2;

#[derive(Clone, Debug)]
pub(crate) struct Beats<const M: usize> {
    mistake: Option<Mistake>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Machine {
    is_up: bool,
    /// Whether it has tried to beat in this tick.
    tried: bool,
    /// Whether a beat has arrived since the database is back.
    heard: bool,
    /// How long ago it was heard.
    beat: u8,
    /// Since when without a gap.
    steady: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Now<const M: usize> {
    /// The first one owns the session.
    machines: [Machine; M],
    is_away: bool,
    /// For how long nothing has happened.
    calm: u8,
    was_taken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happens {
    Ticks,
    Beats(usize),
    Dies(usize),
    Begins(usize),
    GoesAway,
    ComesBack,
    ClockJumps,
    /// A machine that is heard takes the session of the first one.
    Takes(usize),
}

pub(crate) const KEPT: &str = "no session of a healthy machine is taken";
pub(crate) const FOUND_OUT: &str = "a dead machine is lost in time";

impl<const M: usize> Beats<M> {
    pub(crate) fn new(mistake: Option<Mistake>) -> Self {
        Self { mistake }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn is_lost(&self, now: &Now<M>, machine: usize) -> bool {
        let Machine { beat: silent, .. } = now.machines[machine];
        silent > SILENCE
            && (self.makes(Mistake::SilenceAlone)
                || now.machines.iter().any(|witness| {
                    let is_steady = witness.steady >= witness.beat + SILENCE
                        || self.makes(Mistake::WitnessesMayBeNew);
                    let is_later =
                        witness.beat + SILENCE < silent || self.makes(Mistake::WitnessesMayBeAsOld);
                    witness.beat <= SILENCE && is_steady && is_later
                }))
    }

    fn beat(&self, now: &mut Now<M>, machine: usize) {
        let is_away = now.is_away;
        let machine = &mut now.machines[machine];
        machine.tried = true;
        if is_away {
            return;
        }
        let gap = if self.makes(Mistake::GapsAreWhole) {
            SILENCE
        } else {
            GAP
        };
        if machine.beat > gap || self.makes(Mistake::NoneIsSteady) {
            machine.steady = 0;
        }
        machine.beat = 0;
        machine.heard = true;
    }

    fn tick(now: &mut Now<M>, by: u8) {
        for machine in &mut now.machines {
            machine.beat = (machine.beat + by).min(LONG);
            machine.steady = (machine.steady + by).min(LONG);
        }
    }
}

impl<const M: usize> Model for Beats<M> {
    type State = Now<M>;
    type Action = Happens;

    fn init_states(&self) -> Vec<Self::State> {
        let machine = Machine {
            is_up: true,
            tried: false,
            heard: true,
            beat: 0,
            steady: LONG,
        };
        vec![Now {
            machines: [machine; M],
            is_away: false,
            calm: 0,
            was_taken: false,
        }]
    }

    fn actions(&self, now: &Self::State, actions: &mut Vec<Happens>) {
        let is_done = |machine: &Machine| machine.tried || !machine.is_up;
        if now.machines.iter().all(is_done) {
            actions.push(Happens::Ticks);
        }
        for (at, machine) in now.machines.iter().enumerate() {
            if machine.is_up {
                if !machine.tried {
                    actions.push(Happens::Beats(at));
                }
                actions.push(Happens::Dies(at));
                if !now.is_away && at > 0 && machine.beat <= SILENCE && self.is_lost(now, 0) {
                    actions.push(Happens::Takes(at));
                }
            } else if !now.is_away {
                actions.push(Happens::Begins(at));
            }
        }
        let is_over = |machine: &Machine| machine.heard || !machine.is_up;
        if now.is_away {
            actions.push(Happens::ComesBack);
        } else if now.machines.iter().all(is_over) {
            actions.extend([Happens::GoesAway, Happens::ClockJumps]);
        }
    }

    fn next_state(&self, before: &Self::State, happens: Happens) -> Option<Self::State> {
        let mut now = *before;
        if !matches!(happens, Happens::Ticks | Happens::Beats(_)) {
            now.calm = 0;
        }
        match happens {
            Happens::Ticks => {
                Self::tick(&mut now, 1);
                for machine in &mut now.machines {
                    machine.tried = false;
                }
                if !now.is_away {
                    now.calm = (now.calm + 1).min(AT_LAST);
                }
            }
            Happens::Beats(machine) => self.beat(&mut now, machine),
            Happens::Dies(machine) => {
                let machine = &mut now.machines[machine];
                (machine.is_up, machine.tried, machine.heard) = (false, false, false);
            }
            Happens::Begins(machine) => {
                now.machines[machine] = Machine {
                    is_up: true,
                    tried: true,
                    heard: true,
                    beat: 0,
                    steady: 0,
                };
            }
            Happens::GoesAway => now.is_away = true,
            Happens::ComesBack => {
                now.is_away = false;
                for machine in &mut now.machines {
                    machine.heard = false;
                }
            }
            Happens::ClockJumps => {
                Self::tick(&mut now, SILENCE + 1);
                for machine in &mut now.machines {
                    machine.heard = false;
                }
            }
            Happens::Takes(machine) => {
                now.was_taken |= now.machines[0].is_up;
                now.machines.swap(0, machine);
            }
        }
        // The others are alike.
        now.machines[1..].sort_unstable();
        Some(now)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, now: &Now<M>| !now.was_taken),
            Property::always(FOUND_OUT, |beats: &Self, now: &Now<M>| {
                let any_is_up = now.machines.iter().any(|machine| machine.is_up);
                let [first, ..] = &now.machines[..] else {
                    return true;
                };
                now.calm < AT_LAST || first.is_up || !any_is_up || beats.is_lost(now, 0)
            }),
        ]
    }
}

/// All states of two machines are gone through by `mistakes`. A third one adds witnesses, and
/// nothing that the rule looks at.
#[test]
fn no_session_of_a_healthy_machine_is_taken() {
    let beats = Beats::<3>::new(None);
    let found = check("beats of three", beats, &[KEPT, FOUND_OUT], Some(18));
    found.has_only(&[]);
}
