//! Who writes the history down while the run goes on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::client::Seen;
use crate::clock::At;
use crate::fault::Name;
use crate::history::{Process, ProcessEnd, Request, Sample};
use crate::stream::Stream;
use crate::troubles::{Open, Trouble, Troubles};

#[derive(Debug, Default)]
pub struct Recorder(Mutex<Record>);

#[derive(Debug, Default)]
pub struct Record {
    pub requests: Vec<(Request, Seen)>,
    pub streams: Vec<(Stream, Seen)>,
    pub samples: Vec<Sample>,
    pub processes: Vec<Process>,
    pub troubles: Troubles,
    /// All that the clients know of.
    pub sessions: Vec<Uuid>,
    /// What processes have printed, and which.
    pub logs: Vec<(Name, String)>,
    /// What happened besides, for people.
    pub notes: Vec<(At, String)>,
}

/// A process that is running.
#[derive(Clone, Copy, Debug)]
pub struct ProcessIndex(usize);

impl Recorder {
    pub fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn request(&self, request: Request, seen: Seen) {
        self.lock().requests.push((request, seen));
    }

    pub fn note(&self, note: String) {
        self.lock().notes.push((At::now(), note));
    }

    pub fn begin(&self, trouble: Trouble, machine: Option<&str>) -> Open {
        self.lock().troubles.begin(trouble, machine)
    }

    pub fn begin_of(&self, trouble: Trouble, sessions: &[Uuid]) -> Open {
        self.lock().troubles.begin_of(trouble, sessions)
    }

    pub fn end(&self, open: Open) {
        self.lock().troubles.end(open);
    }

    pub fn process_starts(&self, machine: &str) -> ProcessIndex {
        let mut record = self.lock();
        record.processes.push(Process {
            machine: machine.to_owned(),
            id: None,
            started: At::now(),
            ended: At::NEVER,
            end: ProcessEnd::Running,
        });
        ProcessIndex(record.processes.len() - 1)
    }

    /// Whether there ever was a process of the machine.
    pub fn was_started(&self, machine: &str) -> bool {
        let record = self.lock();
        record
            .processes
            .iter()
            .any(|process| process.machine == machine)
    }

    pub fn process(&self, index: ProcessIndex, change: impl FnOnce(&mut Process)) {
        change(&mut self.lock().processes[index.0]);
    }
}
