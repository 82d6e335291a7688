//! A session that is about to be created, and what came of it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Address, Session, SessionId};

/// A session that a machine is about to [create](crate::SessionDirectory::create).
///
/// ```
/// use std::time::Duration;
/// use tower_ownership::{SessionId, directory::NewSession};
///
/// let id = SessionId::parse("807efe44-d63e-4a24-88f5-dbe96112830a")?;
/// let new = NewSession::new(id)
///     .lifetime(Duration::from_secs(60 * 60))
///     .attributes([("tier".to_owned(), "free".into())].into_iter().collect());
/// # assert_eq!(new.attributes["tier"], "free");
/// # Ok::<(), tower_ownership::session::MalformedSession>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// How long it lives, counted by the directory's clock from when it is created. `None`: as long as
    /// the directory lets it live by default.
    pub lifetime: Option<Duration>,
    /// Where a client can reach the owner. `None`: at the address of the machine's heartbeat.
    pub address: Option<Address>,
    /// What else is stored of it, by name.
    pub attributes: Map<String, Value>,
}

impl NewSession {
    /// A session of this id, without a lifetime, an address and attributes of its own.
    #[must_use]
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            lifetime: None,
            address: None,
            attributes: Map::new(),
        }
    }

    /// Sets how long the session lives, by the directory's clock.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets where a client can reach the owner.
    #[must_use]
    pub fn address(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets what else is stored of the session. A second call replaces the first.
    #[must_use]
    pub fn attributes(mut self, attributes: Map<String, Value>) -> Self {
        self.attributes = attributes;
        self
    }
}

impl From<SessionId> for NewSession {
    fn from(id: SessionId) -> Self {
        Self::new(id)
    }
}

/// What came of an attempt to [create](crate::SessionDirectory::create) a session.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller has to handle both, and there is no third"
)]
pub enum Created {
    /// The session began, and this is how it is.
    New(Session),
    /// A session of this id lives already, of this machine or another, and was left as it is.
    Taken(Session),
}
