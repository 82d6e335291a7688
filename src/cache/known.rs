//! The sessions that are known.

use quick_cache::sync::Cache as WholeTable;
use siphasher::sip128::SipHasher13;

use super::{
    Stamp,
    budget::{Budget, Weight},
    owners::Owners,
    plain::{Plain, Usual},
    table::{Key, Table, Value},
};
use crate::{
    SessionId, random,
    session::{Facts, SessionKey},
};

/// Two tables, of which a session is in one: [plain](Plain) ones in one of our own, whose readers write
/// nothing and wait for nothing; all others whole in `quick_cache`, which takes the read lock of a part
/// for a hit.
///
/// Writers of one session have to exclude each other.
pub(super) struct Known {
    plain: Table,
    whole: WholeTable<SessionKey, Entry, Weight>,
    owners: Owners,
    /// Makes keys of texts. Secret, so that no two ids can be made up that have the same.
    hasher: SipHasher13,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    pub(super) stamp: Stamp,
}

impl Known {
    pub(super) fn new(sessions: usize, budget: &Budget) -> Self {
        Self {
            plain: Table::new(sessions),
            whole: budget.table(sessions),
            owners: Owners::new(),
            hasher: SipHasher13::new_with_keys(random::number(), random::number()),
        }
    }

    #[inline]
    pub(super) fn key(&self, id: &SessionId) -> Key {
        if let Some(uuid) = id.as_uuid() {
            return uuid.as_u64_pair();
        }
        let hash = self.hasher.hash(id.other_bytes().unwrap_or_default());
        (hash.h1, hash.h2)
    }

    /// What is known of a plain session.
    #[inline]
    pub(super) fn glance(&self, id: &SessionId) -> Option<(Plain, Stamp)> {
        let Value { stamp, more, flags } = self.plain.get(self.key(id))?;
        let words = more;
        Some((Plain { words, flags }, Stamp::of_bits(stamp)))
    }

    pub(super) fn owner_number(&self, facts: &Facts) -> Option<u16> {
        self.owners.number(facts)
    }

    pub(super) fn facts(&self, plain: Plain) -> Facts {
        plain.facts(&self.owners)
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<Entry> {
        self.plainly(id).or_else(|| self.whole.get(id))
    }

    /// The same, which does not count as use.
    pub(super) fn peek(&self, id: &SessionId) -> Option<Entry> {
        self.plainly(id).or_else(|| self.whole.peek(id))
    }

    fn plainly(&self, id: &SessionId) -> Option<Entry> {
        let (plain, stamp) = self.glance(id)?;
        let facts = self.facts(plain);
        Some(Entry { facts, stamp })
    }

    pub(super) fn insert(&self, id: &SessionId, mut entry: Entry, usual: Usual) {
        let Some(Plain { words, flags }) = Plain::of(&entry.facts, usual, &self.owners) else {
            self.owners.share(&mut entry.facts);
            self.whole.insert(id.into(), entry);
            self.plain.remove(self.key(id));
            return;
        };
        let (stamp, more) = (entry.stamp.bits(), words);
        let value = Value { stamp, more, flags };
        self.plain.insert(self.key(id), value);
        self.whole.remove(id);
    }

    pub(super) fn remove(&self, id: &SessionId) {
        self.plain.remove(self.key(id));
        self.whole.remove(id);
    }

    /// Forgets all sessions, and gives what was known of each to `forgotten`.
    pub(super) fn clear(&self, mut forgotten: impl FnMut(Key, Facts)) {
        self.plain.clear(
            |key,
             Value {
                 more: words, flags, ..
             }| {
                forgotten(key, self.facts(Plain { words, flags }));
            },
        );
        for (id, entry) in self.whole.iter() {
            forgotten(self.key(&(&id).into()), entry.facts);
        }
        self.whole.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.whole.len()
    }
}
