//! What a model of the table replaces to interleave its readers and writers.

pub(super) use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

/// Tries of one read: a writer that is descheduled in the middle of a write delays no reader for longer.
pub(super) const TRIES: usize = 8;
/// Sets that are allocated together: 7 KiB.
pub(super) const SEGMENT: usize = 16;
