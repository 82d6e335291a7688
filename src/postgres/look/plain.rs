//! A list of sessions from a table that has nothing of ours.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::{
    LookupError,
    postgres::{PostgresLookup, mode::Mode, row::value, sql::sql_file},
};

/// How long a list may take: without our index, it may read the whole table.
const LIST: Duration = Duration::from_secs(10);

/// A session in a list.
#[derive(Debug)]
pub(crate) struct PlainSession {
    /// As it is stored.
    pub(crate) id: String,
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
        rows.iter()
            .map(|row| {
                Ok(PlainSession {
                    id: value(row, "id")?,
                    status: value(row, "status")?,
                    owner: value(row, "owner")?,
                    remaining: value(row, "remaining_seconds")?,
                })
            })
            .collect()
    }
}
