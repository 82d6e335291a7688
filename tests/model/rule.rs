//! What the machines go by: the crate's own functions, unless a mistake replaces them.

#[allow(dead_code, reason = "a part of it is for the layer")]
#[path = "../../src/ownership/lease.rs"]
mod lease;

use lease::{Lease, LeaseTtl, Term, previous_owner_may_serve};

use crate::{
    mistake::Mistake,
    row::Row,
    view::{Read, Since},
};

/// What every clock shows. States hold ages instead of times, so any moment will do; and each
/// machine's clock is asked only about that machine.
const NOW: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    freshness: u8,
    mistake: Option<Mistake>,
}

impl Rule {
    /// F is `freshness` ticks.
    pub(crate) const fn new(freshness: u8) -> Self {
        Self {
            freshness,
            mistake: None,
        }
    }

    pub(crate) const fn with(self, mistake: Mistake) -> Self {
        Self {
            mistake: Some(mistake),
            ..self
        }
    }

    pub(crate) fn makes(self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(crate) fn freshness(self) -> u8 {
        self.freshness
    }

    /// Whether an owner at this epoch has to wait.
    pub(crate) fn waits(self, epoch: u8, released: Option<u8>) -> bool {
        let never = self.makes(Mistake::NeverWaits);
        if never || self.makes(Mistake::ProofsLast) && released.is_some() {
            return false;
        }
        previous_owner_may_serve(epoch.into(), released.map(u64::from))
    }

    /// Whether a read lets its owner serve `ahead` ticks from now.
    pub(crate) fn serves(self, read: Read, since: Option<Since>, ahead: u8) -> bool {
        let from = if self.waits(read.epoch, read.released) {
            let counts =
                |since: &Since| since.epoch == read.epoch || self.makes(Mistake::WaitsCarryOver);
            let Some(since) = since.filter(counts) else {
                return false;
            };
            let less = u64::from(self.makes(Mistake::WaitsLess));
            let ttl = LeaseTtl::exactly(u64::from(self.freshness) - less);
            term(since).serves_from(read.released.map(u64::from), ttl)
        } else {
            0
        };
        let read_at = NOW - u64::from(read.age);
        Lease::of(read_at, from, NOW + u64::from(ahead), self.ttl()).is_valid()
    }

    /// Whether a read lets its owner serve now or at some time to come.
    pub(crate) fn will_serve(self, read: Read, since: Option<Since>) -> bool {
        (0..self.freshness).any(|ahead| self.serves(read, since, ahead))
    }

    /// Whether an owner that gives a session up has waited for the one before it.
    pub(crate) fn has_waited(self, row: Row, since: Option<Since>) -> bool {
        since
            .filter(|since| since.epoch == row.epoch)
            .is_some_and(|since| term(since).release_proof(None, NOW, self.ttl()).is_some())
    }

    /// Whether a release, by an owner that has waited or not, is written down with a proof.
    pub(crate) fn proves(self, row: Row, has_waited: bool) -> bool {
        has_waited
            || !self.waits(row.epoch, row.released)
            || self.makes(Mistake::EveryReleaseProves)
    }

    fn ttl(self) -> LeaseTtl {
        LeaseTtl::exactly(u64::from(self.freshness))
    }
}

fn term(since: Since) -> Term {
    Term::new(since.epoch.into(), NOW - u64::from(since.age))
}
