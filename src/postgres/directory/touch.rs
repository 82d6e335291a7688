//! Letting a session live on.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{PostgresDirectory, create::milliseconds};
use crate::{LookupError, MachineId, SessionId, postgres::mode::Mode};

impl PostgresDirectory {
    pub(super) async fn touch_session(
        &self,
        session: &SessionId,
        machine: &MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        if self.table.expires_at.is_none() {
            return Err(LookupError::unavailable(
                "the sessions' table has no column for an expiry",
            ));
        }
        let lookup = self.lookup();
        let Some(id) = lookup.query.ids().value(session) else {
            return Ok(false);
        };
        // A larger epoch is none of the table's.
        let epoch = i64::try_from(epoch).unwrap_or(-1);
        let rows = lookup
            .connections
            // A second time, it moves the expiry by what has passed.
            .run_shared(
                Mode::TOUCH,
                &self.statements.touch,
                &[
                    id.parameter(),
                    (&machine.as_str(), Type::TEXT),
                    (&epoch, Type::INT8),
                    (&milliseconds(lifetime), Type::FLOAT8),
                ],
                lookup.connections.deadline(),
            )
            .await?;
        Ok(!rows.is_empty())
    }
}
