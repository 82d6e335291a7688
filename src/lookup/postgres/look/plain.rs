//! A list of sessions from a table that has nothing of ours.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::{
    LookupError,
    lookup::postgres::{PostgresLookup, connections::Parameter, failure::Failure},
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
        let Some(table) = &self.inner.table else {
            return Ok(Vec::new());
        };
        let mut conditions: Vec<String> = [&table.expires_at, &table.ended_at]
            .into_iter()
            .flatten()
            .map(|end| format!("(t.{end} IS NULL OR t.{end} > now())"))
            .collect();
        let mut parameters: Vec<Parameter<'_>> = Vec::new();
        let mine = table.owner_text("t");
        let owner;
        match filter {
            PlainFilter::All => {}
            PlainFilter::Unassigned => conditions.push(format!("t.{} IS NULL", table.owner)),
            PlainFilter::OwnedBy(machine) => {
                owner = machine;
                parameters.push((&owner, Type::TEXT));
                conditions.push(format!("{mine} = $1"));
            }
        }
        let words = self.inner.reader.statuses.as_ref();
        let words = words.map(|statuses| match filter {
            PlainFilter::Unassigned => statuses.active.clone(),
            PlainFilter::All | PlainFilter::OwnedBy(_) => statuses.living(),
        });
        let status = match (&table.status, &words) {
            (Some(status), Some(words)) => {
                parameters.push((words, Type::TEXT_ARRAY));
                let place = parameters.len();
                conditions.push(format!("t.{status}::text = ANY(${place})"));
                format!("t.{status}::text")
            }
            _ => "NULL::text".to_owned(),
        };
        if conditions.is_empty() {
            conditions.push("true".to_owned());
        }
        let remaining = table.remaining();
        let remaining = remaining.unwrap_or_else(|| "NULL::float8 AS remaining_seconds".to_owned());
        let sql = format!(
            "SELECT t.{id}::text, {status}, t.{owner}::text, {remaining} FROM {name} AS t \
             WHERE {conditions} ORDER BY {mine}, 1 LIMIT {limit}",
            id = table.id,
            owner = table.owner,
            name = table.qualified(),
            conditions = conditions.join(" AND ")
        );
        let connections = &self.inner.connections;
        let rows = connections.read_much(&sql, &parameters, LIST).await;
        let rows = rows.map_err(Failure::into_read_error)?;
        rows.iter()
            .map(|row| {
                Ok(PlainSession {
                    id: super::value(row, 0)?,
                    status: super::value(row, 1)?,
                    owner: super::value(row, 2)?,
                    remaining: super::value(row, 3)?,
                })
            })
            .collect()
    }
}
