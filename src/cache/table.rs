//! A bounded table that is read without a lock and without a write.
//!
//! # Layout
//! A set is seven cache lines: one with the tags, the version and the flags of twelve slots, and six
//! with their keys and words. A slot is 37 bytes, and a hit reads two lines. A key belongs into
//! either of two sets: the first until it is half full, then the one with more room. If the
//! table or both sets are full, the least [stamp](Value::stamp) of both is evicted.
//! Sets are allocated sixteen at a time, when one of them is first written.
//!
//! # Protocol
//! Each set is a sequence lock. Writers exclude each other by one mutex. A writer makes the version
//! of a set odd, issues a release fence, changes one slot and its tag, and stores the next even
//! version with release ordering. A reader loads the version with acquire ordering, then tags, key and
//! value, issues an acquire fence, and loads the version again: if it is the same and even, no
//! write of the set overlapped the read, so key and value belong together. Otherwise it tries
//! again, and after [`TRIES`] the read is a miss, so that a writer which is descheduled delays no
//! reader. An absent tag needs no check: words with tags are stored as a whole, and no write of
//! one slot changes the tag of another. A removal only clears the tag, and a slot without one
//! matches no key, so what is left in the slot is not found again. All words are atomics, so a
//! torn read is a wrong value that is dropped, and no undefined behaviour. The version wraps after
//! 2^31 writes of one set: a read would have to take exactly as long as these.
//!
//! # Alternatives
//! In one program a hit takes 74 instructions here, 270 in `quick_cache` (and a write to a shared
//! lock) and 290 in `papaya` (which evicts nothing). A million entries take 39 bytes each here, 95
//! and 70 there. A version for each slot would let fewer reads overlap a write, at 4 bytes a slot.
//! A second choice of set only when the first is full would save a third line more often, and
//! evict at 93.8 % of the capacity instead of 97 %. A zeroed allocation of the whole table would
//! save five instructions of a hit, and needs `unsafe` or a crate that has it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::sync::{
    AtomicU32, AtomicU64, Mutex, MutexGuard, OnceLock, Ordering, PoisonError, fence, spin_loop,
};

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
const WAYS: usize = 12;
/// Sets that are allocated together: 7 KiB.
const SEGMENT: usize = 16;
/// Tries of one read. The writes of a set take some 20 ns, less than a try and its pause.
const TRIES: usize = 8;
/// The most entries that a capacity may ask for: 40 GB.
const MAX_CAPACITY: usize = 1 << 30;
/// The lowest bit of a version within [`Set::control`]: set while a slot is written.
const ODD: u64 = 1 << 32;
/// The bit of a tag that says that its slot is taken.
const TAKEN: u8 = 0x80;
/// One in each byte.
const EACH: u64 = u64::from_ne_bytes([1; 8]);

/// Entries by key, at most as many as its capacity.
pub(crate) struct Table {
    segments: Box<[OnceLock<Box<Segment>>]>,
    sets: u64,
    /// Secret, so that a client cannot choose ids that share a set.
    seed: Key,
    capacity: usize,
    writers: Writers,
}

type Segment = [Set; SEGMENT];

/// The number of entries, for the writer that holds the lock. In lines of its own: those of the
/// other fields are read by every hit and never written.
#[repr(align(128))]
struct Writers(Mutex<usize>);

#[repr(C, align(64))]
struct Set {
    /// The tags of the first eight slots, a byte each; zero if the slot is free.
    tags: AtomicU64,
    /// The tags of the other four slots in the lower half, the version in the upper one.
    control: AtomicU64,
    flags: [AtomicU32; WAYS],
    /// The two halves of the key, the stamp, and the other word of the value.
    slots: [[AtomicU64; 4]; WAYS],
}

/// What one try on one set finds.
enum Read {
    Found(Value),
    Absent,
    /// A write overlapped the try.
    Torn,
}

#[derive(Clone, Copy)]
struct Hash(u64);

impl Table {
    /// An empty table for at least one entry.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MAX_CAPACITY);
        let sets = capacity.div_ceil(WAYS);
        let segments = sets.div_ceil(SEGMENT);
        let random = || RandomState::new().build_hasher().finish();
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            sets: sets as u64,
            seed: (random(), random()),
            capacity,
            writers: Writers(Mutex::new(0)),
        }
    }

    /// The value that was last inserted for the key, unless it was removed or evicted, or writes of
    /// its set overlapped every try.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<Value> {
        let hash = self.hash(key);
        match self.read(hash.first(self.sets), key, hash) {
            Read::Found(value) => Some(value),
            Read::Absent | Read::Torn => self.get_slowly(key, hash),
        }
    }

    /// Every try but the first. Not inlined, so that the usual hit stays short.
    #[inline(never)]
    fn get_slowly(&self, key: Key, hash: Hash) -> Option<Value> {
        for _ in 1..TRIES {
            let mut torn = false;
            for index in [hash.second(self.sets), hash.first(self.sets)] {
                match self.read(index, key, hash) {
                    Read::Found(value) => return Some(value),
                    Read::Absent => {}
                    Read::Torn => torn = true,
                }
            }
            if !torn {
                break;
            }
            spin_loop();
        }
        None
    }

    /// Replaces the value of the key, takes a free slot, or evicts another entry.
    pub(crate) fn insert(&self, key: Key, value: Value) {
        let hash = self.hash(key);
        let mut len = self.lock();
        let slot = self.find(key, hash).or_else(|| self.room(hash, &mut len));
        if let Some((set, way)) = slot {
            set.write(way, hash.tag(), key, value);
        }
    }

    /// Removes the entry and returns its value. No later read finds it.
    pub(crate) fn remove(&self, key: Key) -> Option<Value> {
        let mut len = self.lock();
        let (set, way) = self.find(key, self.hash(key))?;
        set.set_tag(way, 0);
        *len -= 1;
        Some(set.value(way))
    }

    pub(crate) fn clear(&self) {
        let mut len = self.lock();
        for segment in self.segments.iter().filter_map(OnceLock::get) {
            for set in segment.iter() {
                (0..WAYS).for_each(|way| set.set_tag(way, 0));
            }
        }
        *len = 0;
    }

    /// The number of entries. Waits for a writer.
    pub(crate) fn len(&self) -> usize {
        *self.lock()
    }

    /// A writer that panicked has left no set in a state that the next write of it does not repair.
    fn lock(&self) -> MutexGuard<'_, usize> {
        let writers = self.writers.0.lock();
        writers.unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded")]
    fn hash(&self, (high, low): Key) -> Hash {
        let product = u128::from(high ^ self.seed.0) * u128::from(low ^ self.seed.1);
        Hash((product >> 64) as u64 ^ product as u64)
    }

    #[inline]
    fn read(&self, index: usize, key: Key, hash: Hash) -> Read {
        let set = self.set(index);
        set.map_or(Read::Absent, |set| set.read(key, hash.tag()))
    }

    /// The set, unless its segment was never written.
    #[inline]
    fn set(&self, index: usize) -> Option<&Set> {
        let segment = self.segments.get(index / SEGMENT)?.get()?;
        Some(&segment[index % SEGMENT])
    }

    fn find(&self, key: Key, hash: Hash) -> Option<(&Set, usize)> {
        hash.sets(self.sets).into_iter().find_map(|index| {
            let set = self.set(index)?;
            let way = set.find(key, hash.tag(), set.control.load(Ordering::Relaxed))?;
            Some((set, way))
        })
    }

    /// A slot for a new entry, which is counted. It is there: were both sets empty, the table would
    /// not be full, since all other sets have fewer slots than its capacity.
    fn room(&self, hash: Hash, len: &mut usize) -> Option<(&Set, usize)> {
        let sets = hash.sets(self.sets).map(|index| {
            let segment = self.segments[index / SEGMENT]
                .get_or_init(|| Box::new(std::array::from_fn(|_| Set::new())));
            &segment[index % SEGMENT]
        });
        if *len < self.capacity {
            let [first, second] = sets.map(|set| set.taken().count());
            let set = sets[usize::from(first > WAYS / 2 && first > second)];
            if let Some(way) = (0..WAYS).find(|way| set.tag(*way) == 0) {
                *len += 1;
                return Some((set, way));
            }
        }
        let entries = sets
            .into_iter()
            .flat_map(|set| set.taken().map(move |way| (set, way)));
        entries.min_by_key(|(set, way)| set.value(*way).stamp)
    }
}

impl Hash {
    /// From the lowest bits, which neither set depends on.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a tag is the lowest byte")]
    fn tag(self) -> u8 {
        self.0 as u8 | TAKEN
    }

    #[inline]
    fn first(self, sets: u64) -> usize {
        scale(self.0, sets)
    }

    #[inline]
    fn second(self, sets: u64) -> usize {
        scale(self.0.rotate_left(32), sets)
    }

    fn sets(self, sets: u64) -> [usize; 2] {
        [self.first(sets), self.second(sets)]
    }
}

/// Spreads numbers evenly over less than `end`, by their highest bits.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is less than the number of sets"
)]
fn scale(number: u64, end: u64) -> usize {
    ((u128::from(number) * u128::from(end)) >> 64) as usize
}

impl Set {
    fn new() -> Self {
        Self {
            tags: AtomicU64::new(0),
            control: AtomicU64::new(0),
            flags: std::array::from_fn(|_| AtomicU32::new(0)),
            slots: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    #[inline]
    fn read(&self, key: Key, tag: u8) -> Read {
        let control = self.control.load(Ordering::Acquire);
        let Some(way) = self.find(key, tag, control) else {
            return Read::Absent;
        };
        let value = self.value(way);
        fence(Ordering::Acquire);
        // An odd version differs from what it is compared with, and comes after that.
        if self.control.load(Ordering::Relaxed) == control & !ODD {
            Read::Found(value)
        } else {
            Read::Torn
        }
    }

    #[inline]
    fn find(&self, key: Key, tag: u8, control: u64) -> Option<usize> {
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

    #[inline]
    fn value(&self, way: usize) -> Value {
        let [_, _, stamp, more] = &self.slots[way];
        Value {
            stamp: stamp.load(Ordering::Relaxed),
            more: more.load(Ordering::Relaxed),
            flags: self.flags[way].load(Ordering::Relaxed),
        }
    }

    fn taken(&self) -> impl Iterator<Item = usize> {
        (0..WAYS).filter(|way| self.tag(*way) != 0)
    }

    fn tag(&self, way: usize) -> u8 {
        let (word, byte) = self.tag_at(way);
        word.load(Ordering::Relaxed).to_le_bytes()[byte]
    }

    fn set_tag(&self, way: usize, tag: u8) {
        let (word, byte) = self.tag_at(way);
        let mut tags = word.load(Ordering::Relaxed).to_le_bytes();
        tags[byte] = tag;
        word.store(u64::from_le_bytes(tags), Ordering::Relaxed);
    }

    fn tag_at(&self, way: usize) -> (&AtomicU64, usize) {
        let words = [&self.tags, &self.control];
        (words[way / 8], way % 8)
    }

    /// Only for the writer that holds the lock.
    fn write(&self, way: usize, tag: u8, key: Key, value: Value) {
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
}

/// The top bit of each byte of `tags` that equals the tag, and possibly of bytes after it that
/// differ from the tag in the lowest bit alone, as the subtraction borrows; never of a free slot,
/// which differs in the top bit.
#[inline]
fn matching(tags: u64, tag: u8) -> u64 {
    let difference = tags ^ (EACH * u64::from(tag));
    difference.wrapping_sub(EACH) & !difference & (EACH * u64::from(TAKEN))
}
