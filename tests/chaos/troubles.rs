//! What was wrong, with whom, and from when to when: the reasons that a refusal may have.

use std::time::Duration;

use uuid::Uuid;

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
    /// No machine does.
    NoDatabase,
    /// Two processes have one id, from the start of the younger to the end of the older.
    Twin,
    /// A session was given to a machine before that started.
    Ahead,
    /// Another transaction locks a table against writes.
    Unwritable,
    /// Another transaction locks a table against reads, too.
    Unreadable,
    /// Another transaction locks rows of these sessions.
    RowsLocked,
    /// Rows of these sessions move to another partition.
    RowsMove,
    /// Its connections lead to a standby.
    Standby,
    /// Clients read its answers slowly, or not at all. That excuses nothing.
    SlowReaders,
    /// Other machines do not reach it, or it does not reach them with what it answers.
    PeersCut,
}

impl Trouble {
    /// What keeps all machines from beating.
    pub const SILENCES_ALL: [Self; 3] = [Self::NoDatabase, Self::Unwritable, Self::Unreadable];
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    pub trouble: Trouble,
    /// `None` if it concerns all.
    pub machine: Option<Name>,
    /// If it concerns only these sessions.
    pub sessions: Vec<Uuid>,
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
        self.begin_with(trouble, machine, Vec::new())
    }

    /// Of some sessions alone.
    pub fn begin_of(&mut self, trouble: Trouble, sessions: &[Uuid]) -> Open {
        self.begin_with(trouble, None, sessions.to_vec())
    }

    fn begin_with(&mut self, trouble: Trouble, machine: Option<&str>, sessions: Vec<Uuid>) -> Open {
        self.0.push(Interval {
            trouble,
            machine: machine.map(ToOwned::to_owned),
            sessions,
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
            sessions: Vec::new(),
            from,
            to,
        });
    }

    #[cfg(test)]
    pub fn add_of(&mut self, trouble: Trouble, sessions: &[Uuid], from: At, to: At) {
        self.add(trouble, None, from, to);
        let added = self.0.last_mut().expect("just added");
        added.sessions = sessions.to_vec();
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

    /// Whether one of these troubles of the session was on between the two moments, or had ended
    /// no longer than `after` ago.
    pub fn explain_session(
        &self,
        troubles: &[Trouble],
        session: Uuid,
        (from, to): (At, At),
        after: Duration,
    ) -> bool {
        self.0.iter().any(|interval| {
            interval.sessions.contains(&session)
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
