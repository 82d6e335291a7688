//! Which process of a machine this is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use super::{layers::Layers, ownership::Seen, watch::dice};
use crate::{MachineId, Presence};

/// The machines that this process is: one, outside of a test.
///
/// What it writes about a machine's sessions holds only while it is the machine's last process: a
/// write that arrives late must not speak for a process that was started since.
#[derive(Default)]
pub(super) struct Processes(Mutex<HashMap<MachineId, Process>>);

struct Process {
    layers: Arc<Layers>,
    /// Under which boot id this process keeps the machine present.
    boot_id: Option<Uuid>,
    /// The boot id of the attempts to register since the last one that succeeded.
    attempt: Option<Uuid>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

/// Far more than one process is ever asked to be, outside of a test.
const MOST: usize = 65_536;

impl Processes {
    /// The layers of the machine in this process.
    pub(super) fn layers(&self, machine: &MachineId) -> Arc<Layers> {
        let new = || Arc::new(Layers::of(machine.clone()));
        let found = self.with(machine, |process| Arc::clone(&process.layers));
        found.unwrap_or_else(new)
    }

    /// The boot id to register the machine under: one for all attempts. The write of an attempt
    /// that timed out may land later, and would be that of another process otherwise, for which this
    /// one then has to wait, or before which it has to stop.
    pub(super) fn attempt(&self, machine: &MachineId) -> Uuid {
        let attempt = self.with(machine, |process| {
            *process.attempt.get_or_insert_with(new_id)
        });
        attempt.unwrap_or_else(new_id)
    }

    /// Remembers under which boot id this process is `machine`, and by which layers. Whether there
    /// was room.
    pub(super) fn began(&self, machine: &MachineId, boot_id: Uuid, layers: &Arc<Layers>) -> bool {
        let before = self.with(machine, |process| {
            process.boot_id = Some(boot_id);
            process.attempt = None;
            process.failure = None;
            std::mem::replace(&mut process.layers, Arc::clone(layers))
        });
        let Some(before) = before else { return false };
        if !Arc::ptr_eq(&before, layers) {
            for cache in before.all() {
                layers.add(&cache);
            }
        }
        true
    }

    /// Notes why an attempt to register failed. Whether the one before failed otherwise.
    pub(super) fn failed(&self, machine: &MachineId, why: String) -> bool {
        let is_news = self.with(machine, |process| {
            let is_news = process.failure.as_ref() != Some(&why);
            process.failure = Some(why);
            is_news
        });
        is_news.unwrap_or(true)
    }

    /// Notes that an owner which this process keeps present has another process by now, or no row.
    ///
    /// What is read then proves nothing: a session that names this machine lets this process serve
    /// only if the directory knew the machine by this process when it was read. Without the row, an
    /// older process that was paused and a younger one would both be let serve.
    pub(super) fn tell_apart(&self, owner: Option<&str>, seen: &mut Seen) {
        let Some(owner) = owner else { return };
        let processes = self.lock();
        let Some(mine) = processes.get(owner).and_then(|process| process.boot_id) else {
            return;
        };
        match seen.boot_id {
            Some(boot_id) if boot_id == mine => {}
            Some(_) => seen.presence = Presence::Superseded,
            None => seen.presence = Presence::NeverSeen,
        }
    }

    /// `None`: this process keeps no presence of that machine.
    pub(super) fn boot_id(&self, machine: &MachineId) -> Option<Uuid> {
        self.lock().get(machine).and_then(|process| process.boot_id)
    }

    /// `None`: there are too many of them.
    fn with<T>(&self, machine: &MachineId, what: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let mut processes = self.lock();
        if processes.len() >= MOST && !processes.contains_key(machine) {
            processes.retain(|_, one| one.boot_id.is_some() || one.layers.is_used());
            if processes.len() >= MOST {
                return None;
            }
        }
        let process = processes.entry(machine.clone());
        Some(what(process.or_insert_with(|| Process {
            layers: Arc::new(Layers::of(machine.clone())),
            boot_id: None,
            attempt: None,
            failure: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that no other process has.
fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(Uuid::from_u64_pair(dice(), dice()).into_bytes()).into_uuid()
}
