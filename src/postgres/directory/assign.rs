//! Giving a session to a machine.

use tokio_postgres::types::Type;

use super::{PostgresDirectory, epoch, value};
use crate::{LookupError, MachineId, SessionId, postgres::mode::Mode};

/// A session was [assigned](PostgresDirectory::assign).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assigned {
    /// The session's epoch now. The same as before, if the machine owned it already.
    pub epoch: u64,
    /// Who owned it before; `None`: no owner, or what cannot be a machine.
    pub previous: Option<MachineId>,
}

/// Why a session was not [assigned](PostgresDirectory::assign).
#[derive(Clone, thiserror::Error)]
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

impl PostgresDirectory {
    /// Makes `machine` the owner of a session that is active or starting, whichever machine owned it before.
    ///
    /// An owner that is taken a session from goes on serving for up to the fleet's freshness, and
    /// the new one waits for that long, unless it is the session's first: to move a session
    /// without a wait, let its owner [`release`](Self::release) it first. Where the machine has told its
    /// [address](crate::HeartbeatBuilder::address), the session's becomes that one.
    pub async fn assign(
        &self,
        session: &SessionId,
        machine: &MachineId,
    ) -> Result<Assigned, AssignError> {
        let lookup = self.lookup();
        let id = lookup.query.ids().value(session);
        let id = id.ok_or(AssignError::UnknownSession)?;
        let rows = lookup
            .connections
            // A second time, it would not know the owner before.
            .run(
                self.by_hand(Mode::WRITE_ONCE),
                &self.statements.assign,
                &[id.parameter(), (&machine.as_str(), Type::TEXT)],
                lookup.connections.deadline(),
            )
            .await?;
        let row = rows.first().ok_or(AssignError::UnknownSession)?;
        let machine = machine.clone();
        match value::<i16>(row, "machine")? {
            2 => return Err(AssignError::MachineDraining { machine }),
            3 => return Err(AssignError::MachineLost { machine }),
            4 => return Err(AssignError::MachineNeverSeen { machine }),
            5 => return Err(AssignError::MachineGone { machine }),
            _ => {}
        }
        if !value::<bool>(row, "lives")? {
            return Err(AssignError::SessionOver);
        }
        let Some(now) = value::<Option<i64>>(row, "epoch")? else {
            let error = "a trigger of the sessions' table swallowed the write";
            return Err(LookupError::unavailable(error).into());
        };
        let previous = value::<Option<&str>>(row, "previous")?;
        Ok(Assigned {
            epoch: epoch(now)?,
            previous: previous.and_then(|owner| MachineId::parse(owner).ok()),
        })
    }
}

crate::observe::debug_as_chain!(AssignError);
