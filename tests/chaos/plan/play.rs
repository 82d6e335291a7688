//! What each kind of fault consists of.

use std::time::Duration;

use super::planner::{Planner, ms};
use super::{AT_MOST, LEFT_ALONE, STARTING};
use crate::fault::{Action, Cut, Fault, Name, Shutdown, To};

mod directory;

/// For how long a machine is looked at closely before something happens to it, in ms.
const FOLLOWED: u64 = 400;

impl Planner {
    /// `None` if it cannot be done now.
    pub(super) fn play(&mut self, fault: Fault) -> Option<()> {
        match fault {
            Fault::Start => {
                let room = self.machines.len() < AT_MOST;
                room.then(|| self.start(0))
            }
            Fault::Drain => {
                // What it gives up is asked of it on, past the edge and by both of its layers.
                let length = FOLLOWED + ms(self.settings.drain) + ms(self.settings.linger);
                let name = self.target(length, true)?;
                self.follow(&name);
                self.then(FOLLOWED, Action::Terminate(name));
                Some(())
            }
            Fault::Kill => {
                let name = self.target(0, true)?;
                self.then(0, Action::Kill(name));
                Some(())
            }
            Fault::Stop => {
                let length = FOLLOWED + ms(self.settings.lost_after) + self.dice.u64(300..3_000);
                let name = self.target(length, false)?;
                self.stop_in_the_middle(&name);
                self.then(length, Action::Continue(name));
                Some(())
            }
            Fault::NapAndMove => self.nap_and_move(),
            Fault::CutAndMove => self.cut_and_move(),
            Fault::CutMoveAndDrain => self.cut_move_and_drain(),
            Fault::RestartAfterDrain | Fault::RestartAfterKill => self.restart(fault),
            Fault::Twin | Fault::TwinOfASleeper => self.twin(fault),
            Fault::DatabaseFast => self.restart_database(Shutdown::Fast),
            Fault::DatabaseImmediate => self.restart_database(Shutdown::Immediate),
            Fault::DatabaseAway => self.database_away(),
            Fault::LockRows => self.lock_rows(),
            Fault::LockTable => self.lock_table(),
            Fault::LockAndDrain => self.lock_and_drain(),
            Fault::MoveRows => self.move_rows(),
            Fault::SlowReaders => self.slow_readers(),
            Fault::Standby => self.standby(),
            Fault::Migrate => self.migrate(),
            Fault::CutRefused => self.cut(Cut::Refused),
            Fault::CutSilent => self.cut(Cut::Silent),
            Fault::PeersRefused => self.cut_peers(Cut::Refused),
            Fault::PeersSilent => self.cut_peers(Cut::Silent),
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
                    self.assign(To::Machine(name));
                    let pause = self.dice.u64(200..1_500);
                    self.start(pause);
                })
            }
            Fault::Unassign => {
                self.assign(To::Unassigned);
                Some(())
            }
        }
    }

    fn restart(&mut self, fault: Fault) -> Option<()> {
        // From at once to after it is lost.
        let pause = self.dice.u64(0..ms(self.settings.lost_after) + 1_500);
        let (ending, takes) = match fault {
            Fault::RestartAfterDrain => {
                let takes = self.settings.drain + self.settings.linger;
                (Action::Terminate as fn(Name) -> Action, takes)
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
        // Some time in which the first one must not serve any more.
        let length = if sleeps { asleep } else { STARTING } + notices + 2_000;
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
        self.outage(shutdown, outage)
    }

    fn outage(&mut self, shutdown: Shutdown, outage: u64) -> Option<()> {
        if !self.database_is_free_for(outage) {
            return None;
        }
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

    /// The machine goes on beating, so it keeps its sessions.
    fn cut_peers(&mut self, cut: Cut) -> Option<()> {
        // Around how long its answer is waited for.
        let length = self.dice.u64(500..ms(self.settings.replay) + 2_500);
        let name = self.target(FOLLOWED + length, false)?;
        self.follow(&name);
        self.then(FOLLOWED, Action::CutPeers(name.clone(), cut));
        self.then(FOLLOWED + length, Action::HealPeers(name));
        Some(())
    }

    /// In the middle of writes, some of which so end up between their verdict and their database.
    fn stop_in_the_middle(&mut self, name: &Name) {
        self.follow(name);
        let at = FOLLOWED + self.dice.u64(5..40);
        self.then(FOLLOWED, Action::Burst(name.clone()));
        self.then(at, Action::Stop(name.clone()));
    }

    fn follow(&mut self, name: &Name) {
        let choice = self.dice.u64(..);
        self.then(0, Action::Follow(name.clone(), choice));
    }

    /// From much less than F, which no other machine notices, to more, by when the next owner
    /// serves.
    fn nap_and_move(&mut self) -> Option<()> {
        let nap = self.dice.u64(200..ms(self.settings.lost_after));
        let from = self.target(FOLLOWED + nap + 100, false)?;
        let to = self.another(&from)?;
        self.stop_in_the_middle(&from);
        let moved = FOLLOWED + self.dice.u64(50..200);
        self.then(
            moved,
            Action::Move {
                from: from.clone(),
                to,
            },
        );
        self.then(FOLLOWED + nap + 100, Action::Continue(from));
        Some(())
    }

    fn cut_and_move(&mut self) -> Option<()> {
        let length = self.dice.u64(1_500..4_000);
        let from = self.target(FOLLOWED + length, false)?;
        let to = self.another(&from)?;
        self.cut_and_follow(&from, length);
        let moved = FOLLOWED + self.dice.u64(5..600);
        self.then(moved, Action::Move { from, to });
        Some(())
    }

    /// What the one in the middle gives up, it was never entitled to serve: its word proves nothing
    /// about the first one, which still serves.
    fn cut_move_and_drain(&mut self) -> Option<()> {
        let length = 2_000;
        let free = self
            .machines
            .iter()
            .filter(|machine| machine.is_free_by(self.now));
        if free.count() < LEFT_ALONE + 2 {
            return None;
        }
        let from = self.target(FOLLOWED + length, false)?;
        let drain = ms(self.settings.drain) + ms(self.settings.linger);
        let to = self.target(FOLLOWED + 500 + drain, true)?;
        self.cut_and_follow(&from, length);
        let moved = FOLLOWED + self.dice.u64(5..100);
        self.then(
            moved,
            Action::Move {
                from,
                to: to.clone(),
            },
        );
        let asked = moved + self.dice.u64(20..250);
        self.then(asked, Action::Terminate(to));
        Some(())
    }

    fn cut_and_follow(&mut self, name: &Name, length: u64) {
        self.follow(name);
        self.then(FOLLOWED, Action::Cut(name.clone(), Cut::Silent));
        self.then(FOLLOWED + length, Action::Heal(name.clone()));
    }
}
