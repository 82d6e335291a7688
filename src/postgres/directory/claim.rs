//! Taking a session without an owner, or whose owner is lost.

use tokio_postgres::types::Type;

use super::PostgresDirectory;
use crate::{
    LookupError, MachineId, Session, SessionDirectory,
    postgres::{Inner, mode::Mode},
};

impl SessionDirectory for PostgresDirectory {
    /// Makes `machine` the owner, in one statement.
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
    ) -> Result<Option<Session>, LookupError> {
        let lookup = self.lookup();
        let Some(id) = lookup.query.ids().value(seen.id()) else {
            return Ok(None);
        };
        let boot_id = lookup.nodes.boot_id(&machine);
        let owner = seen.owner().map(MachineId::as_str);
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
                lookup.connections.deadline(),
            )
            .await?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => lookup.read(seen.id(), row).map(Some),
            _ => Err(Inner::two_rows()),
        }
    }
}
