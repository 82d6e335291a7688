//! Which process of a machine this is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use uuid::Uuid;

use crate::MachineId;

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

    /// `None`: this process keeps no presence of that machine.
    pub(super) fn boot_id(&self, machine: &MachineId) -> Option<Uuid> {
        let processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        processes.get(machine).copied()
    }
}
