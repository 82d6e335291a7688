//! The owners of cached sessions, by small numbers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    MachineId,
    numbered::Numbered,
    session::{Addresses, Facts},
};

/// A machine, and where its sessions say that it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) machine: MachineId,
    pub(super) addresses: Option<Arc<Addresses>>,
}

/// Owners, numbered in the order in which they were first read. A number is read without a lock, and
/// means the same owner as long as the cache lives: if it were given out again, a reader that has just
/// found it could take another machine for the owner. A cache that has seen [`MOST`] owners therefore
/// numbers no more; sessions of others are kept with their owner's id in full.
pub(super) struct Owners {
    numbers: Mutex<HashMap<Owner, u16>>,
    owners: Numbered<Owner>,
}

/// The last number is not given out: it means no owner.
const MOST: usize = Numbered::<Owner>::COUNT - 1;

impl Owners {
    pub(super) fn new() -> Self {
        Self {
            numbers: Mutex::default(),
            owners: Numbered::default(),
        }
    }

    /// The number of the session's owner, if it has one and there are numbers left.
    pub(super) fn number(&self, facts: &Facts) -> Option<u16> {
        let owner = Owner {
            machine: facts.owner.clone()?,
            addresses: facts.addresses.clone(),
        };
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(&owner) {
            return Some(*number);
        }
        let number = u16::try_from(numbers.len()).ok()?;
        let place = self.owners.place(number).filter(|_| numbers.len() < MOST)?;
        place.set(owner.clone()).ok()?;
        numbers.insert(owner, number);
        Some(number)
    }

    /// Lets sessions of one owner share its id, in memory.
    pub(super) fn share(&self, facts: &mut Facts) {
        if let Some(owner) = self.number(facts).and_then(|number| self.get(number)) {
            facts.owner = Some(owner.machine.clone());
            facts.addresses.clone_from(&owner.addresses);
        }
    }

    pub(super) fn get(&self, number: u16) -> Option<&Owner> {
        self.owners.get(number)
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Owners({})", numbers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Session, SessionId, SessionStatus};

    fn facts(owner: &str, address: Option<&str>) -> Facts {
        let session = Session::new(SessionId::new(uuid::Uuid::nil()), SessionStatus::Active);
        let session = session.with_owner(owner.parse().unwrap());
        match address {
            Some(address) => session.with_address(address.parse().unwrap()),
            None => session,
        }
        .into_facts()
    }

    #[test]
    fn an_owner_has_a_number_for_each_of_its_addresses() {
        let owners = Owners::new();
        let cases = [
            ("a", None),
            ("a", Some("http://10.0.0.1")),
            ("a", Some("http://10.0.0.2")),
            ("b", None),
        ];
        for _ in 0..2 {
            for (number, (owner, address)) in (0_u16..).zip(cases) {
                assert_eq!(owners.number(&facts(owner, address)), Some(number));
                let found = owners.get(number).unwrap();
                assert_eq!(found.machine.as_str(), owner);
                assert_eq!(found.addresses, facts(owner, address).addresses);
            }
        }
        assert!(owners.get(4).is_none() && owners.get(u16::MAX).is_none());
    }

    #[test]
    fn no_number_is_given_out_twice() {
        let owners = Owners::new();
        for n in 0..MOST {
            let number = owners.number(&facts(&format!("m{n}"), None));
            assert_eq!(number.map(usize::from), Some(n));
        }
        assert_eq!(owners.number(&facts("one-more", None)), None);
        assert_eq!(owners.number(&facts("m7", None)), Some(7));
    }
}
