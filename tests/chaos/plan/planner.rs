//! Who is there, and free for a fault, as the plan is made.

use std::time::Duration;

use fastrand::Rng;

use super::{AT_LEAST, LEFT_ALONE, Plan, STARTING};
use crate::fault::{Action, Name, Shape, Step, To};
use crate::settings::Settings;

/// The state of a plan as far as it is made.
pub(super) struct Planner {
    pub(super) dice: Rng,
    pub(super) settings: Settings,
    /// In ms.
    pub(super) now: u64,
    pub(super) end: u64,
    /// Those that live, or will in a moment.
    pub(super) machines: Vec<Machine>,
    pub(super) named: usize,
    pub(super) database_free_by: u64,
    pub(super) standby_free_by: u64,
    pub(super) locks: usize,
    pub(super) plan: Plan,
}

pub(super) struct Machine {
    pub(super) name: Name,
    /// When its last fault is over, in ms.
    free_by: u64,
}

impl Machine {
    pub(super) fn is_free_by(&self, now: u64) -> bool {
        self.free_by <= now
    }
}

impl Planner {
    pub(super) fn new(settings: &Settings) -> Self {
        // The load has a generator of its own: how fast it runs must not change the plan.
        let mut dice = Rng::with_seed(settings.seed);
        let shape = Shape::ALL[dice.usize(0..Shape::ALL.len())];
        let mut planner = Self {
            dice,
            settings: settings.clone(),
            now: 0,
            end: ms(settings.length),
            machines: Vec::new(),
            named: 0,
            database_free_by: 0,
            standby_free_by: 0,
            locks: 0,
            plan: Plan {
                shape,
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

    /// Another machine that runs, in whatever state.
    pub(super) fn another(&mut self, than: &Name) -> Option<Name> {
        let others = self.machines.iter().filter(|machine| machine.name != *than);
        let others: Vec<&Name> = others.map(|machine| &machine.name).collect();
        self.dice.choice(others).cloned()
    }

    pub(super) fn assign(&mut self, to: To) {
        let action = Action::Assign {
            sessions: self.dice.usize(2..12),
            choice: self.dice.u64(..),
            to,
        };
        self.then(0, action);
    }

    pub(super) fn start(&mut self, pause: u64) {
        let name = self.new_machine(self.now + pause + STARTING);
        self.then(pause, Action::Start(name));
    }

    /// A machine that no other fault concerns for as long as this one; `for_good` if it does not
    /// come back, and then there is another one in a moment if they are few.
    pub(super) fn target(&mut self, length: u64, for_good: bool) -> Option<Name> {
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

    pub(super) fn fits(&self, length: u64) -> bool {
        self.now + length <= self.end
    }

    pub(super) fn then(&mut self, pause: u64, action: Action) {
        let at = Duration::from_millis(self.now + pause);
        self.plan.steps.push(Step { at, action });
    }
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("short")
}
