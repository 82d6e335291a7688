//! Threads that begin at the same moment.

use std::{
    hint,
    sync::atomic::{AtomicU32, Ordering},
};

/// A barrier that spins: a thread that sleeps is woken too late to meet the others, whose
/// work takes a millisecond.
#[derive(Debug)]
pub struct Together {
    threads: u32,
    arrived: AtomicU32,
}

impl Together {
    pub fn new(threads: u32) -> Self {
        Self {
            threads,
            arrived: AtomicU32::new(0),
        }
    }

    pub fn begin(&self) {
        let before = self.arrived.fetch_add(1, Ordering::SeqCst);
        let all = (before / self.threads + 1) * self.threads;
        while self.arrived.load(Ordering::SeqCst) < all {
            hint::spin_loop();
        }
    }
}
