//! A session's row and its owner's, as they are stored: for finding out what is wrong with them, where
//! a lookup only says that something is.

use tokio_postgres::types::Type;

use crate::{LookupError, OwnerStatus, Session, SessionId};

use super::{
    PostgresLookup,
    failure::Failure,
    row::{Facts, value},
    sql::sql_file,
};

mod oddities;
mod plain;
mod server;

pub(crate) use oddities::{SeenRival, SeenStatus};
pub(crate) use plain::{PlainFilter, PlainSession};
pub(crate) use server::{SeenLock, SeenServer};

/// A row, before and after it was judged.
#[derive(Debug)]
pub(crate) struct SeenRow {
    pub(crate) owner: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) remaining: Option<f64>,
    pub(crate) epoch: Option<i64>,
    pub(crate) presence: OwnerStatus,
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

impl PostgresLookup {
    /// The session's row, if there is one. A row that cannot be a session's is no error.
    pub(crate) async fn see(&self, id: &SessionId) -> Result<Option<SeenRow>, LookupError> {
        let inner = &self.inner;
        let Some(parameter) = inner.query.ids().value(id) else {
            return Ok(None);
        };
        let tells_standby = inner.query.tells_standby();
        let deadline = inner.connections.deadline();
        let rows = inner
            .connections
            .ask(
                inner.query.one(),
                &[parameter.parameter()],
                deadline,
                tells_standby,
            )
            .await
            .map_err(Failure::into_lookup_error)?;
        let Some(row) = inner.only(&rows)? else {
            return Ok(None);
        };
        let session = inner.read(id, row);
        let Ok(facts) = Facts::of(row) else {
            return Ok(Some(SeenRow::of(session)));
        };
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
        if !self.keeps_ownership() {
            return Ok(None);
        }
        let sql = self.inner.sql.fill(sql_file!("see_machine"));
        let connections = &self.inner.connections;
        let rows = connections.query(&sql, &[(&id, Type::TEXT)]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(SeenMachine {
            region: value(row, "region")?,
            version: value(row, "version")?,
            draining: value(row, "draining")?,
            started_seconds_ago: value(row, "started")?,
            beat_seconds_ago: value(row, "beat")?,
            left_seconds_ago: value(row, "has_left")?,
            gone_seconds_ago: value(row, "gone")?,
            rival_seconds_ago: value(row, "rival")?,
        }))
    }

    /// The ids of some machines that are alive.
    pub(crate) async fn see_some_machines(&self) -> Result<Vec<String>, LookupError> {
        if !self.keeps_ownership() {
            return Ok(Vec::new());
        }
        let sql = self.inner.sql.fill(sql_file!("see_some_machines"));
        let rows = self.inner.connections.query(&sql, &[]).await?;
        rows.iter().map(|row| value(row, "id")).collect()
    }

    fn keeps_ownership(&self) -> bool {
        let table = self.inner.table.as_ref();
        table.is_some_and(|table| table.ownership.is_some())
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
            presence: known.map_or(OwnerStatus::Unknown, Session::owner_status),
            session,
        }
    }
}
