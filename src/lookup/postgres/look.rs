//! A session's row and its owner's, as they stand there: for whoever wants to see what is wrong
//! with them, where a lookup only says that something is.

use tokio_postgres::{Row, types::FromSql, types::Type};

use crate::{LookupError, Presence, Session, SessionId};

use super::{Inner, PostgresLookup, failure::Failure, ownership::Ownership};

mod plain;

pub(crate) use plain::{PlainFilter, PlainSession};

/// A row, before and after it was judged.
#[derive(Debug)]
pub(crate) struct SeenRow {
    pub(crate) owner: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) remaining: Option<f64>,
    pub(crate) epoch: Option<i64>,
    pub(crate) presence: Presence,
    /// What a lookup makes of it.
    pub(crate) session: Result<Session, LookupError>,
}

/// A machine's row. Times are in seconds until now, by the database's clock.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenMachine {
    pub(crate) region: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) started_seconds_ago: f64,
    pub(crate) beat_seconds_ago: f64,
    pub(crate) draining: bool,
    pub(crate) left_seconds_ago: Option<f64>,
    pub(crate) gone_seconds_ago: Option<f64>,
    pub(crate) rival_seconds_ago: Option<f64>,
}

/// How many machines are looked at to see what their ids look like.
const SOME: i64 = 20;

impl PostgresLookup {
    /// The session's row, if there is one. A row that cannot be a session's is no error.
    pub(crate) async fn see(&self, id: SessionId) -> Result<Option<SeenRow>, LookupError> {
        let inner = &self.inner;
        let value = inner.query.id(id);
        let sql = inner.query.sql();
        let tells_standby = inner.query.tells_standby();
        let deadline = inner.connections.deadline();
        let rows = inner
            .connections
            .ask(sql, &[value.parameter()], deadline, tells_standby)
            .await
            .map_err(Failure::into_lookup_error)?;
        let (row, at) = match inner.query.found(&rows)? {
            ([], _) => return Ok(None),
            ([row], at) => (row, at),
            _ => return Err(Inner::two_rows()),
        };
        let session = inner.read(id, row, at);
        let Some(columns) = inner.query.columns() else {
            return Ok(Some(SeenRow::of(session)));
        };
        let facts = columns.facts(row, at)?;
        Ok(Some(SeenRow {
            owner: facts.owner.map(str::to_owned),
            status: facts.status.map(str::to_owned),
            address: facts.address.map(str::to_owned),
            remaining: facts.remaining,
            epoch: facts.epoch,
            presence: facts.seen.unwrap_or_default().presence,
            session,
        }))
    }

    /// The machine's row, where machines are kept.
    pub(crate) async fn see_machine(&self, id: &str) -> Result<Option<SeenMachine>, LookupError> {
        let Some(Ownership { machines, .. }) = self.ownership() else {
            return Ok(None);
        };
        let ago = |column: &str| format!("extract(epoch FROM now() - {column})::float8");
        let columns = ["started_at", "beat_at", "left_at", "gone_at", "rival_at"].map(ago);
        let sql = format!(
            "SELECT region, version, draining, {} FROM {machines} WHERE machine_id = $1",
            columns.join(", ")
        );
        let connections = &self.inner.connections;
        let rows = connections.query(&sql, &[(&id, Type::TEXT)]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(SeenMachine {
            region: value(row, 0)?,
            version: value(row, 1)?,
            draining: value(row, 2)?,
            started_seconds_ago: value(row, 3)?,
            beat_seconds_ago: value(row, 4)?,
            left_seconds_ago: value(row, 5)?,
            gone_seconds_ago: value(row, 6)?,
            rival_seconds_ago: value(row, 7)?,
        }))
    }

    /// The ids of some machines that are alive.
    pub(crate) async fn see_some_machines(&self) -> Result<Vec<String>, LookupError> {
        let Some(ownership) = self.ownership() else {
            return Ok(Vec::new());
        };
        let (machines, is_lost) = (&ownership.machines, ownership.is_lost("m"));
        let sql = format!(
            "SELECT m.machine_id FROM {machines} AS m WHERE NOT {is_lost} ORDER BY 1 LIMIT $1"
        );
        let connections = &self.inner.connections;
        let rows = connections.query(&sql, &[(&SOME, Type::INT8)]).await?;
        rows.iter().map(|row| value(row, 0)).collect()
    }

    fn ownership(&self) -> Option<&Ownership> {
        self.inner.table.as_ref()?.ownership.as_ref()
    }
}

impl SeenRow {
    /// The same of a directory that tells no more than its sessions.
    pub(crate) fn of(session: Result<Session, LookupError>) -> Self {
        let known = session.as_ref().ok();
        Self {
            owner: known.and_then(|session| session.owner().map(ToString::to_string)),
            status: None,
            address: known.and_then(|session| session.address().map(ToString::to_string)),
            remaining: known.and_then(|session| session.remaining().map(|left| left.as_secs_f64())),
            epoch: known.and_then(|session| session.epoch().and_then(|e| i64::try_from(e).ok())),
            presence: known.map_or(Presence::Unknown, Session::presence),
            session,
        }
    }
}

fn value<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, LookupError> {
    row.try_get(column).map_err(|error| {
        LookupError::corrupt("what the database answered cannot be read").with_source(error)
    })
}
