//! Ending a session.

use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{LookupError, MachineId, SessionId, SessionStatus, postgres::mode::Mode};

/// The status of a session that was ended, where the builder names none.
const ENDED: &str = "ended";

impl PostgresDirectory {
    /// Ends a session, whichever machine owns it, and returns the epoch that it ends with, which is its last.
    /// `None`: there is no such session. One that is over already stays as it is.
    ///
    /// Where the table has a column for the [end](super::super::PostgresColumns::ended_at),
    /// that becomes the present time. Otherwise its status becomes the first of the
    /// [`over_statuses`](super::super::PostgresLookupBuilder::over_statuses), or `ended` if they were
    /// not named. Its owner stays written down, and goes on serving it for up to the fleet's
    /// freshness unless it [hears](super::super::PostgresFeed) of the change.
    ///
    /// For an orchestrator or an operator. A machine that ends a session because it served it uses
    /// [`end_if`](Self::end_if): by now the session may be another machine's.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): the table has neither column, or
    /// `ended` is a status of sessions that are not over.
    pub async fn end(&self, session: &SessionId) -> Result<Option<u64>, LookupError> {
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
        session: &SessionId,
        machine: &MachineId,
        epoch: u64,
    ) -> Result<Option<u64>, LookupError> {
        // A larger epoch is none of the table's.
        let epoch = i64::try_from(epoch).unwrap_or(-1);
        self.end_where(session, Some(machine.as_str()), epoch).await
    }

    async fn end_where(
        &self,
        session: &SessionId,
        machine: Option<&str>,
        at: i64,
    ) -> Result<Option<u64>, LookupError> {
        let lookup = self.lookup();
        let Some(id) = lookup.query.ids().value(session) else {
            return Ok(None);
        };
        let over = self
            .statuses()
            .and_then(|statuses| statuses.over.as_deref());
        let word = over.and_then(<[String]>::first);
        let word = word.map_or(ENDED, String::as_str);
        match (&self.table.ended_at, &self.table.status, self.statuses()) {
            (Some(_), _, _) => {}
            (None, Some(_), Some(statuses)) if statuses.read(word) == Some(SessionStatus::Over) => {
            }
            (None, Some(_), _) => {
                let error = "no status is known that means over: name the `over_statuses`";
                return Err(LookupError::unavailable(error));
            }
            (None, None, _) => {
                let error = "the sessions' table has no column for an end, and none for a status";
                return Err(LookupError::unavailable(error));
            }
        }
        let rows = lookup
            .connections
            // A second time, it is over already.
            .run(
                Mode::WRITE,
                &self.statements.end,
                &[
                    id.parameter(),
                    (&word, Type::TEXT),
                    (&machine, Type::TEXT),
                    (&at, Type::INT8),
                ],
                lookup.connections.deadline(),
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if !value::<bool>(row, "is_over")? {
            let error = "a trigger of the sessions' table swallowed the write";
            return Err(LookupError::unavailable(error));
        }
        epoch(value(row, "epoch")?).map(Some)
    }
}
