//! The machines that are known.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{Row, types::Type};

use super::{MOST, PostgresDirectory, json, rows, value};
use crate::{
    LookupError, OwnerStatus,
    postgres::{ownership::presence_of, sql::sql_file},
};

/// A machine, as it stands in the directory.
///
/// It serializes with the names of its fields in `camelCase`, and with durations in seconds
/// (`startedSecondsAgo`, `beatSecondsAgo`, `rivalSecondsAgo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MachineStatus {
    /// Its id.
    pub id: String,
    /// The application that it runs, if it said so; as the following.
    pub app: Option<String>,
    /// Where it is.
    pub region: Option<String>,
    /// Where clients can reach it.
    pub address: Option<String>,
    /// The version of the application.
    pub version: Option<String>,
    /// How long ago its last process began, by the database's clock.
    #[serde(rename = "startedSecondsAgo", serialize_with = "json::seconds")]
    pub started_ago: Duration,
    /// How long ago it last said that it is alive, by the database's clock.
    #[serde(rename = "beatSecondsAgo", serialize_with = "json::seconds")]
    pub beat_ago: Duration,
    /// How long ago another process wrote under its id; `None`: none has. A rival that runs writes with
    /// each of its heartbeats.
    #[serde(
        rename = "rivalSecondsAgo",
        serialize_with = "json::seconds_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub rival_ago: Option<Duration>,
    /// How it is.
    #[serde(serialize_with = "json::presence")]
    pub presence: OwnerStatus,
    /// Whether it gives its sessions up, or did at its end.
    pub draining: bool,
    /// Whether it said that it is away.
    pub left: bool,
    /// Whether an operator [declared it gone](PostgresDirectory::declare_gone).
    pub gone: bool,
}

impl PostgresDirectory {
    /// All machines that the directory knows, those among them that are no more, in the order of
    /// their ids: at most 10,000, within 10 s.
    pub async fn machines(&self) -> Result<Vec<MachineStatus>, LookupError> {
        let parameters = [(&rows(MOST) as _, Type::INT8)];
        let rows = self.list(&self.statements.machines, &parameters).await?;
        rows.iter().map(machine).collect()
    }

    /// The fleet's lease TTL, as its first machine wrote it. `None`: no machine has run yet.
    pub async fn lease_ttl(&self) -> Result<Option<Duration>, LookupError> {
        let sql = self.lookup.sql.fill(sql_file!("lease_ttl"));
        let rows = self.list(&sql, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let stored: i64 = value(row, "freshness_ms")?;
        Ok(u64::try_from(stored).ok().map(Duration::from_millis))
    }
}

fn machine(row: &Row) -> Result<MachineStatus, LookupError> {
    // A clock that was set back makes an age negative.
    let ago = |column| Ok(Duration::try_from_secs_f64(value(row, column)?).unwrap_or_default());
    Ok(MachineStatus {
        id: value(row, "id")?,
        app: value(row, "app")?,
        region: value(row, "region")?,
        address: value(row, "address")?,
        version: value(row, "version")?,
        started_ago: ago("started")?,
        beat_ago: ago("beat")?,
        rival_ago: value::<Option<f64>>(row, "rival")?
            .map(|ago| Duration::try_from_secs_f64(ago).unwrap_or_default()),
        presence: presence_of(value(row, "presence")?),
        draining: value(row, "draining")?,
        left: value(row, "has_left")?,
        gone: value(row, "gone")?,
    })
}
