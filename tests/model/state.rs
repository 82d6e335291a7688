//! The whole fleet at one moment.

use std::hash::{Hash, Hasher};

use crate::{
    process::{Known, Life, Process},
    row::{Id, Row},
    rule::Rule,
    share::Share,
    view::{Flight, Read, View},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State<const M: usize, const S: usize> {
    pub(crate) processes: [Process; M],
    pub(crate) sessions: [Share<M>; S],
    /// Whether an epoch ever fell, or stayed when the owner changed.
    pub(crate) fell: bool,
    /// Whether a claim, a release or a drain was ever carried out late. Kept only to tell a story
    /// by.
    pub(crate) was_late: [bool; 3],
    /// What the directory says of the machine's id that two processes have; see `twins`.
    pub(crate) seat: Seat,
}

/// The row of a machine, beside which process it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seat {
    pub(crate) is_missing: bool,
    /// The process that it names has left.
    pub(crate) left: bool,
    /// A process before that one may be running.
    pub(crate) took_over: bool,
}

impl<const M: usize, const S: usize> State<M, S> {
    pub(crate) fn serves(&self, machine: usize, session: usize, rule: Rule) -> bool {
        let process = self.processes[machine];
        process.life == Life::Up
            && process.known != Known::NotYet
            && process.is_alone(rule)
            && self.sessions[session].views[machine].serves(rule)
            || self.sessions[session].views[machine].passes
    }

    /// Those that may serve a session now.
    pub(crate) fn serving(&self, session: usize, rule: Rule) -> impl Iterator<Item = usize> {
        (0..M).filter(move |machine| self.serves(*machine, session, rule))
    }

    /// Whether nobody will ever serve, from what it knows or is being told, at an epoch before one
    /// at which somebody serves now.
    pub(crate) fn epochs_served_rise(&self, session: usize, rule: Rule) -> bool {
        let views = &self.sessions[session].views;
        let served = self.serving(session, rule);
        let Some(served) = served
            .filter_map(|machine| views[machine].cache)
            .max_by_key(|read| read.epoch)
        else {
            return true;
        };
        let is_up = |machine: &usize| self.processes[*machine].life == Life::Up;
        let mut up = (0..M).filter(is_up);
        up.all(|machine| views[machine].serves_from(served.epoch, rule))
    }

    /// What tells this state from others in all but the order of machines and of sessions.
    fn code(&self, order: [usize; S]) -> Code<M, S> {
        let mut machines = std::array::from_fn(|machine| {
            let owner = Some(self.processes[machine].id);
            let views = order.map(|session| {
                let share = &self.sessions[session];
                let names = |named: Option<Id>| named == owner;
                let Row {
                    owner: now, stamp, ..
                } = share.row;
                share.views[machine].code([now, stamp, share.standby.owner].map(names))
            });
            (self.processes[machine].code(), views)
        });
        machines.sort_unstable();
        (
            order.map(|session| {
                let share = &self.sessions[session];
                (share.row.code(), share.standby.code(), share.is_bare)
            }),
            machines,
        )
    }
}

/// Of the rows, and of the machines with what each knows of the sessions.
type Code<const M: usize, const S: usize> = ([(u16, u16, bool); S], [(u16, [u64; S]); M]);

/// Machines are alike, and so are sessions: of states that differ only in who is who, the checker
/// looks at one. By hash alone, so that what it finds has real names in it.
impl<const M: usize, const S: usize> Hash for State<M, S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        const { assert!(S < 3, "two sessions have two orders") };
        let mut order = std::array::from_fn(|session| session);
        let mut code = self.code(order);
        if S == 2 {
            order.reverse();
            code = code.min(self.code(order));
        }
        (code, self.fell, self.was_late, self.seat).hash(state);
    }
}

impl Row {
    fn code(self) -> u16 {
        u16::from(self.epoch) << 5
            | u16::from(lag(self.epoch, self.released)) << 2
            | u16::from(self.stamp.is_some()) << 1
            | u16::from(self.owner.is_some())
    }
}

impl View {
    /// All of it in one number, in which the order of flights does not show.
    fn code(&self, names_it: [bool; 3]) -> u64 {
        let [one, other] = self.flights.map(|flight| match flight {
            Flight::None => 0,
            Flight::Asked { age, claims } => u64::from(age) << 2 | u64::from(claims) << 1 | 1,
            Flight::Answered(read) => 1 << 12 | read.code(),
        });
        let since = self.since.map_or(0, |since| {
            u64::from(since.age) << 6 | u64::from(since.epoch) << 1 | 1
        });
        let proves = |release: Option<bool>| release.map_or(0, |proves| 1 + u64::from(proves));
        let parts = [
            (self.cache.map_or(0, Read::code), 12),
            (one.min(other), 13),
            (one.max(other), 13),
            (since, 9),
            (self.given_up.map_or(0, u64::from), 5),
            (proves(self.release), 2),
            (u64::from(self.late.claim), 1),
            (proves(self.late.release), 2),
            (proves(self.late.drain), 2),
            (u64::from(self.decided) << 1 | u64::from(self.passes), 2),
        ];
        let parts = parts
            .into_iter()
            .chain(names_it.map(|names| (u64::from(names), 1)));
        parts.fold(0, |code, (part, bits)| code << bits | part)
    }
}

impl Read {
    /// In twelve bits.
    fn code(self) -> u64 {
        let lag = u64::from(lag(self.epoch, self.released));
        u64::from(self.age) << 9 | lag << 6 | u64::from(self.epoch) << 1 | 1
    }
}

fn lag(epoch: u8, released: Option<u8>) -> u8 {
    released.map_or(0, |released| 2 + epoch - released)
}
