//! Which faults come when, and to whom: all of it from the seed, before the run begins.

use std::time::Duration;

use crate::fault::{Fault, Name, Shape, Step};
use crate::settings::Settings;

mod planner;
mod play;
#[cfg(test)]
mod tests;

use planner::Planner;

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
    pub shape: Shape,
    pub first: Vec<Name>,
    /// In the order of their times.
    pub steps: Vec<Step>,
    pub faults: Vec<(Duration, Fault)>,
}

impl Plan {
    pub fn of(settings: &Settings) -> Self {
        let mut planner = Planner::new(settings);
        planner.now = QUIET;
        let kinds = Fault::of(settings);
        let mut deck: Vec<Fault> = Vec::new();
        while planner.now < planner.end {
            // Every kind comes about as often as any other, in an order that is never the same.
            if deck.len() < kinds.len() {
                let mut more = kinds.clone();
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
