//! What was wrong, with whom, and from when to when: the reasons that a refusal may have.

use std::time::Duration;

use crate::clock::At;
use crate::fault::Name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The process is being started, and is not ready yet.
    Starting,
    /// From SIGTERM until it is gone.
    Draining,
    /// From SIGKILL until the edge knows, or until it is back.
    Dead,
    /// From SIGSTOP to SIGCONT.
    Stopped,
    /// It does not reach the database.
    Cut,
    /// Nobody does.
    NoDatabase,
    /// Two processes have one id, from the start of the younger to the end of the older.
    Twin,
    /// A session was given to a machine before that started.
    Ahead,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    pub trouble: Trouble,
    /// `None` if it concerns all.
    pub machine: Option<Name>,
    pub from: At,
    pub to: At,
}

#[derive(Clone, Debug, Default)]
pub struct Troubles(Vec<Interval>);

/// One that has not ended.
#[derive(Clone, Copy, Debug)]
#[must_use = "it goes on until it is ended"]
pub struct Open(usize);

impl Troubles {
    pub fn begin(&mut self, trouble: Trouble, machine: Option<&str>) -> Open {
        self.0.push(Interval {
            trouble,
            machine: machine.map(ToOwned::to_owned),
            from: At::now(),
            to: At::NEVER,
        });
        Open(self.0.len() - 1)
    }

    pub fn end(&mut self, open: Open) {
        self.0[open.0].to = At::now();
    }

    #[cfg(test)]
    pub fn add(&mut self, trouble: Trouble, machine: Option<&str>, from: At, to: At) {
        self.0.push(Interval {
            trouble,
            machine: machine.map(ToOwned::to_owned),
            from,
            to,
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = &Interval> {
        self.0.iter()
    }

    /// Whether one of these troubles was on between the two moments, or had ended no longer than
    /// `after` ago; with one of these machines or with all.
    pub fn explain(
        &self,
        troubles: &[Trouble],
        machines: Option<&[&str]>,
        (from, to): (At, At),
        after: Duration,
    ) -> bool {
        self.0.iter().any(|interval| {
            let concerns = match (&interval.machine, machines) {
                (None, _) | (_, None) => true,
                (Some(machine), Some(machines)) => machines.contains(&machine.as_str()),
            };
            concerns
                && troubles.contains(&interval.trouble)
                && interval.from <= to
                && interval.to + after >= from
        })
    }

    /// How much of the time between the two moments there was one of these.
    pub fn within(&self, troubles: &[Trouble], from: At, to: At) -> Duration {
        let of_kind = self.0.iter().filter(|one| troubles.contains(&one.trouble));
        let overlap = |one: &Interval| one.to.min(to).since(one.from.max(from));
        of_kind.map(overlap).sum()
    }
}
