//! Every order in which readers and writers of the cache's table can interleave.
//!
//! [`loom`] runs each model below in all of them, and returns from a load any value that the memory
//! model of C11 allows, which is more than an x86-64 processor does. The code is the crate's own
//! (`src/cache/table.rs`, `src/cache/set.rs`). Not interleaved: the allocation of a segment, which is
//! `std::sync::OnceLock`.
//!
//! Each of these makes models fail: a relaxed load of the version where a read begins; a read without
//! its fence, without the second load, or that accepts an odd version; a write without its fence, or
//! without an odd version; a relaxed store where it ends; a removal that leaves the tag.

use loom::{
    model::Builder,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

mod sync {
    pub(super) use std::sync::{OnceLock, PoisonError};

    pub(super) use loom::{
        hint::spin_loop,
        sync::{
            Mutex, MutexGuard,
            atomic::{Ordering, fence},
        },
    };

    /// Enough to begin again once; each more multiplies the orders.
    pub(super) const TRIES: usize = 2;
    pub(super) const SEGMENT: usize = 1;

    loom::lazy_static! {
        /// Stored to before each access, and never loaded, so it synchronises nothing.
        ///
        /// loom switches threads only before accesses that conflict with the last one to the
        /// same atomic, which hides the one before it: a writer that loads the version before it stores
        /// it is never interrupted in between. By this, each access conflicts with all others.
        static ref SWITCH: loom::sync::atomic::AtomicUsize = loom::sync::atomic::AtomicUsize::new(0);
    }

    macro_rules! atomic {
        ($name:ident, $number:ty) => {
            pub(super) struct $name(loom::sync::atomic::$name);

            impl $name {
                pub(super) fn new(number: $number) -> Self {
                    Self(loom::sync::atomic::$name::new(number))
                }

                pub(super) fn load(&self, ordering: Ordering) -> $number {
                    SWITCH.store(0, Ordering::Relaxed);
                    self.0.load(ordering)
                }

                pub(super) fn store(&self, number: $number, ordering: Ordering) {
                    SWITCH.store(0, Ordering::Relaxed);
                    self.0.store(number, ordering);
                }
            }
        };
    }
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}

/// The seeds of a table: the same in each run, as loom requires.
pub(crate) mod random {
    pub(crate) fn number() -> u64 {
        0
    }
}

#[path = "../../src/cache/set.rs"]
mod set;
#[allow(
    dead_code,
    clippy::modulo_one,
    clippy::module_inception,
    reason = "a part of it is for the cache, and segments hold one set here"
)]
#[path = "../../src/cache/table.rs"]
mod table;

use set::{Read, Set, TAKEN};
use table::{Key, Table, Value};

/// Two keys with one tag: without seeds, the hash of `(x, 1)` is `x`.
const A: Key = (0x1_0007, 1);
const B: Key = (0x2_0007, 1);
const TAG: u8 = 0x07 | TAKEN;

/// Slots whose tag is beside those of others, and beside the version.
const WAYS: [usize; 2] = [0, 8];

/// A value whose words belong together and to the key.
fn value(key: Key, stamp: u32) -> Value {
    Value {
        stamp: stamp.into(),
        more: key.0 + u64::from(stamp),
        flags: stamp,
    }
}

/// Runs the model in every order with so many switches of a running thread at most.
fn explore(switches: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// What a reader of A finds in one try, while `write` goes on in a set with A, stamp 1, in `way`.
fn read_while(
    way: usize,
    write: impl Fn(&Set) + Send + Sync + Clone + 'static,
    key: Key,
    is_expected: impl Fn(&Read) -> bool + Send + Sync + 'static,
) {
    explore(2, move || {
        let set = Arc::new(Set::new());
        set.write(way, TAG, A, value(A, 1));
        let writer = thread::spawn({
            let (set, write) = (set.clone(), write.clone());
            move || write(&set)
        });
        let read = set.read(key, TAG);
        assert!(is_expected(&read));
        writer.join().unwrap();
        // What is read in the end depends on no order.
        assert!(!matches!(set.read(key, TAG), Read::Torn));
    });
}

fn is_found(read: &Read, key: Key, stamps: &[u32]) -> bool {
    matches!(read, Read::Found(found) if stamps.iter().any(|stamp| *found == value(key, *stamp)))
}

#[test]
fn a_replaced_value_is_found_whole_and_always() {
    for way in WAYS {
        read_while(
            way,
            move |set| set.write(way, TAG, A, value(A, 2)),
            A,
            |read| is_found(read, A, &[1, 2]) || matches!(read, Read::Torn),
        );
    }
}

#[test]
fn a_value_is_found_while_another_slot_is_written() {
    for (way, other) in [(0, 1), (8, 9), (8, 0), (0, 8)] {
        read_while(
            way,
            move |set| set.write(other, TAG, B, value(B, 2)),
            A,
            |read| is_found(read, A, &[1]) || matches!(read, Read::Torn),
        );
        read_while(
            way,
            move |set| assert_eq!(set.remove(other).stamp, 0),
            A,
            |read| is_found(read, A, &[1]) || matches!(read, Read::Torn),
        );
    }
}

#[test]
fn a_value_is_not_found_for_the_key_before_it() {
    for way in WAYS {
        for (key, stamp) in [(A, 1), (B, 2)] {
            read_while(
                way,
                move |set| set.write(way, TAG, B, value(B, 2)),
                key,
                move |read| !matches!(read, Read::Found(_)) || is_found(read, key, &[stamp]),
            );
            read_while(
                way,
                move |set| {
                    set.remove(way);
                    set.write(way, TAG, B, value(B, 2));
                },
                key,
                move |read| !matches!(read, Read::Found(_)) || is_found(read, key, &[stamp]),
            );
        }
    }
}

#[test]
fn a_reader_finds_no_older_value_than_before() {
    explore(1, || {
        let set = Arc::new(Set::new());
        set.write(0, TAG, A, value(A, 1));
        let writer = thread::spawn({
            let set = set.clone();
            move || set.write(0, TAG, A, value(A, 2))
        });
        let reads = [(); 2].map(|()| set.read(A, TAG));
        assert!(!(is_found(&reads[0], A, &[2]) && is_found(&reads[1], A, &[1])));
        writer.join().unwrap();
    });
}

/// The stamp of what is found, whose words belong together.
fn found(table: &Table, key: Key) -> Option<u64> {
    let read = table.get(key)?;
    let stamp = u32::try_from(read.stamp).unwrap();
    assert_eq!(read, value(key, stamp));
    Some(read.stamp)
}

/// A table of one set that has room for A, stamp 1, alone; the next insertion takes its slot.
/// A reader that knows that `forget` is over does not find A.
fn forgotten(
    forget: impl Fn(&Table) + Send + Sync + Clone + 'static,
    go_on: impl Fn(&Table) + Send + Sync + Clone + 'static,
) {
    explore(1, move || {
        let table = Arc::new(Table::new(1));
        table.insert(A, value(A, 1));
        let is_over = Arc::new(AtomicBool::new(false));
        let writer = thread::spawn({
            let (table, is_over) = (table.clone(), is_over.clone());
            let (forget, go_on) = (forget.clone(), go_on.clone());
            move || {
                forget(&table);
                is_over.store(true, Ordering::Release);
                go_on(&table);
            }
        });
        let was_over = is_over.load(Ordering::Acquire);
        assert!(found(&table, A).is_none_or(|stamp| stamp == 1 && !was_over));
        writer.join().unwrap();
        let found = [A, B].map(|key| found(&table, key));
        assert_eq!((found, table.len()), ([None, Some(2)], 1));
    });
}

#[test]
fn a_removed_value_is_not_found_again() {
    forgotten(
        |table| assert!(table.remove(A).is_some()),
        |table| table.insert(B, value(B, 2)),
    );
}

#[test]
fn a_value_from_before_clearing_is_not_found_again() {
    forgotten(
        |table| table.clear(|_, _| ()),
        |table| table.insert(B, value(B, 2)),
    );
}

#[test]
fn an_evicted_value_is_not_found_again() {
    forgotten(|table| table.insert(B, value(B, 2)), |_| ());
}

#[test]
fn two_writers_of_one_key_leave_it_in_one_slot() {
    explore(1, || {
        let table = Arc::new(Table::new(2));
        table.insert(A, value(A, 1));
        let removal = thread::spawn({
            let table = table.clone();
            move || assert!(table.remove(A).is_some())
        });
        table.insert(A, value(A, 2));
        table.insert(B, value(B, 3));
        removal.join().unwrap();
        let is_there = found(&table, A);
        assert!(is_there.is_none_or(|stamp| stamp == 2));
        assert_eq!(table.len(), 1 + usize::from(is_there.is_some()));
        table.remove(A);
        assert_eq!((found(&table, A), table.len()), (None, 1));
    });
}
