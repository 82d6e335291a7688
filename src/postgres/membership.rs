//! The machines' rows, as their processes write them.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::{
    PostgresLookup, PostgresVerifyError, connections::Parameter, directory::PostgresDirectory,
    mode::Mode,
};
use crate::{
    Beat, CacheHandle, HealthCheck, LookupError, MachineId, MachineInfo, Membership, Node,
    NodeDirectory, Process, Registration, Released, SessionId, Unfit,
};

impl Membership for PostgresDirectory {
    fn lost_after(&self) -> Duration {
        self.ownership().lost_after
    }

    async fn agree_ttl(&self, ours: Duration) -> Result<Duration, LookupError> {
        let ours = i64::try_from(ours.as_millis()).unwrap_or(i64::MAX);
        let deadline = self.lookup().connections.deadline();
        let sql = &self.statements().fleet_freshness;
        let rows = self
            .write_row(sql, &[(&ours, Type::INT8)], deadline)
            .await?;
        let stored: i64 = only(&rows)?;
        Ok(Duration::from_millis(u64::try_from(stored).unwrap_or(0)))
    }

    async fn register(
        &self,
        me: &Process,
        info: &MachineInfo,
    ) -> Result<Registration, LookupError> {
        let deadline = self.lookup().connections.deadline();
        let row = MachineRow::of(me, info);
        let sql = &self.statements().register;
        let rows = self.write_row(sql, &row.parameters(), deadline).await?;
        if rows.is_empty() {
            return Ok(Registration::Removed);
        }
        Ok(if only(&rows)? {
            Registration::TookOver
        } else if column(&rows, 1)? {
            Registration::Again
        } else {
            Registration::First
        })
    }

    async fn beat(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> Result<Beat, LookupError> {
        let deadline = Instant::now() + within;
        let row = MachineRow::of(me, info);
        let (sql, parameters) = (&self.statements().beat, row.process());
        let connections = &self.lookup().connections;
        let rows = connections
            .run_shared(Mode::BEAT, sql, &parameters, deadline)
            .await?;
        if rows.is_empty() {
            self.find_out(&row, deadline).await
        } else {
            Ok(Beat::Alive {
                rival: only(&rows)?,
            })
        }
    }

    async fn set_draining(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> Result<Beat, LookupError> {
        let deadline = Instant::now() + within;
        let row = MachineRow::of(me, info);
        let sql = &self.statements().mark_draining;
        let marked = self.write_row(sql, &row.process(), deadline).await?;
        if marked.is_empty() {
            return self.find_out(&row, deadline).await;
        }
        Ok(Beat::Alive { rival: None })
    }

    async fn leave(&self, me: &Process, clean: bool, within: Duration) -> Result<(), LookupError> {
        let info = MachineInfo::default();
        let row = MachineRow::of(me, &info);
        let [machine, boot_id] = row.process();
        let parameters = [machine, boot_id, (&clean as _, Type::BOOL)];
        let sql = &self.statements().mark_left;
        let written = self.write_row(sql, &parameters, Instant::now() + within);
        written.await.map(drop)
    }

    async fn release(
        &self,
        node: &Node,
        session: &SessionId,
        last: u64,
    ) -> Result<Option<Released>, LookupError> {
        self.release_at(session, node, last).await
    }

    async fn release_all(
        &self,
        node: &Node,
        within: Duration,
        released: &mut Vec<Released>,
    ) -> Result<bool, LookupError> {
        self.release_all_by(node, Instant::now() + within, released)
            .await
    }

    async fn held(
        &self,
        me: &MachineId,
        within: Duration,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        self.held_by(me, within).await
    }

    async fn end_held(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        within: Duration,
        ended: &mut Vec<(SessionId, u64)>,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        self.end_held_by(me, sessions, within, ended).await
    }

    async fn owned(&self, me: &MachineId, within: Duration) -> Result<usize, LookupError> {
        let sql = &self.statements().owned_count;
        let count: i64 = self.read_of(me, sql, within).await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn owns_nothing(&self, me: &MachineId, within: Duration) -> Result<bool, LookupError> {
        let sql = &self.statements().owns_nothing;
        self.read_of(me, sql, within).await
    }

    async fn missing(&self, within: Duration) -> Result<Vec<String>, LookupError> {
        self.missing_epoch_triggers(Instant::now() + within).await
    }

    fn joined(&self, node: &Node) -> bool {
        self.lookup().nodes.joined(node)
    }

    fn left(&self, node: &Node) {
        self.lookup().nodes.left(node);
    }
}

impl PostgresDirectory {
    /// Finds out why there was nothing to update, and tells another process of this one.
    async fn find_out(&self, row: &MachineRow<'_>, deadline: Instant) -> Result<Beat, LookupError> {
        let sql = &self.statements().look;
        let rows = self.write_row(sql, &row.process(), deadline).await?;
        if rows.is_empty() {
            return self.restore(row, deadline).await;
        }
        Ok(match only::<i32>(&rows)? {
            1 => Beat::Removed,
            2 => Beat::Superseded {
                by: column(&rows, 1)?,
            },
            // It was readmitted meanwhile.
            _ => Beat::Alive { rival: None },
        })
    }

    /// Makes a row again that was deleted. A process that has made one meanwhile was started later.
    ///
    /// The row told this process from those before it, one of which may be paused, so a process that
    /// restores the row counts as a successor. Until then, no read without the row has let any of
    /// them serve.
    async fn restore(&self, row: &MachineRow<'_>, deadline: Instant) -> Result<Beat, LookupError> {
        let sql = &self.statements().put_back;
        let written = self.write_row(sql, &row.parameters(), deadline).await?;
        // The next beat finds the other process.
        let is_other = written.is_empty();
        Ok(if is_other {
            Beat::Alive { rival: None }
        } else {
            Beat::Restored
        })
    }

    /// What the primary says of a machine, which is `$1`.
    async fn read_of<T: for<'a> FromSql<'a>>(
        &self,
        machine: &MachineId,
        sql: &Arc<str>,
        within: Duration,
    ) -> Result<T, LookupError> {
        let connections = &self.lookup().connections;
        let machine: Parameter<'_> = (&machine.as_str(), Type::TEXT);
        let deadline = Instant::now() + within;
        let rows = connections
            .run_shared(Mode::READ_MACHINE, sql, &[machine], deadline)
            .await?;
        column(&rows, 1)
    }

    async fn write_row(
        &self,
        sql: &Arc<str>,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, LookupError> {
        let connections = &self.lookup().connections;
        connections
            .run_shared(Mode::WRITE_MACHINE, sql, parameters, deadline)
            .await
    }
}

/// A machine's row, as parameters.
struct MachineRow<'a> {
    machine: &'a str,
    me: &'a Process,
    info: &'a MachineInfo,
}

impl<'a> MachineRow<'a> {
    fn of(me: &'a Process, info: &'a MachineInfo) -> Self {
        Self {
            machine: me.machine.as_str(),
            me,
            info,
        }
    }

    fn process(&self) -> [Parameter<'_>; 2] {
        [(&self.machine, Type::TEXT), (&self.me.boot_id, Type::UUID)]
    }

    fn parameters(&self) -> [Parameter<'_>; 7] {
        let info = self.info;
        let [machine, boot_id] = self.process();
        [
            machine,
            boot_id,
            (&info.app, Type::TEXT),
            (&info.region, Type::TEXT),
            (&info.address, Type::TEXT),
            (&info.version, Type::TEXT),
            (&info.draining, Type::BOOL),
        ]
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

impl NodeDirectory for PostgresDirectory {
    async fn verify(&self, me: &MachineId) -> Result<(), Unfit> {
        let inner = Arc::clone(self.lookup());
        match (PostgresLookup { inner }).verify(me).await {
            Ok(_) => Ok(()),
            Err(PostgresVerifyError::Lookup(error)) => Err(error.into()),
            Err(error) => Err(Unfit::Misconfigured(error.into())),
        }
    }

    fn follow(
        &self,
        cache: CacheHandle,
    ) -> Result<Option<Box<dyn HealthCheck>>, Box<dyn Error + Send + Sync>> {
        let feed = self.lookup().change_feed.clone().start(cache)?;
        Ok(Some(Box::new(feed)))
    }
}
