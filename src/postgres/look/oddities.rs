//! What is odd in a fleet, and which its machines do not look for by themselves.

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::plain::LIST;
use crate::{
    LookupError,
    doctor::seconds,
    postgres::{PostgresLookup, mode::Mode, row::value, sql::sql_file},
};

/// A machine under whose id two processes run.
#[derive(Debug)]
pub(crate) struct SeenRival {
    pub(crate) machine: String,
    /// What is known of either.
    pub(crate) detail: String,
}

/// A word in the column of statuses that is none of the lookup's.
#[derive(Debug)]
pub(crate) struct SeenStatus {
    pub(crate) word: String,
    pub(crate) count: i64,
}

/// Words that mean nearly everywhere what the lookup takes them for where no `over_statuses` are named.
const OVER: &[&str] = &[
    "over",
    "ended",
    "stopped",
    "closed",
    "expired",
    "finished",
    "completed",
    "complete",
    "done",
    "terminated",
    "deleted",
    "destroyed",
    "archived",
    "cancelled",
    "canceled",
    "failed",
    "error",
    "errored",
    "gone",
    "inactive",
    "dead",
    "exited",
    "released",
];

impl PostgresLookup {
    /// Longest time since another process wrote a machine's row for it to be running still: twenty
    /// heartbeats of the default.
    pub(crate) const RIVAL_SECONDS: f64 = 60.0;

    /// Machines of which two processes run.
    pub(crate) async fn see_rivals(&self, limit: usize) -> Result<Vec<SeenRival>, LookupError> {
        if !self.keeps_ownership() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = self.inner.sql.fill(sql_file!("see_rivals"));
        let parameters = [
            (&Self::RIVAL_SECONDS as _, Type::FLOAT8),
            (&limit as _, Type::INT8),
        ];
        let rows = self.inner.connections.query(&sql, &parameters).await?;
        rows.iter()
            .map(|row| {
                let address = value::<Option<&str>>(row, "address")?;
                let address = address.map_or_else(String::new, |at| format!(" at {at}"));
                Ok(SeenRival {
                    machine: value(row, "id")?,
                    detail: format!(
                        "the row is of boot {}, started {} ago{address}; an older process wrote {} \
                         ago",
                        value::<&str>(row, "boot")?,
                        seconds(value(row, "started")?),
                        seconds(value(row, "rival")?),
                    ),
                })
            })
            .collect()
    }

    /// Words of statuses that count as over, or as nothing, of sessions that look alive.
    pub(crate) async fn see_odd_statuses(&self) -> Result<Vec<SeenStatus>, LookupError> {
        let inner = &self.inner;
        let has_status = { inner.table.as_ref() }.is_some_and(|table| table.status.is_some());
        let Some(statuses) = inner.statuses.as_ref().filter(|_| has_status) else {
            return Ok(Vec::new());
        };
        let sql = inner.sql.fill(sql_file!("see_statuses"));
        let deadline = Instant::now() + LIST;
        let rows = inner.connections.run(Mode::LIST, &sql, &[], deadline);
        let mut odd = Vec::new();
        for row in rows.await? {
            let word: String = value(&row, "status")?;
            let is_usual = OVER.contains(&&*word.to_lowercase());
            if statuses.over.is_some() || !is_usual {
                let count = value(&row, "n")?;
                odd.push(SeenStatus { word, count });
            }
        }
        Ok(odd)
    }
}
