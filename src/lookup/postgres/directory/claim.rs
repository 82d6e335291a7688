//! Taking a session that nobody has, or whose owner is lost.

use tokio_postgres::types::Type;

use super::PostgresDirectory;
use crate::{
    LookupError, MachineId, Session, SessionDirectory,
    lookup::postgres::{Inner, failure::Failure},
};

impl SessionDirectory for PostgresDirectory {
    /// Makes `machine` the owner, in one statement.
    ///
    /// Also refused: a session that is not active, and a machine that drains, has left, or was
    /// declared gone. A machine that keeps its presence takes over from another one only while its
    /// own beats arrive. A session that was `seen` without an owner may be at a later epoch, as long
    /// as nobody owns it. Where the machine has told its
    /// [address](crate::HeartbeatBuilder::address), the session's becomes that one.
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Session>, LookupError> {
        let lookup = self.lookup();
        let id = lookup.query.id(seen.id());
        let boot_id = lookup.processes.boot_id(&machine);
        let owner = seen.owner().map(MachineId::as_str);
        let epoch = seen.epoch().and_then(|epoch| i64::try_from(epoch).ok());
        let statuses = self.statuses();
        let active = statuses.map_or_else(Vec::new, |statuses| statuses.active.clone());
        let rows = lookup
            .connections
            .claim(
                &self.claim_sql(),
                &[
                    id.parameter(),
                    (&machine.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    (&owner, Type::TEXT),
                    (&epoch, Type::INT8),
                    (&active, Type::TEXT_ARRAY),
                ],
                // It may be sent twice: the second finds that the session is this machine's already.
                lookup.connections.deadline(),
            )
            .await
            .map_err(Failure::into_claim_error)?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => lookup.read(seen.id(), row, 0).map(Some),
            _ => Err(Inner::two_rows()),
        }
    }
}

impl PostgresDirectory {
    /// A statement sees the table as it was when it began, so an `UPDATE` beside a `SELECT` would
    /// not show a loser who won. A row that is locked is read as it is then: whoever waited for the
    /// lock judges, and returns, what the winner left.
    fn claim_sql(&self) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let (name, machines) = (table.qualified(), &ownership.machines);
        let (id, owner, epoch) = (&table.id, &table.owner, &ownership.epoch);
        let held = self.stored("t");
        let (to, address) = (self.value_of(owner, "$2"), self.address_of("me"));
        let lives = self.lives("h", "$6");
        let (before, is_lost) = (table.owner_text("h"), ownership.is_lost("o"));
        let is_heard = ownership.is_heard("me");
        let drifted = ownership.drifted("h", &before);
        let after = "(SELECT * FROM won UNION ALL SELECT * FROM held \
             WHERE NOT EXISTS (SELECT FROM won))";
        let session = table.session_of(Vec::new(), after);
        format!(
            "WITH me AS MATERIALIZED (\
                 SELECT * FROM {machines} WHERE machine_id = $2 FOR KEY SHARE\
             ), held AS MATERIALIZED (\
                 SELECT {held} FROM {name} AS t WHERE t.{id} = $1 FOR NO KEY UPDATE\
             ), won AS (\
                 UPDATE {name} AS t SET {owner} = {to}{address} FROM held AS h \
                 WHERE t.{id} = h.{id} AND {lives} AND NOT {drifted} \
                 AND NOT EXISTS (SELECT FROM me \
                     WHERE me.draining OR me.left_at IS NOT NULL OR me.gone_at IS NOT NULL) \
                 AND ($3 IS NULL OR EXISTS (SELECT FROM me \
                     WHERE me.boot_id = $3 AND ($4 IS NULL OR {is_heard}))) \
                 AND CASE WHEN $4 IS NULL THEN h.{owner} IS NULL \
                     ELSE {before} = $4 AND h.{epoch} = $5 AND (\
                         EXISTS (SELECT FROM {machines} AS o WHERE o.machine_id = $4 AND {is_lost}) \
                         OR EXISTS (SELECT FROM {machines}) \
                         AND NOT EXISTS (SELECT FROM {machines} AS o WHERE o.machine_id = $4)\
                     ) END \
                 RETURNING {held}\
             ) {session}"
        )
    }
}
