//! Which faults come when, and to whom: all of it from the seed, before the run begins.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::{Action, Cut, Fault, Name, Shutdown, Step, To};
use crate::settings::Settings;

/// Machines at the beginning, and never fewer for longer than it takes to start one.
pub const AT_LEAST: usize = 4;
const AT_MOST: usize = 6;

/// Machines that a fault leaves alone.
const LEFT_ALONE: usize = 2;

/// Until the first fault, in ms.
const QUIET: u64 = 3_000;

/// How long a new process may need until a fault of its own makes sense, in ms.
const STARTING: u64 = 2_500;

/// A run's faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub first: Vec<Name>,
    /// In the order of their times.
    pub steps: Vec<Step>,
    pub faults: Vec<(Duration, Fault)>,
}

impl Plan {
    pub fn of(settings: &Settings) -> Self {
        let mut planner = Planner::new(settings);
        planner.now = QUIET;
        let mut deck: Vec<Fault> = Vec::new();
        while planner.now < planner.end {
            // Every kind comes about as often as any other, in an order that is never the same.
            if deck.len() < Fault::ALL.len() {
                let mut more = Fault::ALL;
                planner.dice.shuffle(&mut more);
                deck.extend(more);
            }
            let at = Duration::from_millis(planner.now);
            if let Some(next) = deck.iter().position(|fault| planner.play(*fault).is_some()) {
                planner.plan.faults.push((at, deck.remove(next)));
                planner.now += planner.dice.u64(1_200..3_600);
            } else {
                planner.now += 100;
            }
        }
        let mut plan = planner.plan;
        plan.steps.sort_by_key(|step| step.at);
        plan
    }
}

struct Planner {
    dice: Rng,
    settings: Settings,
    /// In ms.
    now: u64,
    end: u64,
    /// Those that live, or will in a moment.
    machines: Vec<Machine>,
    named: usize,
    database_free_by: u64,
    plan: Plan,
}

struct Machine {
    name: Name,
    /// When its last fault is over, in ms.
    free_by: u64,
}

impl Machine {
    fn is_free_by(&self, now: u64) -> bool {
        self.free_by <= now
    }
}

impl Planner {
    fn new(settings: &Settings) -> Self {
        let mut planner = Self {
            // The load has a generator of its own: how fast it runs must not change the plan.
            dice: Rng::with_seed(settings.seed),
            settings: settings.clone(),
            now: 0,
            end: ms(settings.length),
            machines: Vec::new(),
            named: 0,
            database_free_by: 0,
            plan: Plan {
                first: Vec::new(),
                steps: Vec::new(),
                faults: Vec::new(),
            },
        };
        for _ in 0..AT_LEAST {
            let name = planner.new_machine(0);
            planner.plan.first.push(name);
        }
        planner
    }

    /// `None` if it cannot be done now.
    fn play(&mut self, fault: Fault) -> Option<()> {
        match fault {
            Fault::Start => {
                let room = self.machines.len() < AT_MOST;
                room.then(|| self.start(0))
            }
            Fault::Drain => {
                let name = self.target(ms(self.settings.drain), true)?;
                self.then(0, Action::Terminate(name));
                Some(())
            }
            Fault::Kill => {
                let name = self.target(0, true)?;
                self.then(0, Action::Kill(name));
                Some(())
            }
            Fault::Stop => {
                let length = ms(self.settings.lost_after) + self.dice.u64(300..3_000);
                let name = self.target(length, false)?;
                self.then(0, Action::Stop(name.clone()));
                self.then(length, Action::Continue(name));
                Some(())
            }
            Fault::RestartAfterDrain | Fault::RestartAfterKill => self.restart(fault),
            Fault::Twin | Fault::TwinOfASleeper => self.twin(fault),
            Fault::DatabaseFast => self.restart_database(Shutdown::Fast),
            Fault::DatabaseImmediate => self.restart_database(Shutdown::Immediate),
            Fault::CutRefused => self.cut(Cut::Refused),
            Fault::CutSilent => self.cut(Cut::Silent),
            Fault::AssignToMachine => {
                // Whatever state it is in: who assigns may not know.
                let to = self.dice.choice(&self.machines)?.name.clone();
                self.assign(To::Machine(to));
                Some(())
            }
            Fault::AssignAhead => {
                let room = self.machines.len() < AT_MOST && self.fits(STARTING);
                room.then(|| {
                    let name = format!("machine-{}", self.named + 1);
                    self.assign(To::MachineToCome(name));
                    let pause = self.dice.u64(200..1_500);
                    self.start(pause);
                })
            }
            Fault::AssignToNobody => {
                self.assign(To::Nobody);
                Some(())
            }
        }
    }

    fn restart(&mut self, fault: Fault) -> Option<()> {
        // From at once to after it is lost.
        let pause = self.dice.u64(0..ms(self.settings.lost_after) + 1_500);
        let (ending, takes) = match fault {
            Fault::RestartAfterDrain => {
                (Action::Terminate as fn(Name) -> Action, self.settings.drain)
            }
            _ => (Action::Kill as fn(Name) -> Action, Duration::ZERO),
        };
        let length = ms(takes) + pause + STARTING;
        let name = self.target(length, false)?;
        self.then(0, ending(name.clone()));
        self.then(ms(takes) + pause, Action::Start(name));
        Some(())
    }

    fn twin(&mut self, fault: Fault) -> Option<()> {
        let notices = ms(self.settings.notices_a_twin_within());
        let asleep = ms(self.settings.lost_after) + self.dice.u64(0..1_500);
        let sleeps = fault == Fault::TwinOfASleeper;
        let length = if sleeps { asleep } else { STARTING } + notices;
        let name = self.target(length, false)?;
        if sleeps {
            self.then(0, Action::Stop(name.clone()));
            self.then(asleep, Action::ContinueElder(name.clone()));
        }
        let pause = self.dice.u64(0..500);
        self.then(pause, Action::StartTwin(name.clone()));
        self.then(length, Action::KillElder(name));
        Some(())
    }

    fn restart_database(&mut self, shutdown: Shutdown) -> Option<()> {
        let outage = self.dice.u64(0..2_500);
        if self.database_free_by > self.now || !self.fits(outage + 1_000) {
            return None;
        }
        self.database_free_by = self.now + outage + 2_000;
        self.then(0, Action::StopDatabase(shutdown));
        self.then(outage, Action::StartDatabase);
        Some(())
    }

    fn cut(&mut self, cut: Cut) -> Option<()> {
        // Around F, and around after when it is lost.
        let length = self.dice.u64(500..ms(self.settings.lost_after) + 2_500);
        let name = self.target(length, false)?;
        self.then(0, Action::Cut(name.clone(), cut));
        self.then(length, Action::Heal(name));
        Some(())
    }

    fn assign(&mut self, to: To) {
        let action = Action::Assign {
            sessions: self.dice.usize(2..12),
            choice: self.dice.u64(..),
            to,
        };
        self.then(0, action);
    }

    fn start(&mut self, pause: u64) {
        let name = self.new_machine(self.now + pause + STARTING);
        self.then(pause, Action::Start(name));
    }

    /// A machine that no other fault concerns for as long as this one; `for_good` if it does not
    /// come back, and then there is another one in a moment if they are few.
    fn target(&mut self, length: u64, for_good: bool) -> Option<Name> {
        let now = self.now;
        let free = |machine: &&mut Machine| machine.is_free_by(now);
        let count = self.machines.iter_mut().filter(free).count();
        if count <= LEFT_ALONE || !self.fits(length) {
            return None;
        }
        let chosen = self.dice.usize(0..count);
        let machine = self.machines.iter_mut().filter(free).nth(chosen)?;
        machine.free_by = now + length + 500;
        let name = machine.name.clone();
        if for_good {
            self.machines.retain(|machine| machine.name != name);
            if self.machines.len() < AT_LEAST {
                let pause = self.dice.u64(300..3_000);
                self.start(pause);
            }
        }
        Some(name)
    }

    fn new_machine(&mut self, free_by: u64) -> Name {
        self.named += 1;
        let name = format!("machine-{}", self.named);
        self.machines.push(Machine {
            name: name.clone(),
            free_by,
        });
        name
    }

    fn fits(&self, length: u64) -> bool {
        self.now + length <= self.end
    }

    fn then(&mut self, pause: u64, action: Action) {
        let at = Duration::from_millis(self.now + pause);
        self.plan.steps.push(Step { at, action });
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("short")
}

#[cfg(test)]
mod tests;
