//! Giving a session to a machine.

use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{
    LookupError, MachineId, SessionId,
    lookup::postgres::{failure::Failure, statuses::Statuses},
};

/// A session was [assigned](PostgresDirectory::assign).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assigned {
    /// The session's epoch now. The same as before, if the machine owned it already.
    pub epoch: u64,
    /// Who owned it before; `None`: nobody, or what cannot be a machine.
    pub previous: Option<MachineId>,
}

/// Why a session was not [assigned](PostgresDirectory::assign).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// There is no such session.
    #[error("there is no such session")]
    UnknownSession,
    /// The session is over.
    #[error("the session is over")]
    SessionOver,
    /// The machine has left, or has not been heard of for too long.
    #[error("machine {machine} is lost: it has left, or has not been heard of for too long")]
    MachineLost {
        /// Which machine.
        machine: MachineId,
    },
    /// The machine gives its sessions up.
    #[error("machine {machine} is draining")]
    MachineDraining {
        /// Which machine.
        machine: MachineId,
    },
    /// An operator declared the machine gone.
    #[error("machine {machine} was declared gone")]
    MachineGone {
        /// Which machine.
        machine: MachineId,
    },
    /// Other machines keep their presence, and this one never did.
    #[error("machine {machine} was never seen: is it the id that the machine itself reads?")]
    MachineNeverSeen {
        /// Which machine.
        machine: MachineId,
    },
    /// The database could not be asked, or refused.
    #[error("the session directory cannot be written")]
    Directory(#[from] LookupError),
}

/// What the statement says of the machine, beside 0 and 1, with which it may have the session.
mod code {
    pub(super) const DRAINING: i16 = 2;
    pub(super) const LOST: i16 = 3;
    pub(super) const NEVER_SEEN: i16 = 4;
    pub(super) const GONE: i16 = 5;
}

impl PostgresDirectory {
    /// Makes `machine` the owner of a session that is active or starting, whoever owned it before.
    ///
    /// An owner that is taken a session from goes on serving for up to the fleet's freshness, and
    /// the new one waits for that long, unless it is the session's first: to move a session
    /// without a wait, [`release`](Self::release) it first. Where the machine has told its
    /// [address](crate::HeartbeatBuilder::address), the session's becomes that one.
    pub async fn assign(
        &self,
        session: SessionId,
        machine: &MachineId,
    ) -> Result<Assigned, AssignError> {
        let lookup = self.lookup();
        let id = lookup.query.id(session);
        let statuses = self.statuses();
        let living = statuses.map_or_else(Vec::new, Statuses::living);
        let rows = lookup
            .connections
            .write(
                &self.assign_sql(),
                &[
                    id.parameter(),
                    (&machine.as_str(), Type::TEXT),
                    (&living, Type::TEXT_ARRAY),
                ],
                lookup.connections.deadline(),
                // A second time, it would not know who owned the session before.
                false,
            )
            .await
            .map_err(Failure::into_write_error)?;
        let row = rows.first().ok_or(AssignError::UnknownSession)?;
        let machine = machine.clone();
        match value(row, 0)? {
            code::DRAINING => return Err(AssignError::MachineDraining { machine }),
            code::LOST => return Err(AssignError::MachineLost { machine }),
            code::NEVER_SEEN => return Err(AssignError::MachineNeverSeen { machine }),
            code::GONE => return Err(AssignError::MachineGone { machine }),
            _ => {}
        }
        if !value::<bool>(row, 1)? {
            return Err(AssignError::SessionOver);
        }
        let Some(now) = value::<Option<i64>>(row, 2)? else {
            let error = "a trigger of the sessions' table swallowed the write";
            return Err(LookupError::unavailable(error).into());
        };
        let previous = value::<Option<&str>>(row, 3)?;
        Ok(Assigned {
            epoch: epoch(now)?,
            previous: previous.and_then(|owner| MachineId::parse(owner).ok()),
        })
    }

    /// The machine's row is locked, too, so that a machine which begins to drain meanwhile finds
    /// this session among those it has to give up.
    fn assign_sql(&self) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let (name, machines) = (table.qualified(), &ownership.machines);
        let (id, owner, epoch) = (&table.id, &table.owner, &ownership.epoch);
        let held = self.stored("t");
        let (to, address) = (self.value_of(owner, "$2"), self.address_of("target"));
        let lives = self.lives("h", "$3");
        let (before, is_lost) = (table.owner_text("h"), ownership.is_lost("target"));
        let (draining, lost) = (code::DRAINING, code::LOST);
        let (never_seen, gone) = (code::NEVER_SEEN, code::GONE);
        format!(
            "WITH target AS MATERIALIZED (\
                 SELECT * FROM {machines} WHERE machine_id = $2 FOR KEY SHARE\
             ), fit AS MATERIALIZED (\
                 SELECT COALESCE((SELECT CASE WHEN target.gone_at IS NOT NULL THEN {gone} \
                         WHEN {is_lost} THEN {lost} WHEN target.draining THEN {draining} ELSE 1 END \
                     FROM target), \
                     CASE WHEN EXISTS (SELECT FROM {machines}) THEN {never_seen} ELSE 0 END\
                 )::smallint AS code\
             ), held AS MATERIALIZED (\
                 SELECT {held} FROM {name} AS t WHERE t.{id} = $1 FOR NO KEY UPDATE\
             ), given AS (\
                 UPDATE {name} AS t SET {owner} = {to}{address} FROM held AS h, fit \
                 WHERE t.{id} = h.{id} AND {lives} AND fit.code < {draining} \
                 RETURNING t.{epoch}::bigint AS epoch\
             ) SELECT fit.code, ({lives}), (SELECT given.epoch FROM given), {before} \
             FROM fit CROSS JOIN held AS h"
        )
    }
}
