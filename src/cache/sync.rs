//! What the table synchronises with; the model puts what it can interleave in its place.

pub(super) use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};
