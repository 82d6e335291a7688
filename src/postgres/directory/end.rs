//! Ending a session.

use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{LookupError, SessionId, SessionStatus, directory::EndIf, postgres::mode::Mode};

/// The status of a session that was ended, where the builder names none.
const ENDED: &str = "ended";

impl PostgresDirectory {
    pub(super) async fn end_session(
        &self,
        session: &SessionId,
        condition: EndIf,
    ) -> Result<Option<u64>, LookupError> {
        let (machine, at) = match &condition {
            EndIf::Any => (None, 0),
            // A larger epoch is none of the table's.
            EndIf::Owner { machine, epoch } => {
                (Some(machine.as_str()), i64::try_from(*epoch).unwrap_or(-1))
            }
        };
        let lookup = self.lookup();
        let Some(id) = lookup.query.ids().value(session) else {
            return Ok(None);
        };
        let word = self.word_for_over()?;
        let rows = lookup
            .connections
            // A second time, it is over already.
            .run(
                self.by_hand(Mode::WRITE),
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

    /// The word that a session's status becomes when it is ended, or an error where the table has nothing
    /// by which a session could end.
    pub(super) fn word_for_over(&self) -> Result<&str, LookupError> {
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
        Ok(word)
    }
}
