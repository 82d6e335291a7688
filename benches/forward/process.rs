//! What the kernel says of another process.

use std::{fs, time::Duration};

use nix::{time::clock_getcpuclockid, unistd::Pid};

const MEGABYTE: f64 = 1_048_576.0;

/// The CPU time of all threads, also of those that have ended: what `/proc/PID/stat` says as `utime` and
/// `stime`, without rounding to ticks of 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let clock = clock_getcpuclockid(raw(pid)).expect("a running process");
    clock.now().expect("a clock").into()
}

/// The megabytes that are in memory.
pub(crate) fn memory(pid: u32) -> f64 {
    status(pid, "VmRSS:")
}

/// The most megabytes that were in memory since [`forget_peak`].
pub(crate) fn peak_memory(pid: u32) -> f64 {
    status(pid, "VmHWM:")
}

pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a process of this user");
}

fn status(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let kilobytes = status.lines().find_map(|line| {
        let size = line.strip_prefix(key)?.strip_suffix("kB")?;
        size.trim().parse::<f64>().ok()
    });
    kilobytes.expect("a size") * 1_024.0 / MEGABYTE
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().expect("a process id"))
}
