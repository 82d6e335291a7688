//! How a statement is run.

use std::time::Duration;

use super::{direct::statement_timeout, failure::Asked};

/// How a statement is run: on which connection, for how long, and what its failure means.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each holds or not, whatever the others are, and only the constants combine them"
)]
pub(super) struct Mode {
    pub(super) duty: Duty,
    /// What an error says that failed.
    pub(super) asked: Asked,
    pub(super) writes: bool,
    /// Whether a plan is worth keeping, where nothing shares the connection. Not for what is asked
    /// seldom: a plan of its own serves that best.
    pub(super) prepares: bool,
    /// Whether a second time changes nothing more.
    pub(super) is_repeatable: bool,
    /// Whether it may take until the deadline, rather than as long as a lookup's query.
    pub(super) is_long: bool,
    /// Whether each row says in its first column if the server is a standby, which is not believed then.
    /// There is at least one.
    pub(super) tells_standby: bool,
    /// The longest wait for a lock.
    pub(super) lock: Option<Duration>,
    /// Whether the statement bounds its wait for locks itself, so that it needs no transaction where
    /// settings last.
    pub(super) bounds_locks: bool,
    /// Whether the commit waits neither for the disk nor for a synchronous standby. Where a standby
    /// does not answer, a durable commit waits without a limit, also after its client has gone, and
    /// each beat would leave a server process behind. A crash of the server may lose it.
    pub(super) is_lossy: bool,
    /// Whether it is more than one statement, without parameters.
    pub(super) is_script: bool,
    /// Whether it is rolled back in place of committed.
    pub(super) is_rehearsal: bool,
}

/// Each duty has its own connections: lookups one half of the pool, all that requests write the other
/// half, and the heartbeat one outside of it. So writes that are slow, or that wait for a row's lock,
/// cost no lookup of another session and no beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Lookups,
    Others,
    Heartbeat,
}

/// How long a claim waits for a lock. Another claim holds the session's row for some milliseconds. A
/// transaction that holds it for longer is none of ours, and a claim that waited for it would only
/// keep a connection from the claims of other sessions.
pub(super) const CLAIM_LOCK: Duration = Duration::from_millis(200);

/// How long a step of a migration waits for the table, behind which all other statements queue
/// meanwhile.
const MIGRATION_LOCK: Duration = Duration::from_secs(1);

/// How long a transaction may wait for its next statement. All of its statements are sent at once, so
/// that only the network can come between them.
const IDLE: Duration = Duration::from_secs(1);

impl Mode {
    /// A lookup, or another query that is as quick.
    pub(super) const READ: Self = Self {
        duty: Duty::Lookups,
        asked: Asked::Session,
        writes: false,
        prepares: true,
        is_repeatable: true,
        is_long: false,
        tells_standby: false,
        lock: None,
        bounds_locks: false,
        is_lossy: false,
        is_script: false,
        is_rehearsal: false,
    };

    /// What an operator reads.
    pub(super) const LIST: Self = Self {
        duty: Duty::Others,
        asked: Asked::Read,
        prepares: false,
        is_long: true,
        ..Self::READ
    };

    /// A write that may be sent twice.
    pub(super) const WRITE: Self = Self {
        duty: Duty::Others,
        asked: Asked::Write,
        writes: true,
        ..Self::READ
    };

    /// A write whose second attempt could not tell what the first one did.
    pub(super) const WRITE_ONCE: Self = Self {
        is_repeatable: false,
        ..Self::WRITE
    };

    pub(super) const CLAIM: Self = Self {
        asked: Asked::Claim,
        lock: Some(CLAIM_LOCK),
        bounds_locks: true,
        ..Self::WRITE
    };

    /// The creation of a session. A second attempt would find it taken.
    pub(super) const CREATE: Self = Self {
        asked: Asked::Create,
        lock: Some(CLAIM_LOCK),
        ..Self::WRITE_ONCE
    };

    /// A write of a request for its session, which no other transaction of ours holds for long.
    pub(super) const TOUCH: Self = Self {
        lock: Some(CLAIM_LOCK),
        ..Self::WRITE
    };

    /// A write that may take longer than other statements do.
    pub(super) const WRITE_MUCH: Self = Self {
        prepares: false,
        is_long: true,
        ..Self::WRITE_ONCE
    };

    /// Statements of a migration.
    pub(super) const MIGRATE: Self = Self {
        lock: Some(MIGRATION_LOCK),
        is_script: true,
        ..Self::WRITE_MUCH
    };

    /// What has to be true of the machine.
    pub(super) const READ_MACHINE: Self = Self {
        duty: Duty::Heartbeat,
        tells_standby: true,
        ..Self::READ
    };

    /// A write of the machine's row. All of these say how things are, and may say so twice.
    pub(super) const WRITE_MACHINE: Self = Self {
        duty: Duty::Heartbeat,
        ..Self::WRITE
    };

    /// A beat, which has a bound of its own.
    pub(super) const BEAT: Self = Self {
        is_long: true,
        is_lossy: true,
        ..Self::WRITE_MACHINE
    };

    /// Whether the statement needs no transaction on a connection that is [ours alone](super::direct), which was
    /// told at its start what one would be opened with. What is rolled back needs one.
    pub(super) fn stands_alone(self) -> bool {
        self.prepares && !self.is_rehearsal && (!self.writes || self.bounds_locks)
    }

    /// What ends the transaction of the statement.
    pub(super) fn ending(self) -> &'static str {
        if self.is_rehearsal {
            "ROLLBACK"
        } else {
            "COMMIT"
        }
    }

    /// What the transaction of the statement is opened with.
    ///
    /// Our own bound on the exchange is not enough. A closed socket does not end a query that waits for
    /// a lock, and with a new connection for each lookup the server would soon be full of such
    /// queries. A cancellation would need one more connection for each of them, and `PgBouncer` drops
    /// the driver's. Nor does the server notice a client that was frozen, or lost its network, before
    /// its COMMIT went out: `statement_timeout` does not count between statements, and the locks would
    /// stay until the server's keepalive gives the socket up, after hours. `SET LOCAL` holds behind a
    /// pooler too, and all of it travels in the same message as BEGIN, so it costs no round trip.
    pub(super) fn opening(self, limit: Duration) -> String {
        let begin = if self.writes {
            // A stricter default would fail the loser of a race for a row. No `READ WRITE`: what an
            // operator or a provider has set to be read-only stays so.
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        } else {
            "BEGIN READ ONLY"
        };
        let statement = statement_timeout(limit);
        let idle = limit.min(IDLE).as_millis().max(1);
        let lock = self.lock.map_or_else(String::new, |lock| {
            format!("; SET LOCAL lock_timeout = {}", lock.as_millis())
        });
        let lossy = if self.is_lossy {
            "; SET LOCAL synchronous_commit = off"
        } else {
            ""
        };
        format!(
            "{begin}; SET LOCAL statement_timeout = {statement}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}{lock}{lossy}"
        )
    }
}
