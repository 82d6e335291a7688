//! What one process knows of one session, and what it has asked of the directory.

use crate::{late::Late, mistake::Mistake, row::Row, rule::Rule};

/// A read that names this machine.
///
/// One that does not is not kept: it lets nobody serve. What it is good for, to claim what somebody
/// else owns, needs no read in the model: a claim may be sent at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Read {
    pub(crate) epoch: u8,
    pub(crate) released: Option<u8>,
    /// How long ago it was sent.
    pub(crate) age: u8,
}

/// For how long this process has known that its machine is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Since {
    pub(crate) epoch: u8,
    pub(crate) age: u8,
}

/// A question to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flight {
    None,
    /// On its way there. It may claim the session, if that is by then as it was.
    Asked {
        age: u8,
        claims: bool,
    },
    /// On its way back.
    Answered(Read),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) cache: Option<Read>,
    pub(crate) flights: [Flight; 2],
    pub(crate) since: Option<Since>,
    /// It may not serve at this epoch or an earlier one, whatever it reads.
    pub(crate) given_up: Option<u8>,
    /// A release on its way, and whether it carries the proof.
    pub(crate) release: Option<bool>,
    pub(crate) late: Late,
    /// A request was judged, and has not reached the handler.
    pub(crate) decided: bool,
    /// A request reaches the handler at this moment.
    pub(crate) passes: bool,
}

impl View {
    pub(crate) const NEW: Self = Self {
        cache: None,
        flights: [Flight::None; 2],
        since: None,
        given_up: None,
        release: None,
        late: Late::NOTHING,
        decided: false,
        passes: false,
    };

    pub(crate) fn serves(&self, rule: Rule) -> bool {
        self.cache
            .is_some_and(|read| rule.serves(read, self.since, 0))
    }

    /// Whether all that it may come to serve from what it knows, or is being told, is of this epoch
    /// or a later one.
    pub(crate) fn serves_from(&self, epoch: u8, rule: Rule) -> bool {
        self.reads().all(|read| {
            read.epoch >= epoch || self.gave_up(read) || !rule.will_serve(read, self.since)
        })
    }

    pub(crate) fn gave_up(&self, read: Read) -> bool {
        self.given_up.is_some_and(|epoch| read.epoch <= epoch)
    }

    /// What is cached, and the answers on their way.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Read> {
        let answers = self.flights.iter().filter_map(|flight| match flight {
            Flight::Answered(read) => Some(*read),
            Flight::None | Flight::Asked { .. } => None,
        });
        self.cache.into_iter().chain(answers)
    }

    /// Time passes on this machine. Ages stop at F: by then all is over that is counted.
    pub(crate) fn tick(&mut self, rule: Rule) {
        let tick = |age: &mut u8| *age = (*age + 1).min(rule.freshness());
        if let Some(read) = &mut self.cache {
            tick(&mut read.age);
        }
        for flight in &mut self.flights {
            match flight {
                Flight::Asked { age, .. } | Flight::Answered(Read { age, .. }) => tick(age),
                Flight::None => {}
            }
        }
        if let Some(since) = &mut self.since {
            tick(&mut since.age);
        }
    }

    pub(crate) fn ask(&mut self, claims: bool) {
        let free = |flight: &&mut Flight| **flight == Flight::None;
        if let Some(flight) = self.flights.iter_mut().find(free) {
            *flight = Flight::Asked { age: 0, claims };
        }
    }

    /// The question reaches the row.
    pub(crate) fn answered(&mut self, slot: usize, row: Row, names_me: bool) {
        let Flight::Asked { age, .. } = self.flights[slot] else {
            return;
        };
        self.flights[slot] = if names_me {
            Flight::Answered(Read {
                epoch: row.epoch,
                released: row.released,
                age,
            })
        } else {
            Flight::None
        };
    }

    /// The answer arrives, and is kept.
    pub(crate) fn arrived(&mut self, slot: usize, rule: Rule) {
        let Flight::Answered(mut read) = self.flights[slot] else {
            return;
        };
        self.flights[slot] = Flight::None;
        if self.gave_up(read) {
            return;
        }
        let anew = rule.makes(Mistake::WaitsAnew);
        let carries = rule.makes(Mistake::WaitsCarryOver);
        let is_known = |since: Since| (since.epoch == read.epoch || carries) && !anew;
        if rule.waits(read.epoch, read.released) && !self.since.is_some_and(is_known) {
            let from_the_question = rule.makes(Mistake::WaitsFromTheQuestion);
            self.since = Some(Since {
                epoch: read.epoch,
                age: if from_the_question { read.age } else { 0 },
            });
        }
        if rule.makes(Mistake::AgesFromTheAnswer) {
            read.age = 0;
        }
        self.cache = Some(read);
    }

    /// Nobody waits for the answer any more. A claim may be on its way all the same.
    pub(crate) fn lose(&mut self, slot: usize) {
        if let Flight::Asked { claims: true, .. } = self.flights[slot] {
            self.late.claim = true;
        }
        self.flights[slot] = Flight::None;
    }

    /// Stops serving, before a release is sent.
    pub(crate) fn give_up(&mut self, row: Row, rule: Rule) {
        if !rule.makes(Mistake::ForgetsWhatItGaveUp) {
            self.given_up = Some(row.epoch);
        }
        if !rule.makes(Mistake::WritesBeforeItStops) {
            self.cache = None;
        }
    }

    /// The process ends, and all that it knew with it. What it wrote stays on its way.
    pub(crate) fn crash(&mut self, drain: Option<bool>) {
        let claims = |flight: &Flight| matches!(flight, Flight::Asked { claims: true, .. });
        let late = Late {
            claim: self.late.claim || self.flights.iter().any(claims),
            release: self.late.release.max(self.release),
            drain: self.late.drain.max(drain),
        };
        *self = Self { late, ..Self::NEW };
    }

    /// The owner changed: what was on its way for things as they were does nothing any more.
    pub(crate) fn owner_changed(&mut self) {
        for flight in &mut self.flights {
            if let Flight::Asked { claims, .. } = flight {
                // Like any claim that fails, it still tells how things are.
                *claims = false;
            }
        }
        self.release = None;
        self.late.owner_changed();
    }
}
