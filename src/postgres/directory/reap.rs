//! Deleting what is long over.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, json, rows, value};
use crate::{
    LookupError, SessionId,
    postgres::{mode::Mode, row, sql::sql_file},
};

/// What was [deleted](PostgresDirectory::reap).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Reaped {
    /// The sessions.
    pub sessions: Vec<ReapedSession>,
    /// The ids of the machines.
    pub machines: Vec<String>,
}

/// A session that was [deleted](PostgresDirectory::reap).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReapedSession {
    /// Which session.
    #[serde(serialize_with = "json::id")]
    pub session: SessionId,
    /// Its last epoch.
    pub epoch: u64,
}

/// How long it may take.
const REAP: Duration = Duration::from_secs(30);

/// A longer retention or lifetime is cut to this: a hundred years, which the server can count.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl PostgresDirectory {
    /// Deletes sessions whose end or expiry is longer ago than `retention`, and the rows of
    /// machines that have left or been lost for longer and own no session that is active or starting:
    /// at most `limit`
    /// (cut to 10,000) of each, within 30 s. Call it again while it returns as many.
    ///
    /// What another transaction holds locked is left for the next time, so several machines may reap at
    /// once. A session that is over only by its status is left: nothing tells since when. So is a
    /// machine that was [declared gone](Self::declare_gone), which would otherwise be welcome again.
    ///
    /// It looks for sessions in the whole table, as long as it has not found enough of them. On a
    /// large one give it an index on exactly this:
    /// `CREATE INDEX CONCURRENTLY ON preview_sessions (LEAST(expires_at, ended_at))`; with one of
    /// the two columns, on that.
    ///
    /// A request for a session that was deleted is answered that it is unknown, no longer that it is
    /// over.
    ///
    /// # Ids that come again
    /// An id must not be used again after its row was deleted, unless the table has
    /// [`reusable_ids`](super::super::PostgresLookupBuilder::reusable_ids). Without them, the next row
    /// begins at epoch 1: a fencing token that was written at a higher epoch refuses the writes of the
    /// rightful owner. With them, epochs go on from the clock of the database.
    ///
    /// Either way the owner of the next row does not wait for that of the row before. So an id has to rest
    /// from its end until it comes again for longer than twice the lease TTL (10 s by default), as for
    /// the proof of a [new life](crate::SessionDirectory#contract). A `retention` of at least that is
    /// enough; a row that is deleted by hand while its session lives rests from then on. A row that is
    /// over and not deleted needs no rest: [`create`](crate::SessionDirectory::create) begins another life
    /// of it, which waits if need be.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): another table refers to one of the
    /// sessions. Then none of them is deleted.
    pub async fn reap(&self, retention: Duration, limit: usize) -> Result<Reaped, LookupError> {
        let (connections, deadline) = (&self.lookup.connections, Instant::now() + REAP);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a century has fewer than 2^53 milliseconds"
        )]
        let retention = retention.min(LONGEST).as_millis() as f64;
        let parameters = [
            (&retention as _, Type::FLOAT8),
            (&rows(limit) as _, Type::INT8),
        ];
        let mut reaped = Reaped::default();
        let sql = &self.statements.reap_sessions;
        let rows = connections.run(self.by_hand(Mode::WRITE_MUCH), sql, &parameters, deadline);
        for row in rows.await? {
            // One that has no id which could be asked for has been deleted like the others.
            if let Some(session) = row::id(&row) {
                let epoch = epoch(value(&row, "epoch")?)?;
                reaped.sessions.push(ReapedSession { session, epoch });
            }
        }
        let living = self.living().await?;
        let no_starting = if living.is_complete {
            ""
        } else {
            " AND i.machine_id NOT IN (SELECT {owner_text t} FROM {table} AS t \
             WHERE {owner_text t} IS NOT NULL AND {lives t})"
        };
        let sql = living.sql.template("no_starting", no_starting);
        let sql = sql.fill(sql_file!("reap_machines"));
        let rows = connections.run(self.by_hand(Mode::WRITE_MUCH), &sql, &parameters, deadline);
        for row in rows.await? {
            reaped.machines.push(value(&row, "id")?);
        }
        Ok(reaped)
    }
}
