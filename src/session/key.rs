//! Session ids as the keys of tables that hold millions.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;
use uuid::Uuid;

use super::SessionId;

/// An id in 24 bytes instead of 40. A text is allocated when it is inserted; to look for an id, none
/// has to be made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SessionKey {
    Uuid(Uuid),
    Text(Box<str>),
}

impl SessionKey {
    /// What it takes beside its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Uuid(_) => 0,
            Self::Text(text) => text.len(),
        }
    }
}

impl From<&SessionId> for SessionKey {
    fn from(id: &SessionId) -> Self {
        match id.as_uuid() {
            Some(uuid) => Self::Uuid(*uuid),
            None => Self::Text(id.with_text(|text| text.into())),
        }
    }
}

impl From<&SessionKey> for SessionId {
    fn from(key: &SessionKey) -> Self {
        match key {
            SessionKey::Uuid(uuid) => Self::new(*uuid),
            SessionKey::Text(text) => Self::of_checked(text),
        }
    }
}

/// As [`SessionId`] hashes.
impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Uuid(uuid) => super::id::hash_uuid(uuid, state),
            Self::Text(text) => state.write(text.as_bytes()),
        }
    }
}

impl Equivalent<SessionKey> for SessionId {
    fn equivalent(&self, key: &SessionKey) -> bool {
        match key {
            SessionKey::Uuid(key) => self.as_uuid() == Some(key),
            SessionKey::Text(key) => self.other_bytes() == Some(key.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[test]
    fn a_key_stands_for_its_id() {
        let texts = [
            "807efe44-d63e-4a24-88f5-dbe96112830a",
            "lobby",
            &"x".repeat(200),
        ];
        let ids = texts.map(|text| text.parse::<SessionId>().unwrap());
        let hash = BuildHasherDefault::<DefaultHasher>::default();
        for id in &ids {
            let key = SessionKey::from(id);
            assert_eq!(hash.hash_one(&key), hash.hash_one(id));
            assert_eq!(SessionId::from(&key), *id);
            for other in &ids {
                assert_eq!(other.equivalent(&key), other == id);
            }
        }
    }

    #[test]
    fn a_key_is_small() {
        assert_eq!(size_of::<SessionKey>(), 24);
    }
}
