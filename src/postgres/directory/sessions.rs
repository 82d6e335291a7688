//! Lists of sessions.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{Row, types::Type};

use super::{PostgresDirectory, epoch, json, rows, value};
use crate::{
    LookupError, MachineId, OwnerStatus, SessionId,
    postgres::{ownership, row, sql::sql_file},
};

/// Which active and starting sessions are [listed](PostgresDirectory::sessions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionFilter {
    /// All of them.
    #[default]
    All,
    /// The active ones without an owner.
    Unassigned,
    /// Those of one machine.
    OwnedBy(MachineId),
    /// Those whose owners are so. [`Unknown`](OwnerStatus::Unknown): also the active ones without
    /// an owner.
    OwnersAre(OwnerStatus),
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
    /// What stands in its owner column, whether that can be a machine or not; `None`: it has
    /// no owner.
    pub owner: Option<String>,
    /// Its epoch, where one is kept.
    pub epoch: Option<u64>,
    /// How its owner is.
    #[serde(serialize_with = "json::presence")]
    pub presence: OwnerStatus,
    /// What is left of its life, by the database's clock; `None`: it does not end by itself.
    #[serde(rename = "remainingSeconds", serialize_with = "json::seconds_if_any")]
    pub remaining: Option<Duration>,
}

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
        let limit = (&rows(limit) as _, Type::INT8);
        let living = || async { Ok::<_, LookupError>(self.living().await?.sql) };
        let rows = match filter {
            SessionFilter::Unassigned => self.list(&self.statements.unassigned, &[limit]).await?,
            SessionFilter::OwnersAre(presence) => {
                let code = ownership::code_of(*presence);
                let sql = living().await?.template("condition", "true");
                let sql = sql.fill(sql_file!("sessions_of_owners"));
                self.list(&sql, &[limit, (&code, Type::INT2)]).await?
            }
            SessionFilter::All | SessionFilter::OwnedBy(_) => {
                let owner = match filter {
                    SessionFilter::OwnedBy(machine) => Some(machine.as_str()),
                    _ => None,
                };
                let sql = living().await?.fill(sql_file!("sessions"));
                self.list(&sql, &[limit, (&owner, Type::TEXT)]).await?
            }
        };
        rows.iter().filter_map(session).collect()
    }
}

/// `None`: what stands in the id column is no id, and no client can ask for it.
fn session(row: &Row) -> Option<Result<ListedSession, LookupError>> {
    let id = row::id(row)?;
    let read = || {
        let seconds: Option<f64> = value(row, "remaining_seconds")?;
        Ok(ListedSession {
            id,
            status: value(row, "status")?,
            owner: value(row, "owner")?,
            epoch: Some(epoch(value(row, "epoch")?)?),
            presence: ownership::presence_of(value(row, "presence")?),
            // More than a duration can hold is as good as no end.
            remaining: seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
        })
    };
    Some(read())
}
