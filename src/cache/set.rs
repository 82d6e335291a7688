//! Twelve slots that are read without a lock and without a write.
//!
//! # Protocol
//! A set is a sequence lock. Writers exclude each other by a mutex of the table. A writer makes the
//! version of the set odd, issues a release fence, changes one slot and its tag, and stores the next
//! even version with release ordering. A reader loads the version with acquire ordering, then tags,
//! key and value, issues an acquire fence, and loads the version again. If it is the same and even,
//! no write of the set overlapped the read, so key and value belong together. All words are atomics:
//! a torn read is a wrong value that is dropped, and no undefined behaviour.
//!
//! An absent tag needs no check of the version: words with tags are stored as a whole, and a write
//! of one slot changes no tag of another. A removal clears the tag, and nothing else: a slot
//! without one matches no key. The version wraps after 2^31 writes of one set, and a read would have
//! to take exactly as long as these.

use super::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// What an entry is found by: the bits of a UUID, or a keyed 128-bit hash of a text.
pub(crate) type Key = (u64, u64);

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// Orders eviction: of the entries that compete for a slot, the one with the least goes.
    pub(crate) stamp: u64,
    pub(crate) more: u64,
    pub(crate) flags: u32,
}

/// Slots of a set: as many as fill seven cache lines exactly.
pub(super) const WAYS: usize = 12;
/// The bit of a tag that says that its slot is taken.
pub(super) const TAKEN: u8 = 0x80;
/// The tag of a free slot.
pub(super) const FREE: u8 = 0;
/// The lowest bit of a version within [`Set::control`]: set while a slot is written.
const ODD: u64 = 1 << 32;
/// One in each byte.
const EACH: u64 = u64::from_ne_bytes([1; 8]);

#[repr(C, align(64))]
pub(super) struct Set {
    /// The tags of the first eight slots, a byte each.
    tags: AtomicU64,
    /// The tags of the other four slots in the lower half, the version in the upper one.
    control: AtomicU64,
    flags: [AtomicU32; WAYS],
    /// The two halves of the key, the stamp, and the other word of the value.
    slots: [[AtomicU64; 4]; WAYS],
}

/// What one try finds.
pub(super) enum Read {
    Found(Value),
    Absent,
    /// A write overlapped the try.
    Torn,
}

impl Set {
    pub(super) fn new() -> Self {
        Self {
            tags: AtomicU64::new(0),
            control: AtomicU64::new(0),
            flags: std::array::from_fn(|_| AtomicU32::new(0)),
            slots: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    #[inline]
    pub(super) fn read(&self, key: Key, tag: u8) -> Read {
        let control = self.control.load(Ordering::Acquire);
        let Some(way) = self.search(key, tag, control) else {
            return Read::Absent;
        };
        let value = self.value(way);
        fence(Ordering::Acquire);
        // An odd version has left what it is compared with behind.
        if self.control.load(Ordering::Relaxed) == control & !ODD {
            Read::Found(value)
        } else {
            Read::Torn
        }
    }

    #[inline]
    fn search(&self, key: Key, tag: u8, control: u64) -> Option<usize> {
        let among = |tags: u64, first: usize| -> Option<usize> {
            let mut matching = matching(tags, tag);
            while matching != 0 {
                let way = first + matching.trailing_zeros() as usize / 8;
                let [high, low, ..] = self.slots.get(way)?;
                if (high.load(Ordering::Relaxed), low.load(Ordering::Relaxed)) == key {
                    return Some(way);
                }
                matching &= matching - 1;
            }
            None
        };
        among(self.tags.load(Ordering::Relaxed), 0).or_else(|| among(control & (ODD - 1), 8))
    }

    pub(super) fn key(&self, way: usize) -> Key {
        let [high, low, ..] = &self.slots[way];
        (high.load(Ordering::Relaxed), low.load(Ordering::Relaxed))
    }

    #[inline]
    fn value(&self, way: usize) -> Value {
        let [_, _, stamp, more] = &self.slots[way];
        Value {
            stamp: stamp.load(Ordering::Relaxed),
            more: more.load(Ordering::Relaxed),
            flags: self.flags[way].load(Ordering::Relaxed),
        }
    }
}

/// For the writer that holds the lock.
impl Set {
    pub(super) fn find(&self, key: Key, tag: u8) -> Option<usize> {
        self.search(key, tag, self.control.load(Ordering::Relaxed))
    }

    pub(super) fn write(&self, way: usize, tag: u8, key: Key, value: Value) {
        // After a panic between the two stores of the version, this makes it even again.
        let odd = self.control.load(Ordering::Relaxed) | ODD;
        self.control.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        let words = [key.0, key.1, value.stamp, value.more];
        for (word, new) in self.slots[way].iter().zip(words) {
            word.store(new, Ordering::Relaxed);
        }
        self.flags[way].store(value.flags, Ordering::Relaxed);
        self.set_tag(way, tag);
        let even = self.control.load(Ordering::Relaxed).wrapping_add(ODD);
        self.control.store(even, Ordering::Release);
    }

    /// Frees the slot and returns what is in it.
    pub(super) fn remove(&self, way: usize) -> Value {
        self.set_tag(way, FREE);
        self.value(way)
    }

    /// The first free slot, unless all are taken.
    pub(super) fn free(&self) -> Option<usize> {
        self.tags().iter().position(|tag| *tag == FREE)
    }

    /// The slots that are taken.
    pub(super) fn taken(&self) -> impl Iterator<Item = usize> {
        let tags = self.tags();
        (0..WAYS).filter(move |way| tags[*way] != FREE)
    }

    pub(super) fn stamp(&self, way: usize) -> u64 {
        self.slots[way][2].load(Ordering::Relaxed)
    }

    fn tags(&self) -> [u8; WAYS] {
        let words = [&self.tags, &self.control];
        let bytes = words.map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        std::array::from_fn(|way| bytes[way / 8][way % 8])
    }

    fn set_tag(&self, way: usize, tag: u8) {
        let word = [&self.tags, &self.control][way / 8];
        let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
        bytes[way % 8] = tag;
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
}

/// The top bit of each byte of `tags` that equals the tag, and possibly of bytes after it that
/// differ from the tag in the lowest bit alone, as the subtraction borrows; never of a free slot,
/// which differs in the top bit.
#[inline]
fn matching(tags: u64, tag: u8) -> u64 {
    let difference = tags ^ (EACH * u64::from(tag));
    difference.wrapping_sub(EACH) & !difference & (EACH * u64::from(TAKEN))
}
