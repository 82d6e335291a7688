//! The policy, in the hands of all requests at once.

use std::{
    cell::Cell,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use super::Policy;

/// A policy that many threads use.
///
/// A request that passed keeps the policy, in case its response asks for the layer's answer. One count
/// of references for all of them would be written by every core at every request, and two cores that do so
/// take three times as long as one. So there are several counts, and a thread uses the same one each time.
///
/// A reference without a count was rejected: the response may outlive the service and the layer.
pub(crate) struct SharedPolicy {
    policy: Arc<Policy>,
    /// As many as a power of two, for a division takes as long as a miss of the cache.
    keepers: Box<[Arc<Keeper>]>,
}

/// One of the counts, in cache lines of its own.
#[repr(align(128))]
pub(crate) struct Keeper(Arc<Policy>);

/// Threads that share a count write one line, so there are more counts than a machine usually runs threads
/// of a runtime.
const KEEPERS_PER_CORE: usize = 2;

impl SharedPolicy {
    pub(crate) fn new(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        let cores = available_parallelism().map_or(1, usize::from);
        let count = (cores * KEEPERS_PER_CORE).next_power_of_two();
        let keeper = |_| Arc::new(Keeper(Arc::clone(&policy)));
        Self {
            keepers: (0..count).map(keeper).collect(),
            policy,
        }
    }

    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The policy, counted where this thread counts.
    #[inline]
    pub(crate) fn keeper(&self) -> Arc<Keeper> {
        Arc::clone(&self.keepers[thread_number() & (self.keepers.len() - 1)])
    }
}

/// A number that is this thread's alone, unless there were more than `usize` holds.
#[inline]
fn thread_number() -> usize {
    const UNSET: usize = usize::MAX;
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(UNSET) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // A thread that ends has no number left, and any will do.
    NUMBER
        .try_with(|number| {
            if number.get() == UNSET {
                number.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            number.get()
        })
        .unwrap_or_default()
}

impl Deref for SharedPolicy {
    type Target = Policy;

    #[inline]
    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Deref for Keeper {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.0
    }
}
