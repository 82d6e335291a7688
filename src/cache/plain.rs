//! A session in two words, as long as it has nothing that takes more.

use super::owners::Owners;
use crate::{OwnerStatus, SessionStatus, session::Facts};

/// The facts of a session without attributes, whose numbers are small.
///
/// | where | bits | what |
/// | --- | --- | --- |
/// | `words` | 0 to 31 | the epoch |
/// | | 32 to 63 | for how many milliseconds the session lives on |
/// | `flags` | 0 to 15 | the [number](Owners) of the owner |
/// | | 16 to 19 | [`Self::SERVES`], [`Self::HANDS_OVER`], [`Self::HAS_EPOCH`], [`Self::IS_PROVEN`] |
/// | | 20 to 21 | the status |
/// | | 22 to 24 | the owner's status |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) words: u64,
    pub(super) flags: u32,
}

/// What usually becomes of requests for the session, whatever else the row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    /// This machine may serve by the read without a wait.
    Serves,
    /// Another machine owns it, and can be handed requests.
    HandsOver,
    /// That has to be judged.
    Neither,
}

const NONE: u32 = u32::MAX;
const NO_OWNER: u16 = u16::MAX;

const STATUS: [SessionStatus; 3] = [
    SessionStatus::Active,
    SessionStatus::Starting,
    SessionStatus::Over,
];
const STATUS_AT: u32 = 20;

const PRESENCE: [OwnerStatus; 7] = [
    OwnerStatus::Unknown,
    OwnerStatus::Alive,
    OwnerStatus::Draining,
    OwnerStatus::Silent,
    OwnerStatus::Lost,
    OwnerStatus::NeverSeen,
    OwnerStatus::Superseded,
];
const PRESENCE_AT: u32 = 22;

impl Plain {
    const SERVES: u32 = 1 << 16;
    const HANDS_OVER: u32 = 1 << 17;
    /// The directory keeps epochs, so that the read proves nothing for longer than the lease.
    const HAS_EPOCH: u32 = 1 << 18;
    /// The epoch before was made by a proven release.
    const IS_PROVEN: u32 = 1 << 19;

    /// `None` if it takes more.
    pub(super) fn of(facts: &Facts, usual: Usual, owners: &Owners) -> Option<Self> {
        if facts.has_attributes() {
            return None;
        }
        let owner = match facts.owner {
            Some(_) => owners.number(facts)?,
            None if facts.addresses.is_some() => return None,
            None => NO_OWNER,
        };
        let epoch = small(facts.epoch())?;
        let is_proven = match (facts.epoch(), facts.released()) {
            (_, None) => false,
            (Some(epoch), Some(released)) if epoch.checked_sub(1) == Some(released) => true,
            _ => return None,
        };
        let status = position(&STATUS, &facts.status)?;
        let presence = position(&PRESENCE, &facts.presence)?;
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        Some(Self {
            words: u64::from(small(facts.remaining())?) << 32 | u64::from(epoch),
            flags: u32::from(owner)
                | flag(usual == Usual::Serves, Self::SERVES)
                | flag(usual == Usual::HandsOver, Self::HANDS_OVER)
                | flag(facts.epoch().is_some(), Self::HAS_EPOCH)
                | flag(is_proven, Self::IS_PROVEN)
                | status << STATUS_AT
                | presence << PRESENCE_AT,
        })
    }

    #[inline]
    pub(super) fn usual(self) -> Usual {
        if self.flags & Self::SERVES != 0 {
            Usual::Serves
        } else if self.flags & Self::HANDS_OVER != 0 {
            Usual::HandsOver
        } else {
            Usual::Neither
        }
    }

    #[inline]
    pub(super) fn has_epoch(self) -> bool {
        self.flags & Self::HAS_EPOCH != 0
    }

    /// The number of the owner.
    #[inline]
    pub(super) fn owner(self) -> u16 {
        (self.flags & 0xFFFF) as u16
    }

    /// What it was made of. A word that it was not made of would be a session that is over.
    pub(super) fn facts(self, owners: &Owners) -> Facts {
        let at = |at: u32, mask: u32| (self.flags >> at & mask) as usize;
        let status = STATUS.get(at(STATUS_AT, 3)).copied();
        let mut facts = Facts::new(status.unwrap_or(SessionStatus::Over));
        facts.presence = PRESENCE
            .get(at(PRESENCE_AT, 7))
            .copied()
            .unwrap_or_default();
        if let Some(owner) = owners.get(self.owner()) {
            facts.owner = Some(owner.machine.clone());
            facts.addresses.clone_from(&owner.addresses);
        }
        let [remaining, epoch] = [self.words >> 32, self.words & u64::from(NONE)];
        if remaining != u64::from(NONE) {
            facts.set_remaining(remaining);
        }
        if self.has_epoch() {
            facts.set_epoch(epoch);
        }
        if self.flags & Self::IS_PROVEN != 0 {
            facts.set_released(epoch.wrapping_sub(1));
        }
        facts
    }
}

/// In 32 bits, of which the last value means none.
fn small(number: Option<u64>) -> Option<u32> {
    match number {
        None => Some(NONE),
        Some(number) => u32::try_from(number).ok().filter(|small| *small != NONE),
    }
}

fn position<T: PartialEq>(all: &[T], one: &T) -> Option<u32> {
    let at = all.iter().position(|it| it == one)?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Session, SessionId};

    fn number() -> impl Strategy<Value = Option<u64>> {
        let largest = u64::from(u32::MAX);
        let edges = [0, 1, 7, largest - 1, largest, u64::MAX - 1];
        prop::option::of(prop::sample::select(edges.to_vec()))
    }

    proptest! {
        #[test]
        fn a_session_that_is_kept_in_two_words_is_the_same_session(
            status in prop::sample::select(STATUS.to_vec()),
            presence in prop::sample::select(PRESENCE.to_vec()),
            owner in prop::option::of("[a-c]"),
            address in prop::option::of("http://[a-b]"),
            remaining in number(),
            epoch in number(),
            released in number(),
            usual in prop::sample::select(vec![Usual::Serves, Usual::HandsOver, Usual::Neither]),
        ) {
            let session = Session::new(SessionId::new(uuid::Uuid::nil()), status);
            let mut facts = session.with_owner_status(presence).into_facts();
            facts.owner = owner.map(|owner| owner.parse().unwrap());
            if let Some(it) = address {
                let session = Session::from_facts(SessionId::new(uuid::Uuid::nil()), facts);
                facts = session.with_address(it.parse().unwrap()).into_facts();
            }
            if let Some(it) = remaining { facts.set_remaining(it) }
            if let Some(it) = epoch { facts.set_epoch(it) }
            if let Some(it) = released { facts.set_released(it) }
            let owners = Owners::new();
            let plain = Plain::of(&facts, usual, &owners);
            if let Some(plain) = plain {
                prop_assert_eq!(plain.usual(), usual);
                prop_assert_eq!(plain.has_epoch(), epoch.is_some());
                prop_assert_eq!(plain.facts(&owners), facts);
            } else {
                let is_large = |number: Option<u64>| number.is_some_and(|it| it >= u32::MAX.into());
                let says_more = released.is_some() && released.map(|it| it + 1) != epoch;
                let is_odd = facts.owner.is_none() && facts.addresses.is_some();
                prop_assert!(is_large(remaining) || is_large(epoch) || says_more || is_odd);
            }
        }
    }
}
