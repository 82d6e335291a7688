//! Everything that was seen in a run: what the checker goes by, and all that it goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::client::Layer;
use crate::clock::At;
use crate::fault::Name;
use crate::settings::Settings;
use crate::stalls::Stalls;
use crate::stream::Stream;
use crate::troubles::Troubles;

/// One run.
#[derive(Debug)]
pub struct History {
    pub settings: Settings,
    pub requests: Vec<Request>,
    pub streams: Vec<Stream>,
    /// Every change of every session's row, in the order of the commits, as the database itself
    /// wrote it down.
    pub rows: Vec<Row>,
    /// Every write of a session's state that was committed, likewise.
    pub writes: Vec<Write>,
    /// What rows said at moments in the run. A database that loses what it committed loses what it
    /// wrote down, too; so the test keeps it, too.
    pub samples: Vec<Sample>,
    pub processes: Vec<Process>,
    pub troubles: Troubles,
    pub healing: Healing,
    pub stalls: Stalls,
    /// By how much the times of rows may be too early.
    pub doubt: Duration,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    pub session: Uuid,
    pub kind: Kind,
    /// Whether it was sent to a machine past the edge, which so cannot replay it.
    pub is_direct: bool,
    pub layer: Layer,
    pub sent: At,
    pub done: At,
    pub outcome: Outcome,
    /// The machines that saw it, in order, as the edge tells, and the one that answered.
    pub way: Vec<Name>,
    /// What the edge itself had to say about it.
    pub edge_error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Write,
    /// Asks for a stream, by which it may be answered.
    Events,
    Socket,
    /// Asked after the last fault, to see whether all is well again.
    Heal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached the application.
    Passed(Pass),
    /// The layer refused it.
    Refused { status: u16, code: String },
    /// It is answered by a stream.
    Opened,
    /// The application refused it, with no code of the layer's.
    Failed { status: u16, text: String },
    /// The edge answered in a machine's place.
    Edge { status: u16 },
    /// The connection broke.
    Broken(String),
    /// Nothing came for as long as the client waits.
    Nothing,
}

/// A request that reached the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub machine: Name,
    pub process: String,
    pub epoch: u64,
    /// When the handler was entered.
    pub at: At,
    /// For how long the machine could prove its right then; zero if it could not any more.
    pub proved_for: Duration,
    /// Whether its fenced write was made, if it was to make one.
    pub written: Option<bool>,
}

impl Pass {
    /// Whether it passed within its machine's right, and not later, as a process does that was
    /// stopped on the way to the handler.
    pub fn was_proved(&self) -> bool {
        self.proved_for > Duration::ZERO
    }

    /// The end of the right that it passed by.
    pub fn right_ends(&self) -> At {
        self.at + self.proved_for
    }
}

/// A change of a session's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub session: Uuid,
    pub epoch: u64,
    pub owner: Option<Name>,
    /// Whether the orchestrator wrote it, and no machine.
    pub is_assigned: bool,
    /// The epoch that was made by a proven release.
    pub released: Option<u64>,
    /// When it was committed, just before others could see it.
    pub committed: At,
    /// Its place in the order.
    pub number: i64,
}

/// A committed write of a session's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub session: Uuid,
    pub epoch: u64,
    pub writer: Name,
    pub number: i64,
}

/// What a row said between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub session: Uuid,
    pub epoch: u64,
    pub from: At,
    pub to: At,
}

/// A process of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub machine: Name,
    /// What it calls itself, once it was asked.
    pub id: Option<String>,
    pub started: At,
    /// When it was seen to be gone.
    pub ended: At,
    /// How it ended.
    pub end: ProcessEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It ran to the end of the test.
    Running,
    /// By SIGKILL of ours.
    Killed,
    /// Although it was not asked to.
    ByItself,
    /// By itself after SIGTERM, with this status.
    Drained { status: i32, took: Duration },
    /// Not within its time after SIGTERM.
    DidNotEnd,
}

/// What came after the last fault.
#[derive(Clone, Debug, Default)]
pub struct Healing {
    /// When the last fault was over.
    pub from: At,
    /// Since when each session has been served again; `None` if it never was.
    pub sessions: BTreeMap<Uuid, Option<At>>,
    /// Since when each machine has been ready.
    pub machines: BTreeMap<Name, Option<At>>,
}

impl History {
    /// The requests that reached the application, by session.
    pub fn passes(&self) -> BTreeMap<Uuid, Vec<(&Request, &Pass)>> {
        let mut passes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for request in &self.requests {
            if let Outcome::Passed(pass) = &request.outcome {
                let of_session = passes.entry(request.session).or_default();
                of_session.push((request, pass));
            }
        }
        passes
    }

    /// The changes of each session's row, in their order.
    pub fn rows_by_session(&self) -> BTreeMap<Uuid, Vec<&Row>> {
        let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in &self.rows {
            rows.entry(row.session).or_default().push(row);
        }
        for rows in rows.values_mut() {
            rows.sort_by_key(|row| row.number);
        }
        rows
    }
}
