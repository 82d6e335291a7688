//! A list of sessions from a table that has nothing of ours.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::{
    LookupError, SessionId,
    postgres::{
        PostgresLookup,
        mode::Mode,
        row::{self, value},
        sql::sql_file,
    },
};

/// How long a list may take: without our index, it may read the whole table.
pub(super) const LIST: Duration = Duration::from_secs(10);

/// A session in a list.
#[derive(Debug)]
pub(crate) struct PlainSession {
    pub(crate) id: SessionId,
    pub(crate) status: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) remaining: Option<f64>,
}

/// Which sessions are listed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlainFilter<'a> {
    All,
    Unassigned,
    OwnedBy(&'a str),
}

impl PostgresLookup {
    /// The sessions whose ids begin or end with `part`, at most three: enough to see that there is more
    /// than one. It reads the whole table.
    pub(crate) async fn find(&self, part: &str) -> Result<Vec<SessionId>, LookupError> {
        if self.inner.table.is_none() {
            return Ok(Vec::new());
        }
        let part = self.inner.query.ids().notified_part(part);
        let (sql, connections) = (&self.inner.sql, &self.inner.connections);
        let sql = sql.fill(sql_file!("find"));
        let rows = connections
            .run(
                Mode::LIST,
                &sql,
                &[(&part as _, Type::TEXT)],
                Instant::now() + LIST,
            )
            .await?;
        Ok(rows.iter().filter_map(row::id).collect())
    }

    /// Active and starting sessions that have not ended, in the order of their owners. Without an
    /// owner, active ones only if that is what is asked for: a starting one may get its owner yet.
    /// None of a query of the application's own, of which no table is known.
    pub(crate) async fn see_sessions(
        &self,
        filter: PlainFilter<'_>,
        limit: usize,
    ) -> Result<Vec<PlainSession>, LookupError> {
        if self.inner.table.is_none() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let owner = match filter {
            PlainFilter::OwnedBy(owner) => Some(owner),
            PlainFilter::All | PlainFilter::Unassigned => None,
        };
        let is_unassigned = matches!(filter, PlainFilter::Unassigned);
        let parameters = [
            (&limit as _, Type::INT8),
            (&owner as _, Type::TEXT),
            (&is_unassigned as _, Type::BOOL),
        ];
        let (sql, connections) = (&self.inner.sql, &self.inner.connections);
        let sql = sql.fill(sql_file!("see_sessions"));
        let deadline = Instant::now() + LIST;
        let rows = connections
            .run(Mode::LIST, &sql, &parameters, deadline)
            .await?;
        // What stands in the id column and is no id cannot be asked for.
        rows.iter()
            .filter_map(|row| Some((row::id(row)?, row)))
            .map(|(id, row)| {
                Ok(PlainSession {
                    id,
                    status: value(row, "status")?,
                    owner: value(row, "owner")?,
                    remaining: value(row, "remaining_seconds")?,
                })
            })
            .collect()
    }
}
