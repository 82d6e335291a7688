//! The machines that are known.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Row;

use super::{PostgresDirectory, json, value};
use crate::{
    LookupError, Presence,
    lookup::postgres::{failure::Failure, ownership::presence_of},
};

/// A machine, as it stands in the directory.
///
/// It serializes with the names of its fields in `camelCase`, and with durations in seconds
/// (`startedSecondsAgo`, `beatSecondsAgo`).
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
    /// How it is.
    #[serde(serialize_with = "json::presence")]
    pub presence: Presence,
    /// Whether it gives its sessions up, or did at its end.
    pub draining: bool,
    /// Whether it said that it is away.
    pub left: bool,
    /// Whether an operator [declared it gone](PostgresDirectory::declare_gone).
    pub gone: bool,
}

/// How long a list may take.
pub(super) const LIST: Duration = Duration::from_secs(10);

/// More machines are not listed.
const MOST: usize = 10_000;

impl PostgresDirectory {
    /// All machines that the directory knows, those among them that are no more, in the order of
    /// their ids: at most 10,000, within 10 s.
    pub async fn machines(&self) -> Result<Vec<MachineStatus>, LookupError> {
        let machines = &self.ownership.machines;
        let presence = self.ownership.presence("m.machine_id", "m");
        let sql = format!(
            "SELECT m.machine_id, m.app, m.region, m.address, m.version, \
                 extract(epoch FROM now() - m.started_at)::float8, \
                 extract(epoch FROM now() - m.beat_at)::float8, \
                 {presence}, m.draining, m.left_at IS NOT NULL, m.gone_at IS NOT NULL \
             FROM {machines} AS m ORDER BY m.machine_id LIMIT {MOST}"
        );
        let rows = self.lookup.connections.read_much(&sql, &[], LIST).await;
        let rows = rows.map_err(Failure::into_read_error)?;
        rows.iter().map(machine).collect()
    }
}

fn machine(row: &Row) -> Result<MachineStatus, LookupError> {
    // A clock that was set back makes an age negative.
    let ago = |column| Ok(Duration::try_from_secs_f64(value(row, column)?).unwrap_or_default());
    Ok(MachineStatus {
        id: value(row, 0)?,
        app: value(row, 1)?,
        region: value(row, 2)?,
        address: value(row, 3)?,
        version: value(row, 4)?,
        started_ago: ago(5)?,
        beat_ago: ago(6)?,
        presence: presence_of(value(row, 7)?),
        draining: value(row, 8)?,
        left: value(row, 9)?,
        gone: value(row, 10)?,
    })
}
