//! What the directory knows of a session.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Address, MachineId};

mod absent;
mod attributes;
mod canonical;
mod facts;
mod id;
mod ids;
mod key;
mod owner_status;

pub use absent::SessionAbsent;
pub(crate) use facts::{Addresses, Facts};
pub use id::{MalformedSession, SessionId, ShortSessionId};
pub use ids::SessionIds;
pub(crate) use key::SessionKey;
pub use owner_status::OwnerStatus;

use attributes::Attributes;

/// How far a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// It is being created; asking again soon makes sense.
    Starting,
    /// It may be served by its owner.
    Active,
    /// It has ended and will not come back.
    Over,
}

/// What the directory knows of one session at the moment it was read. A clone is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    id: SessionId,
    facts: Facts,
}

impl Session {
    /// A session in this state, with no owner, no end, no address, no epoch and no attributes, of
    /// whose owner's presence nothing is known.
    #[must_use]
    pub fn new(id: SessionId, status: SessionStatus) -> Self {
        Self {
            id,
            facts: Facts::new(status),
        }
    }

    pub(crate) fn from_facts(id: SessionId, facts: Facts) -> Self {
        Self { id, facts }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn into_facts(self) -> Facts {
        self.facts
    }

    /// An active session that belongs to `owner`.
    #[must_use]
    pub fn owned_by(id: SessionId, owner: MachineId) -> Self {
        Self::new(id, SessionStatus::Active).with_owner(owner)
    }

    pub(crate) fn with_status(mut self, status: SessionStatus) -> Self {
        self.facts.status = status;
        self
    }

    /// Assigns the session to a machine. What is known of [where another owner is](Self::owner_address), is
    /// forgotten.
    #[must_use]
    pub fn with_owner(mut self, owner: MachineId) -> Self {
        let before = self.facts.owner.replace(owner);
        let is_another = before.is_some() && before != self.facts.owner;
        let addresses = self.facts.addresses.as_ref();
        if is_another && addresses.is_some_and(|all| all.owner.is_some()) {
            self.facts.addresses_mut().owner = None;
        }
        self
    }

    /// Takes the session from its owner, of whom nothing is told any more.
    #[must_use]
    pub fn without_owner(mut self) -> Self {
        self.facts.owner = None;
        self.facts.presence = OwnerStatus::Unknown;
        self.facts.addresses = None;
        self
    }

    /// Limits the session's life, counted from the moment it was read, in whole milliseconds.
    ///
    /// A duration and not a point in time, because it is the directory's clock that decides and
    /// no machine's wall clock needs to agree with it.
    #[must_use]
    pub fn with_remaining(mut self, remaining: Duration) -> Self {
        let milliseconds = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        self.facts.set_remaining(milliseconds);
        self
    }

    /// Tells where the owner can be reached by a client.
    #[must_use]
    pub fn with_address(mut self, address: Address) -> Self {
        self.facts.addresses_mut().session = Some(address);
        self
    }

    /// Tells the address that the owner wrote with its [heartbeat](crate::NodeBuilder::address).
    #[must_use]
    pub fn with_owner_address(mut self, address: Address) -> Self {
        if self.owner_address() != Some(&address) {
            self.facts.addresses_mut().owner = Some(address);
        }
        self
    }

    /// Sets the fencing token: a number that rises with every change of owner.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.facts.set_epoch(epoch);
        self
    }

    /// Tells that the owner before had stopped serving when it gave the session up, which made
    /// this epoch.
    #[must_use]
    pub fn with_released(mut self, epoch: u64) -> Self {
        self.facts.set_released(epoch);
        self
    }

    /// Tells how its owner is.
    #[must_use]
    pub fn with_owner_status(mut self, presence: OwnerStatus) -> Self {
        self.facts.presence = presence;
        self
    }

    /// Sets what else the application wants to know of the session.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Map<String, Value>) -> Self {
        self.facts.attributes =
            (!attributes.is_empty()).then(|| Arc::new(Attributes::new(attributes)));
        self
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// How far it is in its life.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.facts.status
    }

    /// The machine it is assigned to; `None` while it has no owner.
    #[must_use]
    pub fn owner(&self) -> Option<&MachineId> {
        self.facts.owner.as_ref()
    }

    /// How long it had to live when it was read; `None` without an end.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.facts.remaining().map(Duration::from_millis)
    }

    /// Where a client can reach the owner, if the directory says so: what was written with the session,
    /// or else [what the owner wrote](Self::owner_address).
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        let Addresses { session, owner } = self.facts.addresses.as_deref()?;
        session.as_ref().or(owner.as_ref())
    }

    /// Where another machine can reach the owner, if the directory says so: what the owner wrote with
    /// its [heartbeat](crate::NodeBuilder::address), or else [the session's](Self::address).
    // The owner's comes first, since it is the fresher one: the process that is registered as the owner
    // wrote it when it started. What stands with the session was copied from the owner when it got the
    // session, perhaps by a process before; or an orchestrator wrote it for clients; or it is that of an
    // owner before, where only the owner was written.
    #[must_use]
    pub fn owner_address(&self) -> Option<&Address> {
        let Addresses { session, owner } = self.facts.addresses.as_deref()?;
        owner.as_ref().or(session.as_ref())
    }

    /// The fencing token, if the directory keeps one.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.facts.epoch()
    }

    /// The epoch that was made by an owner that proved its release, if the directory keeps one. It
    /// is a proof only for the epoch right after it.
    #[must_use]
    pub fn released(&self) -> Option<u64> {
        self.facts.released()
    }

    /// The epoch of a session that has an owner: a row without an epoch is at its first.
    pub(crate) fn owned_epoch(&self) -> u64 {
        self.epoch().unwrap_or(1)
    }

    /// How its owner was when it was read, by the directory's clock.
    #[must_use]
    pub fn owner_status(&self) -> OwnerStatus {
        self.facts.presence
    }

    /// The further columns that the application asked for, by column name.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.facts
            .attributes
            .as_ref()
            .map_or(&NONE, |attributes| attributes.map())
    }

    /// The attributes as a type of the application's.
    pub fn attributes_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.attributes())
    }

    /// The machine that may serve it now: none may while it is being created.
    pub(crate) fn serving_owner(&self) -> Option<&MachineId> {
        self.facts.serving_owner()
    }

    /// About how many bytes its attributes and its addresses take.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.facts.heap_bytes()
    }

    /// Whether it is there to be owned, and has no owner.
    pub(crate) fn is_unassigned(&self) -> bool {
        self.facts.status == SessionStatus::Active && self.facts.owner.is_none()
    }

    /// Whether the session's life has ended by the time `age` has passed since it was read.
    pub(crate) fn is_over(&self, age: Duration) -> bool {
        self.facts.status == SessionStatus::Over
            || self.remaining().is_some_and(|remaining| remaining <= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    #[test]
    fn a_life_ends_by_status_or_by_time() {
        let active = Session::new(SessionId::parse(INCIDENT).unwrap(), SessionStatus::Active);
        assert!(!active.is_over(Duration::MAX));
        let brief = active.clone().with_remaining(Duration::from_secs(5));
        assert!(!brief.is_over(Duration::from_secs(4)));
        assert!(brief.is_over(Duration::from_secs(5)));
        assert!(Session::new(active.id().clone(), SessionStatus::Over).is_over(Duration::ZERO));
    }

    #[test]
    fn an_owner_is_reached_where_it_says_and_a_client_where_the_session_says() {
        let address = |host: &str| Address::parse(&format!("https://{host}.example")).unwrap();
        let id = SessionId::parse(INCIDENT).unwrap();
        let owned = |by: &str| Session::owned_by(id.clone(), by.parse().unwrap());
        let of = |session: &Session| {
            let host = |address: Option<&Address>| address.map(|one| one.host().to_owned());
            [host(session.address()), host(session.owner_address())].map(Option::unwrap_or_default)
        };
        let row = owned("m1").with_address(address("row"));
        assert_eq!(of(&row), ["row.example", "row.example"]);
        let both = row.with_owner_address(address("m1"));
        assert_eq!(of(&both), ["row.example", "m1.example"]);
        let heartbeat = owned("m1").with_owner_address(address("m1"));
        assert_eq!(of(&heartbeat), ["m1.example", "m1.example"]);
        // Neither is where another owner is.
        let moved = |session: Session| of(&session.with_owner("m2".parse().unwrap()));
        assert_eq!(moved(both.clone()), ["row.example", "row.example"]);
        assert_eq!(moved(heartbeat), ["", ""]);
        assert_eq!(of(&both.without_owner()), ["", ""]);
    }
}
