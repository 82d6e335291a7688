//! A timer that is set again and again.

use std::{pin::Pin, time::Duration};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep},
};

/// A timer of a connection, which each of its requests sets anew.
///
/// One for each request would be entered in the runtime's list of timers, and removed again, under its
/// lock. To put one off that is in the list takes no lock.
#[derive(Debug)]
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    runtime: Id,
}

impl Alarm {
    /// Within a runtime.
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(sleep(Duration::ZERO)),
            runtime: Handle::current().id(),
        }
    }

    /// Makes it one of the runtime that this is called in, which may outlive its own.
    pub(super) fn move_to(&mut self, runtime: Id) {
        if self.runtime != runtime {
            *self = Self::new();
        }
    }

    pub(super) fn set(&mut self, after: Duration) -> Pin<&mut Sleep> {
        match Instant::now().checked_add(after) {
            Some(at) => self.sleep.as_mut().reset(at),
            None => self.sleep.set(sleep(after)),
        }
        self.sleep.as_mut()
    }
}
