//! A bounded table that is read without a lock and without a write.
//!
//! A key belongs into either of two [sets](Set) of twelve slots: the first until it is half full,
//! then the one with more room. If the table or the set is full, the entry with the least
//! [stamp](Value::stamp) in both sets is evicted: near to least recently used, since what is busy
//! is read from the directory again. Sets are allocated sixteen at a time, when one of them is
//! first written. One mutex excludes writers from each other, and a reader never waits: a read that
//! writes overlap is tried [again](TRIES), and then is a miss.
//!
//! In one program, a hit takes 75 instructions and reads two cache lines, and a million entries
//! take 39 bytes each. `quick_cache` takes 270 and 95, and writes to a lock that all cores share;
//! `papaya` takes 290 and 70, and evicts nothing.
//!
//! Rejected: a version for each slot lets fewer reads overlap a write, and takes 4 bytes more for
//! each. The second set only when the first is full saves the read of a third line more often, and
//! evicts from 93.8 % of the capacity on instead of 97 %. One zeroed allocation for all sets saves
//! five instructions of a hit, and needs `unsafe` or a crate that has it.

pub(crate) use super::set::{Key, Value};
use super::set::{Read, Set, TAKEN, WAYS};
use super::sync::{Mutex, MutexGuard, OnceLock, PoisonError, SEGMENT, TRIES, spin_loop};
use crate::random;

/// The most entries that a capacity may ask for, which take 40 GB.
const MAX_CAPACITY: usize = 1 << 30;

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

#[derive(Clone, Copy)]
struct Hash(u64);

impl Table {
    /// An empty table for at least one entry.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MAX_CAPACITY);
        let sets = capacity.div_ceil(WAYS);
        let segments = sets.div_ceil(SEGMENT);
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            sets: sets as u64,
            seed: (random::number(), random::number()),
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
        *len -= 1;
        Some(set.remove(way))
    }

    /// Removes all entries, and gives each to `removed`.
    pub(crate) fn clear(&self, mut removed: impl FnMut(Key, Value)) {
        let mut len = self.lock();
        let segments = self.segments.iter().filter_map(OnceLock::get);
        for set in segments.flat_map(|segment| segment.iter()) {
            for way in set.taken() {
                removed(set.key(way), set.remove(way));
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

    /// The set, unless no set of its segment was ever written.
    #[inline]
    fn set(&self, index: usize) -> Option<&Set> {
        let segment = self.segments.get(index / SEGMENT)?.get()?;
        Some(&segment[index % SEGMENT])
    }

    fn find(&self, key: Key, hash: Hash) -> Option<(&Set, usize)> {
        hash.sets(self.sets).into_iter().find_map(|index| {
            let set = self.set(index)?;
            Some((set, set.find(key, hash.tag())?))
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
            if let Some(way) = set.free() {
                *len += 1;
                return Some((set, way));
            }
        }
        let taken = sets
            .into_iter()
            .flat_map(|set| set.taken().map(move |way| (set, way)));
        taken.min_by_key(|(set, way)| set.stamp(*way))
    }
}

impl Hash {
    /// From the lowest bits, on which neither set depends.
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

/// Spreads numbers evenly over those below `end`, by their highest bits.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is below the number of sets"
)]
fn scale(number: u64, end: u64) -> usize {
    ((u128::from(number) * u128::from(end)) >> 64) as usize
}
