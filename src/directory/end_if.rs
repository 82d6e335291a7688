//! On which condition a session ends.

use crate::MachineId;

/// On which condition a session [ends](crate::SessionDirectory::end).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a directory has to keep every condition"
)]
pub enum EndIf {
    /// On none, whichever machine owns it: for an orchestrator or an operator.
    Any,
    /// Only if the machine owns it at this epoch, as [`Owned`](crate::Owned) has them: for a machine that
    /// ends a session because it served it. By now the session may be another machine's.
    Owner {
        /// The owner.
        machine: MachineId,
        /// Its epoch.
        epoch: u64,
    },
}
