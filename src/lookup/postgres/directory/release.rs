//! Giving sessions up.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Row, types::Type};

use super::{PostgresDirectory, epoch, migration::active, value};
use crate::{
    CacheHandle, LookupError, SessionId, Standing,
    lookup::postgres::{Inner, failure::Failure},
};

/// A session that nobody owns any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Released {
    /// Which session.
    pub session: SessionId,
    /// Its epoch now.
    pub epoch: u64,
    /// Whether the row proves that its owner had stopped and nobody before it may still be
    /// serving, so that the next owner need not wait.
    pub proven: bool,
}

/// How long the release of all sessions may take: enough for some hundred thousand of them, as
/// `benches/ownership` measures it.
const ALL: Duration = Duration::from_secs(30);

impl PostgresDirectory {
    /// Gives a session up: this machine stops serving it, and then nobody owns it. `None`: the
    /// session is unknown, or this machine does not own it, or not any more.
    ///
    /// Requests that are being served meanwhile go on: the machine has stopped when it takes no
    /// new one. The row then proves that, so that the next owner may serve at once, unless this
    /// machine was itself still waiting for the owner before it, keeps no
    /// [presence](Self::presence), or is a process whose predecessor had not left and may still be
    /// serving: until [F](CacheHandle::bound) after it has registered.
    ///
    /// # Errors
    /// However it fails, this machine serves the session no more at this epoch, since it may have
    /// been given up all the same. Call it again: it is `None` if that is so. An error also if
    /// another process has begun under this machine's id, to which the session then belongs.
    pub async fn release(
        &self,
        session: SessionId,
        cache: &CacheHandle,
    ) -> Result<Option<Released>, LookupError> {
        let (lookup, me) = (self.lookup(), cache.machine());
        let deadline = lookup.connections.deadline();
        let found = lookup.ask(session, deadline).await?;
        let Some(found) = found.filter(|found| found.owner() == Some(me)) else {
            // Whoever asks again learns so that it is done.
            cache.gave_up(session);
            return Ok(None);
        };
        let at = found.epoch().and_then(|epoch| i64::try_from(epoch).ok());
        let (Some(epoch), Some(at)) = (found.epoch(), at) else {
            return Err(LookupError::corrupt("the session has no epoch"));
        };
        let has_waited = cache.give_up(session, epoch);
        let is_alone = cache.is_alone();
        let id = lookup.query.id(session);
        let boot_id = lookup.processes.boot_id(me);
        let one = format!(
            "t.{} = $3 AND t.{} = $4",
            self.table.id, self.ownership.epoch
        );
        let rows = lookup
            .connections
            .write(
                &self.release_sql(&one, "$5", "$6"),
                &[
                    (&me.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    id.parameter(),
                    (&at, Type::INT8),
                    (&has_waited, Type::BOOL),
                    (&is_alone, Type::BOOL),
                ],
                deadline,
                // A second time, it could not tell whether the first had done it.
                false,
            )
            .await
            .map_err(Failure::into_write_error)?;
        let mut released = read(lookup, &rows)?;
        cache.gave_up(session);
        Ok(released.pop())
    }

    /// Gives up all active sessions of the cache's machine, in one statement of at most 30 s, and
    /// returns which. The process first becomes [`Draining`](Standing::Draining) if it is not yet:
    /// it serves and claims nothing any more, for good.
    ///
    /// # Errors
    /// They leave open whether the sessions were given up. Call it again: it returns those that
    /// were not.
    pub async fn release_all(&self, cache: &CacheHandle) -> Result<Vec<Released>, LookupError> {
        self.release_all_by(cache, Instant::now() + ALL).await
    }

    pub(in crate::lookup::postgres) async fn release_all_by(
        &self,
        cache: &CacheHandle,
        deadline: Instant,
    ) -> Result<Vec<Released>, LookupError> {
        // Before anything is written: a proof says that the owner had stopped.
        cache.worsen(Standing::Draining);
        let (lookup, me) = (self.lookup(), cache.machine());
        let boot_id = lookup.processes.boot_id(me);
        let is_alone = cache.is_alone();
        let waited_out = cache.waited_out();
        let ids: Vec<SessionId> = waited_out.iter().map(|(id, _)| *id).collect();
        let ids = lookup.query.ids(&ids);
        let epochs: Vec<i64> = waited_out
            .iter()
            // One too large is none of the table's.
            .map(|(_, epoch)| i64::try_from(*epoch).unwrap_or(-1))
            .collect();
        let active = active(&self.table, self.statuses(), Some("t"));
        let rows = lookup
            .connections
            .write_much(
                &self.release_sql(
                    &active.unwrap_or_else(|| "true".to_owned()),
                    &format!(
                        "(t.{}, t.{}::bigint) IN (SELECT * FROM unnest($3, $4))",
                        self.table.id, self.ownership.epoch
                    ),
                    "$5",
                ),
                &[
                    (&me.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    ids.parameter(),
                    (&epochs, Type::INT8_ARRAY),
                    (&is_alone, Type::BOOL),
                ],
                deadline,
            )
            .await
            .map_err(Failure::into_write_error)?;
        read(lookup, &rows)
    }

    /// Finds the active sessions of machine `$1`.
    pub(in crate::lookup::postgres) fn owns_sql(&self, columns: &str) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let active = active(&self.table, self.statuses(), Some("t"));
        let active = active.map_or_else(String::new, |active| format!(" AND {active}"));
        format!("SELECT {columns} FROM {name} AS t WHERE {mine} = $1{active}")
    }

    /// Gives up the sessions of machine `$1` that are as `which` says, if `$2` is its last
    /// process or NULL. The proof is written only for a session that the machine was entitled to
    /// serve: `has_waited` says whether it waited for the owner before, and `is_alone` whether for
    /// the process before. And only by a process that
    /// keeps presence: the write of another one may land after the machine was restarted, and the
    /// proof would be that of a process which serves. An owner for which no epoch was set has served
    /// nothing, and gives nothing up.
    fn release_sql(&self, which: &str, has_waited: &str, is_alone: &str) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let (name, machines) = (table.qualified(), &ownership.machines);
        let (owner, mine) = (&table.owner, table.owner_text("t"));
        let (id, id_type) = (&table.id, self.lookup.query.id_type().name());
        let (epoch, released) = (&ownership.epoch, &ownership.released);
        let drifted = ownership.drifted("t", &mine);
        format!(
            "WITH me AS MATERIALIZED (\
                 SELECT FROM {machines} WHERE machine_id = $1 AND boot_id = $2 FOR KEY SHARE\
             ), given_up AS (\
                 UPDATE {name} AS t SET {owner} = NULL, {released} = CASE \
                     WHEN $2 IS NOT NULL AND {is_alone} \
                         AND (t.{epoch} <= 1 OR t.{released} = t.{epoch} - 1 OR {has_waited}) \
                     THEN t.{epoch} + 1 ELSE t.{released} END \
                 WHERE {which} AND {mine} = $1 AND NOT {drifted} AND ($2 IS NULL OR EXISTS (SELECT FROM me)) \
                 RETURNING t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch, \
                     t.{released} IS NOT DISTINCT FROM t.{epoch} AS proven\
             ) SELECT g.id, ($2 IS NULL OR EXISTS (SELECT FROM me)), g.epoch, g.proven \
             FROM (SELECT 1) AS one LEFT JOIN given_up AS g ON true"
        )
    }
}

fn read(lookup: &Inner, rows: &[Row]) -> Result<Vec<Released>, LookupError> {
    let mut released = Vec::with_capacity(rows.len());
    for row in rows {
        if !value::<bool>(row, 1)? {
            return Err(LookupError::unavailable(
                "another process has begun under this machine's id, and the session is its",
            ));
        }
        // One that has no id which could be asked for has been given up like the others.
        if let Some(session) = lookup.query.id_of(row) {
            released.push(Released {
                session,
                epoch: epoch(value(row, 2)?)?,
                proven: value(row, 3)?,
            });
        }
    }
    Ok(released)
}
