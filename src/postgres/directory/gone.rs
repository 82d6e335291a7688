//! Declaring a machine gone.

use tokio_postgres::types::Type;

use super::PostgresDirectory;
use crate::{LookupError, MachineId, postgres::mode::Mode};

impl PostgresDirectory {
    /// Declares a machine gone: for the whole fleet it is lost from now on, whether it beats or
    /// not, its process stops serving with its next beat, and no process starts under its id before
    /// it is [readmitted](Self::readmit). Says whether the machine is known; nothing is written
    /// about one that is not.
    ///
    /// For a machine that will not come back, and for one that must stop. It owns its sessions until
    /// they are claimed or assigned.
    pub async fn declare_gone(&self, machine: &MachineId) -> Result<bool, LookupError> {
        self.set_gone(machine, true).await
    }

    /// Takes that back. A process that has stopped serving does not begin again: start another one.
    /// Says whether the machine is known.
    pub async fn readmit(&self, machine: &MachineId) -> Result<bool, LookupError> {
        self.set_gone(machine, false).await
    }

    async fn set_gone(&self, machine: &MachineId, gone: bool) -> Result<bool, LookupError> {
        let (sql, connections) = (&self.statements.set_gone, &self.lookup.connections);
        let parameters = [
            (&machine.as_str() as _, Type::TEXT),
            (&gone as _, Type::BOOL),
        ];
        let deadline = connections.deadline();
        let written = connections
            .run(self.by_hand(Mode::WRITE), sql, &parameters, deadline)
            .await?;
        Ok(!written.is_empty())
    }
}
