//! Deleting what is long over.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{
    PostgresDirectory, epoch, json, migration::active, owners::Living, sessions::MOST, value,
};
use crate::{LookupError, SessionId, lookup::postgres::failure::Failure};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

/// A longer retention is cut to this: a hundred years, which the server can count back.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl PostgresDirectory {
    /// Deletes sessions whose end or expiry is longer ago than `retention`, and the rows of
    /// machines that have left or been lost for longer and own no session that is active or starting:
    /// at most `limit`
    /// (cut to 10,000) of each, within 30 s. Call it again while it returns as many.
    ///
    /// What somebody else holds locked is left for the next time, so several machines may reap at
    /// once. A session that is over only by its status is left: nothing tells since when. So is a
    /// machine that was [declared gone](Self::declare_gone), which would otherwise be welcome again.
    ///
    /// It looks for sessions in the whole table, as long as it has not found enough of them. On a
    /// large one give it an index on exactly this:
    /// `CREATE INDEX CONCURRENTLY ON preview_sessions (LEAST(expires_at, ended_at))`; with one of
    /// the two columns, on that.
    ///
    /// Whatever asks for a session that was deleted is told that it is unknown, no longer that it is
    /// over. Its id must never be used again: epochs would begin anew, and a fencing token that was
    /// written at a higher epoch would refuse the writes of the rightful owner.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): another table refers to one of the
    /// sessions. Then none of them is deleted.
    pub async fn reap(&self, retention: Duration, limit: usize) -> Result<Reaped, LookupError> {
        let (lookup, deadline) = (self.lookup(), Instant::now() + REAP);
        let limit = limit.min(MOST);
        let mut reaped = Reaped::default();
        if let Some(sql) = self.reap_sessions_sql(retention, limit) {
            let rows = lookup.connections.write_much(&sql, &[], deadline).await;
            for row in rows.map_err(Failure::into_write_error)? {
                // One that has no id which could be asked for has been deleted like the others.
                if let Some(session) = lookup.query.id_of(&row) {
                    let epoch = epoch(value(&row, 1)?)?;
                    reaped.sessions.push(ReapedSession { session, epoch });
                }
            }
        }
        let sql = self.reap_machines_sql(retention, limit, &self.living().await?);
        let rows = lookup.connections.write_much(&sql, &[], deadline).await;
        for row in rows.map_err(Failure::into_write_error)? {
            reaped.machines.push(value(&row, 0)?);
        }
        Ok(reaped)
    }

    /// `None`: the table does not say when a session ends.
    fn reap_sessions_sql(&self, retention: Duration, limit: usize) -> Option<String> {
        let (table, name) = (&self.table, self.table.qualified());
        let (id, id_type) = (&table.id, self.lookup.query.id_type().name());
        let (epoch, before) = (&self.ownership.epoch, before(retention));
        let end = table.end("t")?;
        // The second look is for a table in which an id is not unique.
        Some(format!(
            "WITH old AS MATERIALIZED (\
                 SELECT t.{id} AS id FROM {name} AS t WHERE {end} < {before} LIMIT {limit} \
                 FOR UPDATE SKIP LOCKED\
             ) DELETE FROM {name} AS t USING old WHERE t.{id} = old.id AND {end} < {before} \
             RETURNING t.{id}::{id_type}, t.{epoch}::bigint"
        ))
    }

    fn reap_machines_sql(&self, retention: Duration, limit: usize, living: &Living) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let (machines, is_lost) = (&self.ownership.machines, self.ownership.is_lost("m"));
        let before = before(retention);
        let active = active(&self.table, self.statuses(), Some("t"));
        let active = active.unwrap_or_else(|| "true".to_owned());
        let is_old = format!(
            "{is_lost} AND m.gone_at IS NULL AND GREATEST(m.beat_at, m.left_at) < {before}"
        );
        let owns_none = |of: &str| {
            format!(
                " AND (SELECT true FROM {name} AS t \
                     WHERE {mine} >= m.machine_id AND {mine} <= m.machine_id AND {of} \
                     ORDER BY {mine} LIMIT 1) IS NULL"
            )
        };
        // Nor is a machine deleted whose session is starting: it would count as never seen for as long
        // as that session lives.
        let (mut idle, mut again) = (owns_none(&active), String::new());
        match self.is_starting("t") {
            Some(_) if living.is_complete => idle += &owns_none(&self.is_living("t", living)),
            // The index has active sessions only. The others are read from the table, once for all
            // machines, and only if the index left any.
            Some(is_starting) => {
                again = format!(
                    " AND i.machine_id NOT IN (\
                         SELECT {mine} FROM {name} AS t WHERE {mine} IS NOT NULL AND {is_starting}\
                     )"
                );
            }
            None => {}
        }
        format!(
            "WITH idle AS MATERIALIZED (\
                 SELECT m.machine_id FROM {machines} AS m WHERE {is_old}{idle}\
             ), old AS MATERIALIZED (\
                 SELECT m.machine_id FROM idle AS i JOIN {machines} AS m USING (machine_id) \
                 WHERE {is_old}{again} LIMIT {limit} FOR UPDATE OF m SKIP LOCKED\
             ) DELETE FROM {machines} AS m USING old WHERE m.machine_id = old.machine_id \
             RETURNING m.machine_id"
        )
    }
}

/// The moment that is so long ago, as SQL.
fn before(retention: Duration) -> String {
    let retention = retention.min(LONGEST).as_millis();
    format!("now() - interval '{retention} milliseconds'")
}
