//! What the directory knows of a session, and what a handler is told of it.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Address, MachineId};

/// The id of a session: a UUID.
///
/// Session ids are often all that a client needs in order to be let in, so [`Debug`](fmt::Debug)
/// and [`short`](Self::short) show no more than the first eight hexadecimal digits;
/// [`Display`](fmt::Display) shows the whole id, hyphenated and in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The session with this UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads the hyphenated (36 characters) or simple (32 characters) form, in any case.
    ///
    /// The braced and the URN form, which the uuid crate also reads, are malformed here: a second
    /// spelling that nobody sends is only another way to disagree with the application.
    pub fn parse(text: &str) -> Result<Self, MalformedSession> {
        Self::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Self, MalformedSession> {
        match text.len() {
            32 | 36 => Uuid::try_parse_ascii(text)
                .map(Self)
                .map_err(|_| MalformedSession::NotAUuid),
            _ => Err(MalformedSession::NotAUuid),
        }
    }

    /// The UUID itself.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The first eight hexadecimal digits: enough to find a session in a log, too little to use it.
    #[must_use]
    pub const fn short(&self) -> ShortSessionId {
        ShortSessionId(self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}…)", self.short())
    }
}

impl From<Uuid> for SessionId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for SessionId {
    type Err = MalformedSession;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A session id as logs show it; see [`SessionId::short`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortSessionId(Uuid);

impl fmt::Display for ShortSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0.as_fields().0)
    }
}

impl fmt::Debug for ShortSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request that should carry a session carries none that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedSession {
    /// What stands where the session id should stand is not a UUID.
    #[error("the session id is not a UUID")]
    NotAUuid,
    /// The request names two different sessions, and guessing could serve the wrong one.
    #[error("the request names more than one session")]
    Ambiguous,
    /// The part of the request that should hold the id cannot be read at all.
    #[error("the part of the request that should hold the session id cannot be read")]
    Unreadable,
}

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

/// What the directory knows of one session at the moment it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    id: SessionId,
    status: SessionStatus,
    owner: Option<MachineId>,
    remaining: Option<Duration>,
    address: Option<Address>,
    epoch: Option<u64>,
    attributes: Arc<Map<String, Value>>,
}

impl Session {
    /// A session in this state, with no owner, no end, no address, no epoch and no attributes.
    #[must_use]
    pub fn new(id: SessionId, status: SessionStatus) -> Self {
        Self {
            id,
            status,
            owner: None,
            remaining: None,
            address: None,
            epoch: None,
            attributes: Arc::default(),
        }
    }

    /// An active session that belongs to `owner`.
    #[must_use]
    pub fn owned_by(id: SessionId, owner: MachineId) -> Self {
        Self::new(id, SessionStatus::Active).with_owner(owner)
    }

    /// Assigns the session to a machine.
    #[must_use]
    pub fn with_owner(mut self, owner: MachineId) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Limits the session's life, counted from the moment it was read.
    ///
    /// A duration and not a point in time, because it is the directory's clock that decides and
    /// no machine's wall clock needs to agree with it.
    #[must_use]
    pub fn with_remaining(mut self, remaining: Duration) -> Self {
        self.remaining = Some(remaining);
        self
    }

    /// Tells where the owner can be reached by a client.
    #[must_use]
    pub fn with_address(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets the fencing token: a number that rises with every change of owner.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Sets what else the application wants to know of the session.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Map<String, Value>) -> Self {
        self.attributes = Arc::new(attributes);
        self
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// How far it is in its life.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.status
    }

    /// The machine it is assigned to; `None` while nobody owns it.
    #[must_use]
    pub fn owner(&self) -> Option<&MachineId> {
        self.owner.as_ref()
    }

    /// How long it had to live when it was read; `None` without an end.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining
    }

    /// Where a client can reach the owner, if the directory says so.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// The fencing token, if the directory keeps one.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The further columns that the application asked for, by column name.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    /// The attributes as a type of the application's.
    pub fn attributes_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.attributes.as_ref())
    }

    /// The machine that may serve it now: nobody may while it is being created.
    pub(crate) fn serving_owner(&self) -> Option<&MachineId> {
        self.owner
            .as_ref()
            .filter(|_| self.status == SessionStatus::Active)
    }

    /// Whether the session's life has ended by the time `age` has passed since it was read.
    pub(crate) fn is_over(&self, age: Duration) -> bool {
        self.status == SessionStatus::Over
            || self.remaining.is_some_and(|remaining| remaining <= age)
    }
}

/// Proof, in a request's extensions, that this machine owns the request's session.
///
/// Only the layer puts it there, so a handler that asks for it cannot be reached by a request for
/// somebody else's session. It derefs to the [`Session`] that the verdict was made from.
#[derive(Clone, Debug)]
pub struct Owned(Arc<Session>);

impl Owned {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self(session)
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }
}

impl std::ops::Deref for Owned {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// The application's word that it holds no such session although this machine owns it.
///
/// A restart loses what was in memory while the directory's row stays as it was. Put this marker
/// into a response's extensions and the layer answers `410 session-absent` in its place, in the
/// form that the client reads. With axum: `Extension(SessionAbsent)` as the handler's response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionAbsent;

impl SessionAbsent {
    /// The marker.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    #[test]
    fn every_written_form_is_the_same_session() {
        let id = SessionId::parse(INCIDENT).unwrap();
        for form in [
            "807EFE44-D63E-4A24-88F5-DBE96112830A",
            "807efe44d63e4a2488f5dbe96112830a",
        ] {
            assert_eq!(SessionId::parse(form).unwrap(), id);
        }
        assert_eq!(id.to_string(), INCIDENT);
    }

    #[test]
    fn other_spellings_and_near_misses_are_malformed() {
        for form in [
            "",
            "807efe44",
            "{807efe44-d63e-4a24-88f5-dbe96112830a}",
            "urn:uuid:807efe44-d63e-4a24-88f5-dbe96112830a",
            "807efe44-d63e-4a24-88f5-dbe96112830g",
            "807efe44-d63e-4a24-88f5-dbe96112830a ",
            "807efe44d63e-4a24-88f5-dbe96112830a-",
        ] {
            assert_eq!(
                SessionId::parse(form),
                Err(MalformedSession::NotAUuid),
                "{form:?}"
            );
        }
    }

    #[test]
    fn debug_output_does_not_hand_the_session_over() {
        let id = SessionId::parse(INCIDENT).unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(807efe44…)");
        assert!(!format!("{:?}", Session::new(id, SessionStatus::Active)).contains("dbe96112830a"));
    }

    #[test]
    fn a_life_ends_by_status_or_by_time() {
        let active = Session::new(SessionId::parse(INCIDENT).unwrap(), SessionStatus::Active);
        assert!(!active.is_over(Duration::MAX));
        let brief = active.clone().with_remaining(Duration::from_secs(5));
        assert!(!brief.is_over(Duration::from_secs(4)));
        assert!(brief.is_over(Duration::from_secs(5)));
        assert!(
            Session {
                status: SessionStatus::Over,
                ..active
            }
            .is_over(Duration::ZERO)
        );
    }
}
