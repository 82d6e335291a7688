//! Ending a session.

use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{
    LookupError, MachineId, SessionId, SessionStatus,
    lookup::postgres::{failure::Failure, statuses::Statuses},
};

/// The status of a session that was ended, where the builder names none.
const ENDED: &str = "ended";

impl PostgresDirectory {
    /// Ends a session, whichever machine owns it, and returns the epoch that it ends with, which is its last.
    /// `None`: there is no such session. One that is over already stays as it is.
    ///
    /// Where the table has a column for the [end](super::super::PostgresLookupBuilder::ended_at_column),
    /// that becomes the present time. Otherwise its status becomes the first of the
    /// [`over_statuses`](super::super::PostgresLookupBuilder::over_statuses), or `ended` if they were
    /// not named. Its owner stays written down, and goes on serving it for up to the fleet's
    /// freshness unless it [hears](super::super::PostgresWatch) of the change.
    ///
    /// For an orchestrator or an operator. A machine that ends a session because it served it uses
    /// [`end_if`](Self::end_if): by now the session may be another machine's.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): the table has neither column, or
    /// `ended` is a status of sessions that are not over.
    pub async fn end(&self, session: SessionId) -> Result<Option<u64>, LookupError> {
        self.end_where(session, None, 0).await
    }

    /// [Ends](Self::end) a session only if `machine` owns it at `epoch`, as
    /// [`Owned`](crate::Owned) has them. `None`: there is no such session, or another machine or
    /// epoch has it; then nothing was written.
    ///
    /// # Errors
    /// As [`end`](Self::end).
    pub async fn end_if(
        &self,
        session: SessionId,
        machine: &MachineId,
        epoch: u64,
    ) -> Result<Option<u64>, LookupError> {
        // A larger epoch is none of the table's.
        let epoch = i64::try_from(epoch).unwrap_or(-1);
        self.end_where(session, Some(machine.as_str()), epoch).await
    }

    async fn end_where(
        &self,
        session: SessionId,
        machine: Option<&str>,
        at: i64,
    ) -> Result<Option<u64>, LookupError> {
        let lookup = self.lookup();
        let id = lookup.query.id(session);
        let statuses = self.statuses();
        let living = statuses.map_or_else(Vec::new, Statuses::living);
        let over = statuses.and_then(|statuses| statuses.over.as_deref());
        let word = over.and_then(<[String]>::first);
        let word = word.map_or(ENDED, String::as_str);
        let set = match (&self.table.ended_at, &self.table.status, statuses) {
            (Some(ended_at), _, _) => format!("{ended_at} = now()"),
            (None, Some(status), Some(statuses))
                if statuses.read(word) == Some(SessionStatus::Over) =>
            {
                format!("{status} = {}", self.value_of(status, "$3"))
            }
            (None, Some(_), _) => {
                let error = "no status is known that means over: name the `over_statuses`";
                return Err(LookupError::unavailable(error));
            }
            (None, None, _) => {
                let error = "the sessions' table has no column for an end, and none for a status";
                return Err(LookupError::unavailable(error));
            }
        };
        let rows = lookup
            .connections
            .write(
                &self.end_sql(&set),
                &[
                    id.parameter(),
                    (&living, Type::TEXT_ARRAY),
                    (&word, Type::TEXT),
                    (&machine, Type::TEXT),
                    (&at, Type::INT8),
                ],
                lookup.connections.deadline(),
                // Then it is over already.
                true,
            )
            .await
            .map_err(Failure::into_write_error)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if !value::<bool>(row, 1)? {
            let error = "a trigger of the sessions' table swallowed the write";
            return Err(LookupError::unavailable(error));
        }
        epoch(value(row, 0)?).map(Some)
    }

    fn end_sql(&self, set: &str) -> String {
        let (table, epoch) = (&self.table, &self.ownership.epoch);
        let (name, id) = (table.qualified(), &table.id);
        let (held, lives) = (self.stored("t"), self.lives("h", "$2"));
        let mine = self.table.owner_text("t");
        format!(
            "WITH held AS MATERIALIZED (\
                 SELECT {held} FROM {name} AS t WHERE t.{id} = $1 \
                 AND ($4 IS NULL OR {mine} = $4 AND t.{epoch} = $5) FOR NO KEY UPDATE\
             ), ended AS (\
                 UPDATE {name} AS t SET {set} FROM held AS h WHERE t.{id} = h.{id} AND {lives} \
                 RETURNING 1\
             ) SELECT h.{epoch}::bigint, NOT ({lives}) OR EXISTS (SELECT FROM ended) \
             FROM held AS h"
        )
    }
}
