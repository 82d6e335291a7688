//! Taking a session from its owner.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{PostgresDirectory, release};
use crate::{LookupError, Released, Session, postgres::mode::Mode};

impl PostgresDirectory {
    /// Takes a session from the owner that it was `seen` with, in that machine's place. `None`: it is
    /// unknown, it had no owner, or its owner or epoch has changed since.
    ///
    /// Nothing proves that the owner has stopped: it goes on serving until it reads the row, for at most
    /// the fleet's [lease TTL](Self::lease_ttl), and the next owner waits for that long. A machine that
    /// runs gives its sessions up without a wait: [`release`](Self::release).
    pub async fn unassign(&self, seen: &Session) -> Result<Option<Released>, LookupError> {
        let lookup = self.lookup();
        let at = seen.epoch().and_then(|epoch| i64::try_from(epoch).ok());
        let id = lookup.query.ids().value(seen.id());
        let (Some(owner), Some(at), Some(id)) = (seen.owner(), at, id) else {
            return Ok(None);
        };
        let rows = lookup
            .connections
            // A second time, it could not tell whether the first had done it.
            .run_shared(
                self.by_hand(Mode::WRITE_ONCE),
                &self.statements.release,
                &[
                    (&owner.as_str(), Type::TEXT),
                    // Of no process, so that there is no proof.
                    (&None::<Uuid>, Type::UUID),
                    id.parameter(),
                    (&at, Type::INT8),
                    (&false, Type::BOOL),
                    (&false, Type::BOOL),
                ],
                lookup.connections.deadline(),
            )
            .await?;
        Ok(release::read(&rows)?.pop())
    }
}
