//! The table beside a reference, when it is full, and under churn.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use proptest::prelude::*;

use super::table::{Key, Table, Value};

fn key(number: u64) -> Key {
    let mut random = fastrand::Rng::with_seed(number);
    (random.u64(..), random.u64(..))
}

/// A value whose words belong together and to the key.
fn value(key: Key, stamp: u64) -> Value {
    let more = key.0 ^ key.1.rotate_left(7) ^ stamp.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Value {
        stamp,
        more,
        flags: u32::try_from(more >> 32).unwrap(),
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => (0..60_u64).prop_map(Step::Insert),
        10 => (0..60_u64).prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn it_holds_what_a_reference_holds(capacity in 0..50_usize, steps in steps()) {
        let table = Table::new(capacity);
        let mut reference = HashMap::new();
        for (stamp, step) in (0..).zip(steps) {
            match step {
                Step::Insert(number) => {
                    let was_there = reference.contains_key(&number);
                    table.insert(key(number), value(key(number), stamp));
                    reference.insert(number, value(key(number), stamp));
                    let evicted: Vec<u64> = reference
                        .keys()
                        .copied()
                        .filter(|number| table.get(key(*number)).is_none())
                        .collect();
                    // Up to this capacity there is one set.
                    if capacity <= 12 {
                        let oldest = reference.iter().min_by_key(|(_, value)| value.stamp);
                        let full = reference.len() > capacity.max(1);
                        let expected = oldest.filter(|_| full).map(|(number, _)| *number);
                        prop_assert_eq!(&evicted, &Vec::from_iter(expected));
                    }
                    prop_assert!(evicted.len() <= usize::from(!was_there));
                    prop_assert!(!evicted.contains(&number));
                    for number in evicted {
                        reference.remove(&number);
                    }
                }
                Step::Remove(number) => {
                    prop_assert_eq!(table.remove(key(number)), reference.remove(&number));
                }
                Step::Clear => {
                    let mut removed = HashMap::new();
                    table.clear(|key, value| {
                        removed.insert(key, value);
                    });
                    let all = reference.drain().map(|(number, value)| (key(number), value));
                    prop_assert_eq!(removed, all.collect());
                }
            }
            prop_assert!(table.len() <= capacity.max(1));
            prop_assert_eq!(table.len(), reference.len());
            for number in 0..60 {
                prop_assert_eq!(table.get(key(number)), reference.get(&number).copied());
            }
        }
    }
}

#[test]
fn the_nil_key_is_a_key_like_others() {
    let table = Table::new(100);
    assert_eq!(table.get((0, 0)), None);
    table.insert((0, 0), value((0, 0), 1));
    assert_eq!(table.get((0, 0)), Some(value((0, 0), 1)));
    assert_eq!(table.remove((0, 0)), Some(value((0, 0), 1)));
    assert_eq!(table.get((0, 0)), None);
    assert_eq!(table.remove((0, 0)), None);
}

#[test]
fn keys_that_differ_in_one_bit_are_apart() {
    let table = Table::new(1_000);
    let bits = (0..64).flat_map(|bit| [(1 << bit, 0), (0, 1 << bit)]);
    for key in bits.clone() {
        table.insert(key, value(key, 1));
    }
    assert_eq!(table.len(), 128);
    for key in bits {
        assert_eq!(table.get(key), Some(value(key, 1)));
    }
}

#[test]
fn nothing_is_evicted_below_seven_tenths_of_the_capacity() {
    for capacity in [10_000, 100_000] {
        let table = Table::new(capacity);
        let numbers = 0..capacity as u64 * 7 / 10;
        for number in numbers.clone() {
            table.insert(key(number), value(key(number), number));
        }
        for number in numbers {
            assert_eq!(table.get(key(number)), Some(value(key(number), number)));
        }
    }
}

#[test]
fn a_full_table_keeps_what_is_new() {
    let capacity = 30_000;
    let table = Table::new(capacity);
    for number in 0..capacity as u64 {
        table.insert(key(number), value(key(number), number));
    }
    assert!(table.len() > capacity * 96 / 100, "{}", table.len());
    for number in capacity as u64..4 * capacity as u64 {
        table.insert(key(number), value(key(number), number));
        assert!(table.get(key(number)).is_some());
    }
    assert!(table.len() <= capacity);
    assert!(table.len() > capacity * 99 / 100, "{}", table.len());
    let newer_half = 7 * capacity as u64 / 2..4 * capacity as u64;
    let kept = newer_half
        .filter(|number| table.get(key(*number)).is_some())
        .count();
    assert!(kept > capacity / 2 * 99 / 100, "{kept}");
}

#[test]
fn an_entry_takes_40_bytes_of_a_full_table() {
    let capacity = 100_000;
    let mut table = Table::new(1);
    let allocated = allocation_counter::measure(|| {
        table = Table::new(capacity);
        for number in 0..2 * capacity as u64 {
            table.insert(key(number), value(key(number), number));
        }
    });
    let bytes = usize::try_from(allocated.bytes_current).unwrap();
    assert!(
        bytes / table.len() < 40,
        "{bytes} bytes, {} entries",
        table.len()
    );
}

#[test]
fn a_table_is_allocated_as_it_is_used() {
    let mut table = Table::new(1);
    let allocated = allocation_counter::measure(|| {
        table = Table::new(1_000_000);
        for number in 0..10 {
            table.insert(key(number), value(key(number), number));
        }
    });
    assert!(allocated.bytes_current < 300_000, "{allocated:?}");
}

/// Each thread inserts and removes keys of its own and reads those of all, in a table that is too
/// small for them.
#[test]
fn threads_never_read_a_value_of_another_key() {
    const THREADS: u64 = 4;
    const KEYS: u64 = 40;
    const ROUNDS: u64 = 50_000;
    let table = Table::new(100);
    let found = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (table, found) = (&table, &found);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                let mut stamps = HashMap::new();
                for stamp in 0..ROUNDS {
                    let own = key(thread * KEYS + random.u64(..KEYS));
                    if random.u8(..4) == 0 {
                        if let Some(removed) = table.remove(own) {
                            assert_eq!(Some(removed.stamp), stamps.remove(&own));
                        }
                        assert_eq!(table.get(own), None);
                    } else {
                        table.insert(own, value(own, stamp));
                        stamps.insert(own, stamp);
                    }
                    if let Some(read) = table.get(own) {
                        assert_eq!(read, value(own, stamp));
                    }
                    let any = key(random.u64(..THREADS * KEYS));
                    if let Some(read) = table.get(any) {
                        assert_eq!(read, value(any, read.stamp));
                        found.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(found.into_inner() > 10_000);
    let keys = (0..THREADS * KEYS).filter(|number| table.get(key(*number)).is_some());
    assert_eq!(keys.count(), table.len());
}
