//! Ending what a process holds.

use std::time::Duration;

use super::{MemoryDirectory, epoch_of};
use crate::{LookupError, MachineId, Process, SessionId, SessionStatus};

impl MemoryDirectory {
    /// The sessions of the machine that are active or starting.
    pub(super) fn held_by(&self, owner: &MachineId) -> Vec<(SessionId, u64)> {
        let memory = self.read();
        let now = memory.fleet.now();
        let sessions = memory.sessions.values().map(|stored| stored.read(now));
        let held =
            sessions.filter(|one| one.owner() == Some(owner) && !one.is_over(Duration::ZERO));
        held.map(|one| (one.id().clone(), epoch_of(&one))).collect()
    }

    /// Ends those that the machine owns at these epochs, for its last process.
    pub(super) fn end_of(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        ended: &mut Vec<(SessionId, u64)>,
    ) -> Result<(), LookupError> {
        let mut guard = self.write();
        let memory = &mut *guard;
        let registered = memory.fleet.get(&me.machine).map(|one| one.boot_id);
        if registered != Some(me.boot_id) {
            return Err(LookupError::unavailable(
                "another process registered this machine id, and its sessions are that one's now",
            ));
        }
        let now = memory.fleet.now();
        for (id, epoch) in sessions {
            let Some(stored) = memory.sessions.get_mut(id) else {
                continue;
            };
            let session = &stored.session;
            let is_held = session.owner() == Some(&me.machine) && epoch_of(session) == *epoch;
            if is_held && !stored.is_over(now) {
                stored.session = session.clone().with_status(SessionStatus::Over);
                stored.ends_at = Some(now);
                ended.push((id.clone(), *epoch));
                memory.changed(Some(id));
            }
        }
        Ok(())
    }
}
