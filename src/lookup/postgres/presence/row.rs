//! The machine's row, as this process writes it.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};
use uuid::Uuid;

use crate::{
    LookupError, MachineId,
    lookup::postgres::{
        connections::Parameter, directory::PostgresDirectory, failure::Failure,
        reserved::Durability,
    },
};

/// What a machine tells of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    pub(super) app: Option<String>,
    pub(super) region: Option<String>,
    pub(super) address: Option<String>,
    pub(super) version: Option<String>,
}

pub(super) struct MachineRow {
    pub(super) directory: PostgresDirectory,
    pub(super) machine: MachineId,
    /// The same as a parameter.
    text: String,
    pub(super) boot_id: Uuid,
    traits: Traits,
    drains: AtomicBool,
}

/// The row is this process's now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registered {
    /// Whether it was that of another process that has not left, or of one after such a process:
    /// it may be running.
    pub(super) took_over: bool,
}

/// What a beat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The row is this process's. A number that changes whenever a process that was there before
    /// says that it is still there.
    Done { rival: Option<i64> },
    /// It was not there, and this process has put it back.
    PutBack,
    /// It is another process's.
    Superseded,
    /// An operator declared the machine gone.
    Gone,
}

impl MachineRow {
    pub(super) fn new(
        directory: PostgresDirectory,
        machine: MachineId,
        boot_id: Uuid,
        traits: Traits,
    ) -> Self {
        Self {
            directory,
            text: machine.as_str().to_owned(),
            machine,
            boot_id,
            traits,
            drains: AtomicBool::new(false),
        }
    }

    /// The fleet's freshness, which is ours if we are the first to say so.
    pub(super) async fn fleets_freshness(&self, ours: Duration) -> Result<Duration, LookupError> {
        let fleet = &self.directory.ownership().fleet;
        let ours = i64::try_from(ours.as_millis()).unwrap_or(i64::MAX);
        // An update that changes nothing, because only what is written is returned.
        let sql = format!(
            "INSERT INTO {fleet} AS f (freshness_ms) VALUES ($1) ON CONFLICT (the_fleet) \
             DO UPDATE SET freshness_ms = f.freshness_ms RETURNING f.freshness_ms"
        );
        let rows = self.write(&sql, &[(&ours, Type::INT8)]).await?;
        let stored: i64 = only(&rows)?;
        Ok(Duration::from_millis(u64::try_from(stored).unwrap_or(0)))
    }

    /// Makes the row this process's; `None` if an operator declared the machine gone.
    pub(super) async fn register(&self) -> Result<Option<Registered>, LookupError> {
        let ownership = self.directory.ownership();
        let (machines, held) = (&ownership.machines, ownership.held());
        let sql = format!(
            "INSERT INTO {machines} AS m \
                 (machine_id, boot_id, app, region, address, version, draining) \
             SELECT $1, $2, $3, $4, $5, $6, $7 FROM (SELECT count(*) FROM {held}) AS held \
             ON CONFLICT (machine_id) DO UPDATE \
             SET boot_id = EXCLUDED.boot_id, app = EXCLUDED.app, region = EXCLUDED.region, \
                 address = EXCLUDED.address, version = EXCLUDED.version, started_at = now(), \
                 beat_at = now(), steady_since = now(), draining = false, left_at = NULL, rival_at = NULL, \
                 took_over = m.took_over \
                     OR m.left_at IS NULL AND m.boot_id <> EXCLUDED.boot_id \
             WHERE m.gone_at IS NULL RETURNING m.took_over"
        );
        let rows = self.write(&sql, &self.parameters(&false)).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let took_over = only(&rows)?;
        Ok(Some(Registered { took_over }))
    }

    /// Says that the machine is alive.
    pub(super) async fn beat(&self, deadline: Instant) -> Result<Beat, LookupError> {
        let ownership = self.directory.ownership();
        let (machines, steady_since) = (&ownership.machines, ownership.steady_since());
        let sql = format!(
            "UPDATE {machines} SET beat_at = now(), steady_since = {steady_since} \
             WHERE machine_id = $1 AND boot_id = $2 AND gone_at IS NULL \
             RETURNING (extract(epoch FROM rival_at) * 1000000)::bigint"
        );
        let parameters = self.process();
        let rows = self
            .write_as(Durability::Lossy, &sql, &parameters, deadline)
            .await?;
        if rows.is_empty() {
            self.look(deadline).await
        } else {
            Ok(Beat::Done {
                rival: only(&rows)?,
            })
        }
    }

    /// Finds out why there was nothing to update, and tells another process of this one.
    async fn look(&self, deadline: Instant) -> Result<Beat, LookupError> {
        let machines = &self.directory.ownership().machines;
        let sql = format!(
            "UPDATE {machines} SET rival_at = CASE WHEN boot_id = $2 THEN rival_at ELSE now() END \
             WHERE machine_id = $1 \
             RETURNING CASE WHEN gone_at IS NOT NULL THEN 1 WHEN boot_id <> $2 THEN 2 ELSE 0 END"
        );
        let rows = self.write_by(&sql, &self.process(), deadline).await?;
        if rows.is_empty() {
            return self.put_back(deadline).await;
        }
        Ok(match only::<i32>(&rows)? {
            1 => Beat::Gone,
            2 => Beat::Superseded,
            // It was readmitted meanwhile.
            _ => Beat::Done { rival: None },
        })
    }

    /// Makes a row again that was deleted. A process that has made one meanwhile was started later.
    ///
    /// The row told this process from those before it, one of which may be paused, so a process that
    /// puts the row back counts as a successor. Until then, no read without the row has let any of
    /// them serve.
    async fn put_back(&self, deadline: Instant) -> Result<Beat, LookupError> {
        let machines = &self.directory.ownership().machines;
        let sql = format!(
            "INSERT INTO {machines} \
                 (machine_id, boot_id, app, region, address, version, draining, took_over) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, true) ON CONFLICT (machine_id) DO NOTHING \
             RETURNING 1"
        );
        let drains = self.drains.load(Ordering::Relaxed);
        let parameters = self.parameters(&drains);
        let written = self.write_by(&sql, &parameters, deadline).await?;
        // The next beat finds the other process.
        let is_other = written.is_empty();
        Ok(if is_other {
            Beat::Done { rival: None }
        } else {
            Beat::PutBack
        })
    }

    /// Notes that a row which has to be made anew is that of a machine which drains.
    pub(super) fn will_drain(&self) {
        self.drains.store(true, Ordering::Relaxed);
    }

    /// Says what a beat would have found.
    pub(super) async fn mark_draining(&self, deadline: Instant) -> Result<Beat, LookupError> {
        if self.mark("draining = true", deadline).await? {
            return Ok(Beat::Done { rival: None });
        }
        self.look(deadline).await
    }

    /// Whoever comes next has nobody to wait for, if this process had not either.
    pub(super) async fn mark_left(
        &self,
        is_alone: bool,
        deadline: Instant,
    ) -> Result<(), LookupError> {
        let set = if is_alone {
            "left_at = now(), took_over = false"
        } else {
            "left_at = now()"
        };
        self.mark(set, deadline).await.map(drop)
    }

    async fn mark(&self, set: &str, deadline: Instant) -> Result<bool, LookupError> {
        let ownership = self.directory.ownership();
        let (machines, held) = (&ownership.machines, ownership.held());
        let sql = format!(
            "UPDATE {machines} AS m SET {set} FROM {held} \
             WHERE m.machine_id = held.machine_id AND m.boot_id = $2 RETURNING 1"
        );
        let marked = self.write_by(&sql, &self.process(), deadline).await?;
        Ok(!marked.is_empty())
    }

    /// Whether no active session is this machine's.
    pub(super) async fn owns_nothing(&self, deadline: Instant) -> Result<bool, LookupError> {
        let owns = format!("NOT EXISTS ({})", self.directory.owns_sql("1"));
        self.read(&owns, deadline).await
    }

    /// How many active sessions are this machine's.
    pub(super) async fn owned(&self, deadline: Instant) -> Result<usize, LookupError> {
        let count = format!("({})", self.directory.owns_sql("count(*)"));
        let count: i64 = self.read(&count, deadline).await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// What the primary says of this machine.
    async fn read<T: for<'a> FromSql<'a>>(
        &self,
        expression: &str,
        deadline: Instant,
    ) -> Result<T, LookupError> {
        let sql = format!("SELECT pg_is_in_recovery(), {expression}");
        let connections = &self.directory.lookup().connections;
        let [machine, _] = self.process();
        let rows = connections.read_presence(&sql, &[machine], deadline).await;
        column(&rows.map_err(Failure::into_lookup_error)?, 1)
    }

    fn process(&self) -> [Parameter<'_>; 2] {
        [(&self.text, Type::TEXT), (&self.boot_id, Type::UUID)]
    }

    fn parameters<'a>(&'a self, drains: &'a bool) -> [Parameter<'a>; 7] {
        let traits = &self.traits;
        let [machine, boot_id] = self.process();
        [
            machine,
            boot_id,
            (&traits.app, Type::TEXT),
            (&traits.region, Type::TEXT),
            (&traits.address, Type::TEXT),
            (&traits.version, Type::TEXT),
            (drains, Type::BOOL),
        ]
    }

    async fn write(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LookupError> {
        let deadline = self.directory.lookup().connections.deadline();
        self.write_by(sql, parameters, deadline).await
    }

    async fn write_by(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, LookupError> {
        self.write_as(Durability::Durable, sql, parameters, deadline)
            .await
    }

    async fn write_as(
        &self,
        durability: Durability,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, LookupError> {
        let connections = &self.directory.lookup().connections;
        // All of these say how things are, and may say so twice.
        let written = connections.write_presence(sql, parameters, deadline, durability);
        written.await.map_err(Failure::into_write_error)
    }
}

/// The first column of the first row.
fn only<'a, T: FromSql<'a>>(rows: &'a [Row]) -> Result<T, LookupError> {
    column(rows, 0)
}

fn column<'a, T: FromSql<'a>>(rows: &'a [Row], at: usize) -> Result<T, LookupError> {
    let unexpected = "the table of machines holds something unexpected";
    let row = rows
        .first()
        .ok_or_else(|| LookupError::corrupt(unexpected))?;
    row.try_get(at)
        .map_err(|error| LookupError::corrupt(unexpected).with_source(error))
}

impl fmt::Debug for MachineRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineRow")
            .field("machine", &self.machine)
            .field("boot_id", &self.boot_id)
            .field("traits", &self.traits)
            .finish_non_exhaustive()
    }
}
