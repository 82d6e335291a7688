//! What can go wrong, and what has to be done for it.

use std::fmt;
use std::time::Duration;

use crate::settings::Settings;

/// A machine's name. Those that are dead keep theirs.
pub type Name = String;

/// One machine in three hears of no change: what hearing of it makes quick, freshness alone has to
/// make right, and nearly everything is quick enough to hide that it is not.
pub fn is_deaf(name: &str) -> bool {
    let number = name
        .rsplit('-')
        .next()
        .and_then(|number| number.parse::<usize>().ok());
    number.is_some_and(|number| number % 3 == 0)
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A machine more.
    Start,
    /// SIGTERM: it drains, and does not come back.
    Drain,
    /// SIGKILL: it does not come back.
    Kill,
    /// SIGSTOP for longer than after which it is lost, then SIGCONT.
    Stop,
    /// SIGSTOP in the middle of writes, and SIGCONT when its sessions have just been given away.
    NapAndMove,
    /// SIGTERM, and a process of the same id.
    RestartAfterDrain,
    /// SIGKILL, and a process of the same id.
    RestartAfterKill,
    /// A second process of the same id beside the first.
    Twin,
    /// A second process of the same id while the first is stopped, which then goes on.
    TwinOfASleeper,
    /// PostgreSQL is restarted by a fast shutdown.
    DatabaseFast,
    /// PostgreSQL is restarted without being told, and recovers.
    DatabaseImmediate,
    /// A machine's connections to the database end, and new ones are refused.
    CutRefused,
    /// A machine's packets to and from the database are lost.
    CutSilent,
    /// The same, and its sessions are given away, which it does not hear.
    CutAndMove,
    /// The same, and whom they are given to drains before it may serve them.
    CutMoveAndDrain,
    /// Sessions are given to another machine by plain SQL.
    AssignToMachine,
    /// Sessions are given to a machine that is not there yet.
    AssignAhead,
    /// Sessions are taken from their machines by plain SQL.
    Unassign,
    /// PostgreSQL is away for longer than the silence after which a machine is lost.
    DatabaseAway,
    /// Another transaction locks rows of sessions.
    LockRows,
    /// Another transaction locks one of the tables, for up to longer than that silence.
    LockTable,
    /// A machine drains while some of its sessions are locked.
    LockAndDrain,
    /// Rows move to another partition, some together with a new owner.
    MoveRows,
    /// Clients of one machine read large answers slowly, and then not at all.
    SlowReaders,
    /// A machine's connections lead to a standby, which lags.
    Standby,
    /// The migration is applied while all machines run, after its triggers were dropped or not.
    Migrate,
    /// Connections from other machines to a machine end, and new ones are refused.
    PeersRefused,
    /// Packets between other machines and a machine are lost.
    PeersSilent,
}

impl Fault {
    /// Those of every run.
    pub const ALL: [Self; 26] = [
        Self::Start,
        Self::Drain,
        Self::Kill,
        Self::Stop,
        Self::NapAndMove,
        Self::RestartAfterDrain,
        Self::RestartAfterKill,
        Self::Twin,
        Self::TwinOfASleeper,
        Self::DatabaseFast,
        Self::DatabaseImmediate,
        Self::CutRefused,
        Self::CutSilent,
        Self::CutAndMove,
        Self::CutMoveAndDrain,
        Self::AssignToMachine,
        Self::AssignAhead,
        Self::Unassign,
        Self::DatabaseAway,
        Self::LockRows,
        Self::LockTable,
        Self::LockAndDrain,
        Self::MoveRows,
        Self::SlowReaders,
        Self::Standby,
        Self::Migrate,
    ];

    /// Those of the ways between machines, which only forwarding uses.
    const OF_PEERS: [Self; 2] = [Self::PeersRefused, Self::PeersSilent];

    pub fn of(settings: &Settings) -> Vec<Self> {
        let mut faults = Self::ALL.to_vec();
        if settings.forwards() {
            faults.extend(Self::OF_PEERS);
        }
        faults
    }
}

/// How the table of sessions is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Plain,
    /// `PARTITION BY LIST (status)`.
    ByStatus,
    /// `PARTITION BY RANGE (expires_at)`.
    ByLife,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::Plain, Self::ByStatus, Self::ByLife];
}

/// What a transaction locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Rows of so many sessions, chosen by `choice`.
    Rows { sessions: usize, choice: u64 },
    /// The rows of the sessions by which the machine is followed.
    Followed(Name),
    /// A whole table, and whether it cannot be read either.
    Table { table: &'static str, reads: bool },
}

/// How PostgreSQL is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    Fast,
    Immediate,
}

/// How a machine is cut off the database, or off other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Refused,
    Silent,
}

/// Who gets sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// It may not have been started yet.
    Machine(Name),
    Unassigned,
}

impl To {
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Machine(name) => Some(name),
            Self::Unassigned => None,
        }
    }
}

/// One thing that the test does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(Name),
    /// Starts a second process of the machine, which takes the first one's place at the edge.
    StartTwin(Name),
    Terminate(Name),
    Kill(Name),
    /// Kills the first of two.
    KillElder(Name),
    Stop(Name),
    Continue(Name),
    /// Lets the first of two go on.
    ContinueElder(Name),
    Cut(Name, Cut),
    Heal(Name),
    /// Cuts the ways of other machines to the machine.
    CutPeers(Name, Cut),
    HealPeers(Name),
    StopDatabase(Shutdown),
    StartDatabase,
    /// Looks closely at the machine, by sessions of its that are chosen by `choice`.
    Follow(Name, u64),
    /// Has it write for them, all at once.
    Burst(Name),
    /// Gives them to another machine.
    Move {
        from: Name,
        to: Name,
    },
    /// `sessions` of them, chosen by `choice`.
    Assign {
        sessions: usize,
        choice: u64,
        to: To,
    },
    /// Begins the transaction of this number, which locks something.
    Lock(usize, Locked),
    Unlock(usize),
    /// Moves the rows of `sessions` to another partition, with a new owner if there is a `to`.
    MoveRows {
        sessions: usize,
        choice: u64,
        to: Option<To>,
    },
    /// Begins to read sessions of the machine slowly, chosen by `choice`.
    ReadSlowly(Name, u64),
    StopReading(Name),
    /// Leads a machine's new connections to the standby, and ends those that are open.
    LeadToStandby(Name),
    /// Leads a machine's new connections to the primary. Those that are open stay.
    LeadToPrimary(Name),
    /// Applies the migration, after its triggers were dropped in the same transaction or not.
    Migrate {
        drops_triggers: bool,
    },
}

impl Action {
    /// Actions of one key are done one after the other: those of one machine, and of the database.
    pub fn key(&self) -> String {
        match self {
            Self::Start(name)
            | Self::StartTwin(name)
            | Self::Terminate(name)
            | Self::Kill(name)
            | Self::KillElder(name)
            | Self::Stop(name)
            | Self::Continue(name)
            | Self::ContinueElder(name)
            | Self::Cut(name, _)
            | Self::Follow(name, _)
            | Self::Burst(name)
            | Self::ReadSlowly(name, _)
            | Self::StopReading(name)
            | Self::LeadToStandby(name)
            | Self::LeadToPrimary(name)
            | Self::CutPeers(name, _)
            | Self::HealPeers(name)
            | Self::Heal(name) => name.clone(),
            Self::Move { from, .. } => from.clone(),
            Self::Lock(number, _) | Self::Unlock(number) => format!("lock {number}"),
            Self::StopDatabase(_) | Self::StartDatabase | Self::Migrate { .. } => {
                "the database".to_owned()
            }
            Self::Assign { .. } | Self::MoveRows { .. } => "the orchestrator".to_owned(),
        }
    }
}

/// An action and its time, counted from the first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub at: Duration,
    pub action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.3} s  {:?}", self.at.as_secs_f64(), self.action)
    }
}
