//! What a model of the table replaces to interleave its readers and writers.

pub(super) use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

/// Tries of one read. A set is being written for some 20 ns, less than a try and its pause.
pub(super) const TRIES: usize = 8;
/// Sets that are allocated together: 7 KiB.
pub(super) const SEGMENT: usize = 16;
