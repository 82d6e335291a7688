//! Faults of the database and of the ways to it, beside its restarts and cuts.

use super::super::planner::{Planner, ms};
use super::FOLLOWED;
use crate::fault::{Action, Locked, Shutdown, To};

impl Planner {
    /// From just as long as the silence after which a machine is lost to a multiple of it.
    pub(super) fn database_away(&mut self) -> Option<()> {
        let silence = ms(self.settings.lost_after);
        let mut outage = silence + self.dice.u64(0..3_000);
        if self.dice.u8(0..4) == 0 {
            outage += self.dice.u64(2_000..5_000);
        }
        let shutdown = *self
            .dice
            .choice(&[Shutdown::Fast, Shutdown::Immediate])
            .expect("two");
        self.outage(shutdown, outage)
    }

    /// Whether nothing else happens to the whole database for so long, which then is reserved.
    pub(super) fn database_is_free_for(&mut self, length: u64) -> bool {
        let is_free = self.database_free_by <= self.now && self.fits(length + 1_000);
        if is_free {
            self.database_free_by = self.now + length + 2_000;
        }
        is_free
    }

    pub(super) fn lock_rows(&mut self) -> Option<()> {
        let length = self.lock_length();
        let (sessions, choice) = (self.dice.usize(2..12), self.dice.u64(..));
        self.fits(length).then(|| {
            self.lock(0, length, Locked::Rows { sessions, choice });
        })
    }

    pub(super) fn lock_table(&mut self) -> Option<()> {
        let length = self.lock_length();
        let tables = ["preview_sessions", "ownership_machines"];
        let table = tables[self.dice.usize(0..tables.len())];
        let reads = self.dice.bool();
        self.database_is_free_for(length).then(|| {
            self.lock(0, length, Locked::Table { table, reads });
        })
    }

    /// From much less than a lookup's timeout to longer than the silence after which a machine is
    /// lost.
    fn lock_length(&mut self) -> u64 {
        self.dice.u64(300..ms(self.settings.lost_after) + 2_500)
    }

    fn lock(&mut self, pause: u64, length: u64, what: Locked) {
        self.locks += 1;
        let number = self.locks;
        self.then(pause, Action::Lock(number, what));
        self.then(pause + length, Action::Unlock(number));
    }

    pub(super) fn lock_and_drain(&mut self) -> Option<()> {
        let drain = ms(self.settings.drain) + ms(self.settings.linger);
        let name = self.target(FOLLOWED + drain + 1_000, true)?;
        self.follow(&name);
        self.lock(FOLLOWED, drain, Locked::Followed(name.clone()));
        self.then(FOLLOWED + 200, Action::Terminate(name));
        Some(())
    }

    pub(super) fn move_rows(&mut self) -> Option<()> {
        // Several times, as rows that are moved by their life are moved again and again.
        let mut pause = 0;
        for _ in 0..self.dice.usize(2..5) {
            let machine = self.dice.choice(&self.machines)?.name.clone();
            let to = match self.dice.u8(0..4) {
                0 => Some(To::Machine(machine)),
                1 => Some(To::Unassigned),
                _ => None,
            };
            let (sessions, choice) = (self.dice.usize(2..12), self.dice.u64(..));
            let moves = Action::MoveRows {
                sessions,
                choice,
                to,
            };
            self.then(pause, moves);
            pause += self.dice.u64(50..800);
        }
        Some(())
    }

    pub(super) fn slow_readers(&mut self) -> Option<()> {
        let length = self.dice.u64(5_000..9_000);
        let name = self.target(length, false)?;
        let choice = self.dice.u64(..);
        self.then(0, Action::ReadSlowly(name.clone(), choice));
        self.then(length, Action::StopReading(name));
        Some(())
    }

    pub(super) fn standby(&mut self) -> Option<()> {
        if self.standby_free_by > self.now {
            return None;
        }
        // Around F, and around after when it is lost.
        let length = self.dice.u64(1_000..ms(self.settings.lost_after) + 4_000);
        let name = self.target(FOLLOWED + length, false)?;
        let to = self.another(&name)?;
        self.standby_free_by = self.now + FOLLOWED + length + 1_000;
        self.follow(&name);
        self.then(FOLLOWED, Action::LeadToStandby(name.clone()));
        if self.dice.bool() {
            let moved = FOLLOWED + self.dice.u64(50..900);
            let from = name.clone();
            self.then(moved, Action::Move { from, to });
        }
        self.then(FOLLOWED + length, Action::LeadToPrimary(name));
        Some(())
    }

    pub(super) fn migrate(&mut self) -> Option<()> {
        let drops_triggers = self.dice.bool();
        self.database_is_free_for(0).then(|| {
            self.then(0, Action::Migrate { drops_triggers });
        })
    }
}
