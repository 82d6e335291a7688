//! What has to hold of every run, whatever happened in it.
//!
//! Each rule is a file of its own, a pure function of the history, and each is shown by histories
//! made by hand that break it: a checker that finds nothing has to be known to find something.

use std::fmt;

use crate::history::History;

mod accounts;
mod codes;
mod drains;
mod epochs;
mod fencing;
mod healing;
mod healthy;
mod rights;
mod rows;
#[cfg(test)]
mod sample;
mod streams;
mod twins;

/// What a run has to hold to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Two machines never have the right to serve a session at once.
    OneOwnerAtATime,
    /// No machine serves from a read that is older than the TTL, or after its own release.
    ServingEnds,
    /// A new owner waits one TTL before it serves, unless the session was released.
    ServingWaits,
    /// Of two processes of one id, the older one stops.
    OneProcessAMachine,
    /// A session's epoch never falls, and each epoch has one owner.
    EpochsRise,
    /// What is written by a lower epoch is never seen after what was written by a higher one.
    WritesAreFenced,
    /// Every request is answered or breaks for a known reason, in bounded time.
    NothingIsLost,
    /// Refusals are of the listed kinds, and each has its reason.
    RefusalsHaveReasons,
    /// Streams end when the session goes, and say so.
    StreamsEnd,
    /// No machine takes a session over whose owner was alive and could beat.
    HealthyMachinesKeep,
    /// A machine that drains gives up every session whose row is not locked.
    DrainsGiveUp,
    /// After the last fault all is well again within the bound.
    AllHeals,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// Where rules put what they find.
#[derive(Debug, Default)]
struct Findings {
    violations: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, rule: Rule, what: impl Into<String>) {
        let what = what.into();
        self.violations.push(Violation { rule, what });
    }
}

/// Everything that is wrong with a run.
pub fn check(history: &History) -> Vec<Violation> {
    let mut findings = Findings::default();
    rights::check(history, &mut findings);
    rows::check(history, &mut findings);
    twins::check(history, &mut findings);
    epochs::check(history, &mut findings);
    fencing::check(history, &mut findings);
    accounts::check(history, &mut findings);
    codes::check(history, &mut findings);
    streams::check(history, &mut findings);
    healthy::check(history, &mut findings);
    drains::check(history, &mut findings);
    healing::check(history, &mut findings);
    findings.violations
}
