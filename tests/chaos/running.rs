//! One process of a machine.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::spawn_blocking;

use crate::clock::At;
use crate::fleet::Fleet;
use crate::history::ProcessEnd;
use crate::recorder::ProcessIndex;
use crate::support::container::Container;
use crate::support::relay::Relay;

/// A process that was started, and where it is written down.
pub struct Running {
    pub container: Container,
    /// The way of other machines to it. Each process has another address, as with most platforms, and
    /// takes its own away when it ends.
    pub peers: Option<Relay>,
    pub index: ProcessIndex,
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.container.pid.try_into().expect("a process id"));
        // The id of one that has ended is not reused before its status was read.
        kill(pid, signal).expect("a signal");
    }

    /// Ends it without a word.
    pub async fn kill(self, fleet: &Fleet) {
        let end = if self.container.has_ended() {
            ProcessEnd::ByItself
        } else {
            ProcessEnd::Killed
        };
        self.signal(Signal::SIGKILL);
        let index = self.index;
        self.exit_status(fleet).await;
        fleet.recorder.process(index, |process| process.end = end);
    }

    /// Waits until it has ended.
    pub async fn exit_status(self, fleet: &Fleet) -> i32 {
        let Self {
            container,
            peers,
            index,
        } = self;
        while !container.has_ended() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let now = At::now();
        drop(peers);
        let mut machine = String::new();
        fleet.recorder.process(index, |process| {
            process.ended = now;
            machine.clone_from(&process.machine);
        });
        let log = container.log();
        fleet.recorder.lock().logs.push((machine, log));
        spawn_blocking(move || container.exit_status())
            .await
            .expect("its status")
    }
}
