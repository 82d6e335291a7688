//! Ending what a process holds.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{
    LookupError, MachineId, Process, SessionId,
    postgres::{mode::Mode, row, sql::sql_file},
};

/// How many sessions one statement ends, which takes some 0.2 s.
const BITE: usize = 5_000;

/// How many sessions are listed at a time.
const LISTED: i64 = 100_000;

impl PostgresDirectory {
    /// The machine's sessions that are active or starting. One whose id no client can ask for is not
    /// among them: no machine serves it.
    pub(in crate::postgres) async fn held_by(
        &self,
        machine: &MachineId,
        within: Duration,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        let deadline = Instant::now() + within;
        let sql = self.living().await?.sql.fill(sql_file!("held"));
        let parameters = [
            (&machine.as_str() as _, Type::TEXT),
            (&LISTED as _, Type::INT8),
        ];
        let connections = &self.lookup.connections;
        let rows = connections
            .run(Mode::LIST, &sql, &parameters, deadline)
            .await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(session) = row::id(row) {
                held.push((session, epoch(value(row, "epoch")?)?));
            }
        }
        Ok(held)
    }

    /// Ends sessions, bite by bite, as [`Membership::end_held`](crate::Membership::end_held) says.
    pub(in crate::postgres) async fn end_held_by(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        within: Duration,
        ended: &mut Vec<(SessionId, u64)>,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        let deadline = Instant::now() + within;
        let word = self.word_for_over()?;
        let lookup = self.lookup();
        let mut left = Vec::new();
        for bite in sessions.chunks(BITE) {
            let (these, epochs): (Vec<_>, Vec<_>) = bite
                .iter()
                // One too large is none of the table's.
                .map(|(id, epoch)| (id.clone(), i64::try_from(*epoch).unwrap_or(-1)))
                .unzip();
            let these = lookup.query.ids().values(&these);
            let rows = lookup
                .connections
                .run_shared(
                    Mode::WRITE_MUCH,
                    &self.statements.end_held,
                    &[
                        (&me.machine.as_str(), Type::TEXT),
                        (&word, Type::TEXT),
                        these.parameter(),
                        (&epochs, Type::INT8_ARRAY),
                        (&me.boot_id, Type::UUID),
                    ],
                    deadline,
                )
                .await?;
            for row in &rows {
                let why = match value::<i16>(row, "machine")? {
                    1 => {
                        "another process registered this machine id, and its sessions are that \
                         one's now"
                    }
                    2 => {
                        "this machine has no row in the table of machines; its next heartbeat \
                         restores it"
                    }
                    _ => {
                        if let Some(session) = row::id(row) {
                            let one = (session, epoch(value(row, "epoch")?)?);
                            if value(row, "ended")? {
                                ended.push(one);
                            } else {
                                left.push(one);
                            }
                        }
                        continue;
                    }
                };
                return Err(LookupError::unavailable(why));
            }
        }
        Ok(left)
    }
}
