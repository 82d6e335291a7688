//! Leaves out of a state what cannot matter any more, so that there are only finitely many: no
//! check has to stop at some number of epochs or at some time.
//!
//! `plain` checks that nothing is lost by it.

use crate::{
    mistake::Mistake,
    row::Row,
    rule::Rule,
    view::{Flight, Read, View},
};

/// What the row's epoch is called, from the second on.
const TOP: u8 = 16;

impl View {
    /// Forgets what can make no difference any more.
    pub(crate) fn settle(&mut self, row: Row, rule: Rule) {
        for slot in 0..self.flights.len() {
            let is_spent = match self.flights[slot] {
                Flight::None => false,
                // What so late an answer tells the machine, the answer to a new question tells it
                // as well, and can be forgotten like this one, which is too old to be served from.
                Flight::Asked { age, claims } => age >= rule.freshness() && !claims,
                Flight::Answered(read) => self.is_spent(read, row, rule),
            };
            if is_spent {
                self.flights[slot] = Flight::None;
            }
        }
        self.each_read(|read| {
            if rule.waits(read.epoch, read.released) {
                read.released = None;
            }
        });
        let is_useless = |read: Read| !rule.will_serve(read, self.since);
        if self.cache.is_some_and(is_useless) {
            self.cache = None;
        }
        let matters =
            |epoch: u8| epoch == row.epoch || self.reads().any(|read| read.epoch == epoch);
        let carries = rule.makes(Mistake::WaitsCarryOver);
        if !carries && !self.since.is_some_and(|since| matters(since.epoch)) {
            self.since = None;
        }
        // All that a machine may still be told is of later epochs.
        if self.given_up != Some(row.epoch) {
            self.given_up = None;
        }
    }

    fn is_spent(&self, read: Read, row: Row, rule: Rule) -> bool {
        read.age >= rule.freshness()
            || self.gave_up(read)
            || read.epoch != row.epoch && !rule.will_serve(read, self.since)
    }

    fn epochs(&self) -> impl Iterator<Item = u8> {
        let reads = self.reads().map(|read| read.epoch);
        reads.chain(self.since.map(|since| since.epoch))
    }

    fn each_read(&mut self, change: impl Fn(&mut Read)) {
        if let Some(read) = &mut self.cache {
            change(read);
        }
        for flight in &mut self.flights {
            if let Flight::Answered(read) = flight {
                change(read);
            }
        }
    }

    fn rename(&mut self, name: impl Fn(u8) -> u8) {
        self.each_read(|read| {
            let epoch = name(read.epoch);
            let old = read.epoch;
            read.released = read.released.map(|released| renamed(released, old, epoch));
            read.epoch = epoch;
        });
        if let Some(since) = &mut self.since {
            since.epoch = name(since.epoch);
        }
        self.given_up = self.given_up.map(name);
    }
}

/// Gives epochs new names, so that they never run out.
///
/// The rule asks three things of them: whether one is the first or earlier, which of two is later,
/// and whether a release made the one just before. So the latest is always called the same, and
/// those before it that are still known somewhere follow without gaps.
pub(crate) fn rename(row: &mut Row, standby: &mut Row, views: &mut [View]) {
    let latest = row.epoch;
    if latest < 2 {
        return;
    }
    let known = views
        .iter()
        .flat_map(View::epochs)
        .chain([standby.epoch])
        .fold(0_u64, |known, epoch| known | 1 << epoch);
    let name = |epoch: u8| {
        let later = (epoch..latest)
            .filter(|later| known & 1 << later != 0)
            .count();
        if epoch < 2 {
            epoch
        } else {
            TOP - u8::try_from(later).unwrap()
        }
    };
    for row in [row, standby] {
        let (old, new) = (row.epoch, name(row.epoch));
        row.released = row.released.map(|released| renamed(released, old, new));
        row.epoch = new;
    }
    for view in views {
        view.rename(name);
    }
}

/// The name of a release beside the `old` epoch, which is called `new`. From two epochs before it
/// on, it does not matter how many; and it is one ahead at most.
fn renamed(released: u8, old: u8, new: u8) -> u8 {
    (new + 1).saturating_sub((old + 1 - released).min(3))
}
