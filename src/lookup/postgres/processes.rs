//! Which process of a machine this is.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use super::{ownership::Seen, watch::dice};
use crate::{MachineId, Node, Presence};

/// The machines that this process is: one, outside of a test.
///
/// What it writes about a machine's sessions holds only while it is the machine's last process: a
/// write that arrives late must not speak for a process that was started since.
#[derive(Default)]
pub(super) struct Processes(Mutex<HashMap<MachineId, Process>>);

#[derive(Default)]
struct Process {
    /// The node of its layers on this lookup.
    node: Option<Node>,
    /// Whether it has left the fleet. Layers that are built later are part of another node.
    has_left: bool,
    /// The boot id of the attempts to register since the last one that succeeded.
    attempt: Option<Uuid>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

/// Far more than one process is ever asked to be, outside of a test.
const MOST: usize = 65_536;

impl Processes {
    /// The node of the machine in this process, which is `new` if there is none yet.
    pub(super) fn node(&self, new: &Node) -> Node {
        let node = self.with(new.machine(), |process| {
            if std::mem::take(&mut process.has_left) {
                process.node = None;
            }
            process.node.get_or_insert_with(|| new.clone()).clone()
        });
        node.unwrap_or_else(|| new.clone())
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

    /// Remembers under which boot id this process is the node's machine. Whether there was room.
    pub(super) fn began(&self, node: &Node, boot_id: Uuid) -> bool {
        node.registered_as(boot_id);
        let began = self.with(node.machine(), |process| {
            *process = Process {
                node: Some(node.clone()),
                ..Process::default()
            };
        });
        began.is_some()
    }

    /// Notes that the node has left the fleet.
    pub(super) fn left(&self, node: &Node) {
        self.with(node.machine(), |process| {
            if process.node.as_ref().is_some_and(|one| one.is(node)) {
                process.has_left = true;
            }
        });
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
        let node = processes
            .get(owner)
            .and_then(|process| process.node.as_ref());
        let Some(mine) = node.and_then(Node::boot_id) else {
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
        let processes = self.lock();
        let node = processes.get(machine)?.node.as_ref()?;
        node.boot_id()
    }

    /// `None`: there are too many of them.
    fn with<T>(&self, machine: &MachineId, what: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let mut processes = self.lock();
        if processes.len() >= MOST && !processes.contains_key(machine) {
            let is_used = |node: &Node| node.boot_id().is_some() || node.is_used();
            processes.retain(|_, one| one.node.as_ref().is_some_and(is_used));
            if processes.len() >= MOST {
                return None;
            }
        }
        let process = processes.entry(machine.clone());
        Some(what(process.or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that no other process has.
fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(Uuid::from_u64_pair(dice(), dice()).into_bytes()).into_uuid()
}
