//! Which core a thread runs on.

use std::thread;

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

/// Keeps this thread, and whatever it starts from now on, on one core, if there are at least two.
/// What the kernel moves about while its counterpart stays would look slow, or fast: two processes
/// that wait for each other are several times faster on one core than on two.
pub(crate) fn stay_on_core(core: usize) {
    if thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        let mut only = CpuSet::new();
        // Without the permission, the kernel chooses the core.
        let _ = only
            .set(core)
            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &only));
    }
}
