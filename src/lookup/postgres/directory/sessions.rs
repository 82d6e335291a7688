//! Lists of sessions.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{Row, types::Type};

use super::{PostgresDirectory, epoch, json, machines::LIST, owners::Living, value};
use crate::{
    LookupError, MachineId, Presence, SessionId,
    lookup::postgres::{Inner, connections::Parameter, failure::Failure, ownership},
};

/// Which active and starting sessions are [listed](PostgresDirectory::sessions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionFilter {
    /// All of them.
    #[default]
    All,
    /// The active ones that nobody owns.
    Unassigned,
    /// Those of one machine.
    OwnedBy(MachineId),
    /// Those whose owners are so. [`Unknown`](Presence::Unknown): also the active ones that nobody
    /// owns.
    OwnersAre(Presence),
}

/// A session, as it stands in the directory.
///
/// It serializes with the names of its fields in `camelCase`, with the whole id, and with
/// `remaining` in seconds (`remainingSeconds`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ListedSession {
    /// Its id.
    #[serde(serialize_with = "json::id")]
    pub id: SessionId,
    /// The word in its status column; `None` where the table has none.
    pub status: Option<String>,
    /// What stands in its owner column, whether that can be a machine or not; `None`: nobody owns
    /// it.
    pub owner: Option<String>,
    /// Its epoch.
    pub epoch: u64,
    /// How its owner is.
    #[serde(serialize_with = "json::presence")]
    pub presence: Presence,
    /// What is left of its life, by the database's clock; `None`: it does not end by itself.
    #[serde(rename = "remainingSeconds", serialize_with = "json::seconds_if_any")]
    pub remaining: Option<Duration>,
}

/// More sessions are not listed, and not audited, at once.
pub(super) const MOST: usize = 10_000;

impl PostgresDirectory {
    /// Active and starting sessions that have not ended, in the order of their owners, those without
    /// one last: at most `limit` (cut to 10,000), within 10 s.
    ///
    /// Starting ones are left out while the index of owners is one of active sessions only, as an
    /// earlier version made it: [`verify`](crate::PostgresLookup::verify) warns of it, and
    /// [`migrate`](Self::migrate) replaces it. It reads them through the index of the [migration](Self::migration), so that a short list
    /// is cheap however many sessions there are.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        limit: usize,
    ) -> Result<Vec<ListedSession>, LookupError> {
        let lookup = self.lookup();
        let sql = self.sessions_sql(filter, limit.min(MOST), &self.living().await?);
        let owner = match filter {
            SessionFilter::OwnedBy(machine) => Some(machine.as_str()),
            _ => None,
        };
        let parameters: Vec<Parameter<'_>> =
            owner.iter().map(|owner| (owner as _, Type::TEXT)).collect();
        let rows = lookup.connections.read_much(&sql, &parameters, LIST).await;
        let rows = rows.map_err(Failure::into_read_error)?;
        let sessions = rows.iter().filter_map(|row| session(lookup, row));
        sessions.collect()
    }

    fn sessions_sql(&self, filter: &SessionFilter, limit: usize, living: &Living) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let mine = table.owner_text("t");
        let (columns, is_living) = (self.listed(), self.is_living("t", living));
        let mut with = String::new();
        let listed = match filter {
            SessionFilter::All => {
                let name = table.qualified();
                format!(
                    "SELECT {columns} FROM {name} AS t WHERE {is_living} \
                     ORDER BY {mine} LIMIT {limit}"
                )
            }
            SessionFilter::Unassigned => self.unowned(&columns, "true", limit),
            SessionFilter::OwnedBy(_) => self.sessions_of(&columns, "$1", &is_living, limit),
            SessionFilter::OwnersAre(presence) => {
                with = format!("WITH RECURSIVE {} ", self.owners("true", living));
                let owned = self.sessions_of(&columns, "known.owner", &is_living, limit);
                let code = ownership::code_of(*presence);
                let unowned = if *presence == Presence::Unknown {
                    let unowned = self.unowned(&columns, "true", limit);
                    format!(" UNION ALL ({unowned})")
                } else {
                    String::new()
                };
                format!(
                    "(SELECT s.* FROM known CROSS JOIN LATERAL ({owned}) AS s \
                     WHERE known.code = {code} LIMIT {limit}){unowned}"
                )
            }
        };
        let owner = "s.owner COLLATE \"C\"";
        let presence = ownership.presence(owner);
        // Two parts of a union may come to twice as many.
        format!(
            "{with}SELECT s.*, {presence} FROM ({listed}) AS s ORDER BY {owner}, s.id \
             LIMIT {limit}"
        )
    }

    /// The columns that a list needs, of the row `t`.
    fn listed(&self) -> String {
        let (table, id_type) = (&self.table, self.lookup.query.id_type().name());
        let (id, owner, epoch) = (&table.id, &table.owner, &self.ownership.epoch);
        let status = match &table.status {
            Some(status) => format!("t.{status}::text"),
            None => "NULL::text".to_owned(),
        };
        let remaining = table.remaining();
        let remaining = remaining.unwrap_or_else(|| "NULL::float8 AS remaining_seconds".to_owned());
        format!(
            "t.{id}::{id_type} AS id, {status} AS status, t.{owner}::text AS owner, \
             t.{epoch}::bigint AS epoch, {remaining}"
        )
    }
}

/// `None`: what stands in the id column is no id, and nobody can ask for it.
fn session(lookup: &Inner, row: &Row) -> Option<Result<ListedSession, LookupError>> {
    let id = lookup.query.id_of(row)?;
    let read = || {
        let seconds: Option<f64> = value(row, 4)?;
        Ok(ListedSession {
            id,
            status: value(row, 1)?,
            owner: value(row, 2)?,
            epoch: epoch(value(row, 3)?)?,
            presence: ownership::presence_of(value(row, 5)?),
            // More than a duration can hold is as good as no end.
            remaining: seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
        })
    };
    Some(read())
}
