//! An operator's word on a machine.

use tokio_postgres::types::Type;

use super::PostgresDirectory;
use crate::{LookupError, MachineId, lookup::postgres::failure::Failure};

impl PostgresDirectory {
    /// Declares a machine gone: for the whole fleet it is lost from now on, whether it beats or
    /// not, its process stops serving with its next beat, and no process starts under its id before
    /// it is [readmitted](Self::readmit). Says whether the machine is known; nothing is written
    /// about one that is not.
    ///
    /// For a machine of which somebody knows that it will not come back, and for one that must
    /// stop. Its sessions stay its until they are claimed or assigned.
    pub async fn declare_gone(&self, machine: &MachineId) -> Result<bool, LookupError> {
        self.set_gone(machine, "COALESCE(m.gone_at, now())").await
    }

    /// Takes it back. A process that has stopped serving does not begin again: start another one.
    /// Says whether the machine is known.
    pub async fn readmit(&self, machine: &MachineId) -> Result<bool, LookupError> {
        self.set_gone(machine, "NULL").await
    }

    async fn set_gone(&self, machine: &MachineId, gone_at: &str) -> Result<bool, LookupError> {
        let (machines, connections) = (&self.ownership.machines, &self.lookup.connections);
        let held = self.ownership.held();
        let sql = format!(
            "UPDATE {machines} AS m SET gone_at = {gone_at} FROM {held} \
             WHERE m.machine_id = held.machine_id RETURNING 1"
        );
        let parameters = [(&machine.as_str() as _, Type::TEXT)];
        let deadline = connections.deadline();
        let written = connections.write(&sql, &parameters, deadline, true).await;
        let written = written.map_err(Failure::into_write_error)?;
        Ok(!written.is_empty())
    }
}
