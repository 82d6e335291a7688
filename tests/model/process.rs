//! A machine, or rather the process that runs on it.

use crate::{mistake::Mistake, row::Id, rule::Rule};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Up,
    /// It serves nothing any more, and gives up what it owns.
    Draining,
    Down,
}

/// Whether the directory knows a process as the one of its machine's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Known {
    /// It has just been started.
    NotYet,
    /// That stays so after a crash, until another process takes the id.
    Now,
    /// Another process has taken the id.
    NoMore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its machine's.
    pub(crate) id: Id,
    /// Whether another process has the same id; see `twins`.
    pub(crate) has_twin: bool,
    pub(crate) life: Life,
    pub(crate) known: Known,
    /// For how many ticks it has been known, at most F. Counted only where processes share an id.
    pub(crate) known_for: u8,
    /// Whether it took the place of one that crashed. Kept only to tell a story by.
    pub(crate) restarted: bool,
    /// Whether it has served, likewise.
    pub(crate) has_served: bool,
}

impl Process {
    pub(crate) fn new(id: Id) -> Self {
        Self {
            id,
            has_twin: false,
            life: Life::Up,
            known: Known::Now,
            known_for: 0,
            restarted: false,
            has_served: false,
        }
    }

    /// Whether no other process of its id can be serving any more.
    pub(crate) fn is_alone(self, rule: Rule) -> bool {
        !self.has_twin
            || self.known_for == rule.freshness()
            || rule.makes(Mistake::SuccessorsDoNotWait)
    }

    /// All but the id, which is only a name.
    pub(crate) fn code(self) -> u16 {
        let flags = [self.has_twin, self.restarted, self.has_served];
        let flags = flags
            .into_iter()
            .fold(0, |code, flag| code << 1 | u16::from(flag));
        let ages = u16::from(self.known_for) << 4 | (self.known as u16) << 2;
        flags << 8 | ages | self.life as u16
    }
}
