//! What the port writes of a session.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{PostgresDirectory, value};
use crate::{
    LookupError, MachineId, Session, SessionDirectory, SessionId,
    directory::{Claimed, Created, EndIf, NewSession},
    postgres::{Inner, mode::Mode},
};

impl SessionDirectory for PostgresDirectory {
    /// Makes `machine` the owner, in one statement. A machine that keeps its presence and has `seen` the
    /// session without an owner sends a shorter one first, which does it if the session still has none.
    ///
    /// Also refused: a session that is not active, and a machine that drains, has left, or was
    /// declared gone. A machine that keeps its presence takes over from another one only while its
    /// own beats arrive. A session that was `seen` without an owner may be at a later epoch, as long
    /// as it has no owner. Where the machine has told its
    /// [address](crate::HeartbeatBuilder::address), the session's becomes that one.
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Claimed>, LookupError> {
        let lookup = self.lookup();
        let Some(id) = lookup.query.ids().value(seen.id()) else {
            return Ok(None);
        };
        let boot_id = lookup.nodes.boot_id(&machine);
        let owner = seen.owner().map(MachineId::as_str);
        let deadline = lookup.connections.deadline();
        if owner.is_none() && boot_id.is_some() {
            let rows = lookup
                .connections
                .run_shared(
                    Mode::CLAIM,
                    &self.statements.claim_free,
                    &[
                        id.parameter(),
                        (&machine.as_str(), Type::TEXT),
                        (&boot_id, Type::UUID),
                    ],
                    deadline,
                )
                .await?;
            if let [row] = rows.as_slice() {
                let session = lookup.read(seen.id(), row)?;
                // Another trigger may have made another machine the owner, of which the statement knows
                // nothing.
                if session.owner() == Some(&machine) {
                    return Ok(Some(Claimed::from(session)));
                }
            }
        }
        let epoch = seen.epoch().and_then(|epoch| i64::try_from(epoch).ok());
        let rows = lookup
            .connections
            // A second time, it finds that the session is this machine's already.
            .run_shared(
                Mode::CLAIM,
                &self.statements.claim,
                &[
                    id.parameter(),
                    (&machine.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    (&owner, Type::TEXT),
                    (&epoch, Type::INT8),
                ],
                deadline,
            )
            .await?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => {
                let session = lookup.read(seen.id(), row)?;
                let silent: Option<f64> = value(row, "silent_seconds")?;
                let silent = silent.and_then(|it| Duration::try_from_secs_f64(it.max(0.0)).ok());
                Ok(Some(Claimed::from(session).after_silence(silent)))
            }
            _ => Err(Inner::two_rows()),
        }
    }

    /// Inserts the session's row, or begins another life of it, in one transaction.
    ///
    /// The row gets the id, the machine as its owner, the first of the
    /// [`active_statuses`](super::super::PostgresLookupBuilder::active_statuses), the expiry and the
    /// address, where the table has columns for these, and in the
    /// [`insert_columns`](super::super::PostgresLookupBuilder::insert_columns) and
    /// [`attributes`](super::super::PostgresLookupBuilder::attributes) what the new session brings. Every
    /// other column gets its default, and so does the expiry of a session without a lifetime. In a new
    /// life of a row, columns that are named nowhere stay as they are. A lifetime is cut to a hundred
    /// years.
    ///
    /// Of machines that create one id at once, one wins, also without a unique index on the id: they
    /// take turns by an advisory lock of the transaction. Rows that others insert meanwhile are noticed
    /// only by a unique index that holds the id alone, which a partitioned table has only if the id is
    /// its partition key.
    ///
    /// A session that was reaped or deleted may be created again only as
    /// [`reap`](PostgresDirectory::reap) says.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): an attribute is no such column, which
    /// the error names; there is no column for the lifetime or the address; a column that must not be NULL
    /// got no value; the row violates a unique index on other columns.
    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        self.create_session(new, machine).await
    }

    /// Moves the expiry, in one statement. A lifetime is cut to a hundred years.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): the table has no column for an expiry.
    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        self.touch_session(&session, &machine, epoch, lifetime)
            .await
    }

    /// Ends the session, in one statement.
    ///
    /// Where the table has a column for the [end](super::super::PostgresColumns::ended_at),
    /// that becomes the present time. Otherwise its status becomes the first of the
    /// [`over_statuses`](super::super::PostgresLookupBuilder::over_statuses), or `ended` if they were
    /// not named. Its owner stays written down, and goes on serving it for up to the fleet's
    /// freshness unless it [hears](super::super::PostgresFeed) of the change.
    ///
    /// # Errors
    /// Also [`Unavailable`](crate::LookupErrorKind::Unavailable): the table has neither column, or
    /// `ended` is a status of sessions that are not over.
    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        self.end_session(&session, condition).await
    }
}
