//! What the clones of a lookup share.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_postgres::Row;

use super::{
    PostgresFeedBuilder,
    connections::Connections,
    failure::Failure,
    query::SessionQuery,
    queue::{Answer, Queue},
    row::Facts,
    sql::Sql,
    statuses::Statuses,
    table::Table,
};
use crate::{
    LookupError, Session, SessionId,
    directory::{DirectoryId, nodes::Nodes},
    meter::{self, Stopwatch},
};

pub(super) struct Inner {
    pub(super) queue: Queue,
    pub(super) connections: Arc<Connections>,
    pub(super) query: SessionQuery,
    /// `None`: the table has no status, and every row is active.
    pub(super) statuses: Option<Statuses>,
    /// What the query was made from; `None` for a query of the application's own.
    pub(super) table: Option<Table>,
    pub(super) sql: Sql,
    pub(super) change_feed: PostgresFeedBuilder,
    pub(super) nodes: Nodes,
    /// Asked by `verify`.
    pub(super) directory_id: OnceLock<DirectoryId>,
}

impl Inner {
    /// Asks for one session, with a query of its own, by `deadline`.
    pub(super) async fn ask(&self, id: &SessionId, deadline: Instant) -> Answer {
        let Some(value) = self.query.ids().value(id) else {
            return Ok(None);
        };
        let parameters = [value.parameter()];
        let began = Stopwatch::start();
        let tells_standby = self.query.tells_standby();
        let rows = self
            .connections
            .ask(self.query.one(), &parameters, deadline, tells_standby)
            .await;
        meter::queried(1, began);
        let rows = rows.map_err(Failure::into_lookup_error)?;
        match self.only(&rows)? {
            Some(row) => self.read(id, row).map(Some),
            None => Ok(None),
        }
    }

    /// The one row that is a session's.
    pub(super) fn only<'a>(&self, rows: &'a [Row]) -> Result<Option<&'a Row>, LookupError> {
        let mut rows = rows.iter().filter(|row| self.query.is_session(row));
        match (rows.next(), rows.next()) {
            (row, None) => Ok(row),
            (_, Some(_)) => Err(Self::two_rows()),
        }
    }

    pub(super) fn read(&self, id: &SessionId, row: &Row) -> Result<Session, LookupError> {
        let mut facts = Facts::of(row)?;
        if let (Some(owner), Some(seen)) = (facts.owner, &mut facts.seen)
            && let Some(status) = self.nodes.tell_apart(owner, seen.boot_id)
        {
            seen.presence = status;
        }
        facts.into_session(id.clone(), self.statuses.as_ref())
    }

    pub(super) fn two_rows() -> LookupError {
        LookupError::corrupt("there are two rows for one session")
    }
}
