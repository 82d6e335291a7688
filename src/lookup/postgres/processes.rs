//! Which process of a machine this is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use uuid::Uuid;

use super::ownership::Seen;
use crate::{MachineId, Presence};

/// The boot ids under which this process keeps its machines present.
///
/// What it writes about a machine's sessions then holds only while that is the machine's last
/// process: a write that arrives late must not speak for a process that was started since.
#[derive(Debug, Default)]
pub(super) struct Processes(Mutex<HashMap<MachineId, Uuid>>);

/// Far more than one process is ever asked to be, outside of a test.
const MOST: usize = 65_536;

impl Processes {
    /// Remembers under which boot id this process is `machine`. Whether there was room.
    pub(super) fn began(&self, machine: &MachineId, boot_id: Uuid) -> bool {
        let mut processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = processes.len() < MOST || processes.contains_key(machine);
        if has_room {
            processes.insert(machine.clone(), boot_id);
        }
        has_room
    }

    /// Notes that an owner which this process keeps present has another process by now.
    ///
    /// What is read then is that one's: a session that names this machine lets this process serve
    /// only if the directory knew the machine by this process when it was read.
    pub(super) fn tell_apart(&self, owner: Option<&str>, seen: &mut Seen) {
        let (Some(owner), Some(boot_id)) = (owner, seen.boot_id) else {
            return;
        };
        let processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if processes.get(owner).is_some_and(|mine| *mine != boot_id) {
            seen.presence = Presence::Superseded;
        }
    }

    /// `None`: this process keeps no presence of that machine.
    pub(super) fn boot_id(&self, machine: &MachineId) -> Option<Uuid> {
        let processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        processes.get(machine).copied()
    }
}
