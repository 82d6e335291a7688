//! A session without its id.

use std::{fmt, sync::Arc};

use super::{OwnerStatus, SessionStatus, attributes::Attributes};
use crate::{Address, MachineId};

/// What is known of a session beside its id.
#[derive(Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) owner: Option<MachineId>,
    /// In milliseconds; [`NONE`] without an end.
    remaining: u64,
    /// [`NONE`] where the directory keeps none.
    epoch: u64,
    released: u64,
    pub(crate) addresses: Option<Arc<Addresses>>,
    pub(super) attributes: Option<Arc<Attributes>>,
    pub(crate) status: SessionStatus,
    pub(crate) presence: OwnerStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Addresses {
    /// As it is written with the session.
    pub(super) session: Option<Address>,
    /// As the owner wrote it with its heartbeat, if that is another one.
    pub(super) owner: Option<Address>,
}

const NONE: u64 = u64::MAX;

fn some(number: u64) -> Option<u64> {
    (number != NONE).then_some(number)
}

impl Facts {
    pub(crate) const fn new(status: SessionStatus) -> Self {
        Self {
            owner: None,
            remaining: NONE,
            epoch: NONE,
            released: NONE,
            addresses: None,
            attributes: None,
            status,
            presence: OwnerStatus::Unknown,
        }
    }

    pub(crate) fn serving_owner(&self) -> Option<&MachineId> {
        let active = self.status == SessionStatus::Active;
        self.owner.as_ref().filter(|_| active)
    }

    /// How many milliseconds it had to live when it was read; `None` without an end.
    pub(crate) fn remaining(&self) -> Option<u64> {
        some(self.remaining)
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        some(self.epoch)
    }

    pub(crate) fn released(&self) -> Option<u64> {
        some(self.released)
    }

    pub(crate) fn set_remaining(&mut self, milliseconds: u64) {
        self.remaining = milliseconds;
    }

    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    pub(crate) fn set_released(&mut self, epoch: u64) {
        self.released = epoch;
    }

    pub(super) fn addresses_mut(&mut self) -> &mut Addresses {
        Arc::make_mut(self.addresses.get_or_insert_default())
    }

    pub(crate) fn has_attributes(&self) -> bool {
        self.attributes.is_some()
    }

    /// About how many bytes its attributes and its addresses take.
    pub(crate) fn heap_bytes(&self) -> usize {
        let addresses = self.addresses.as_ref().map_or(0, |it| it.heap_bytes());
        addresses + self.attributes.as_ref().map_or(0, |it| it.heap_bytes())
    }
}

impl Addresses {
    fn heap_bytes(&self) -> usize {
        let addresses = self.session.iter().chain(&self.owner);
        size_of::<Self>() + addresses.map(Address::heap_bytes).sum::<usize>()
    }
}

/// What there is of it.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = f.debug_struct("Facts");
        facts
            .field("status", &self.status)
            .field("owner", &self.owner);
        for (name, number) in [
            ("remaining_ms", self.remaining()),
            ("epoch", self.epoch()),
            ("released", self.released()),
        ] {
            if let Some(number) = number {
                facts.field(name, &number);
            }
        }
        if self.presence != OwnerStatus::Unknown {
            facts.field("presence", &self.presence);
        }
        if let Some(addresses) = &self.addresses {
            facts.field("addresses", addresses);
        }
        if let Some(attributes) = &self.attributes {
            facts.field("attributes", attributes);
        }
        facts.finish_non_exhaustive()
    }
}
