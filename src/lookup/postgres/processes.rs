//! Which process of a machine this is.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use super::ownership::Seen;
use crate::{MachineId, Node, Presence};

/// The machines that this process is: one, outside of a test.
///
/// What it writes about a machine's sessions holds only while it is the machine's last process: a
/// write that arrives late must not speak for a process that was started since.
#[derive(Default)]
pub(super) struct Processes(Mutex<HashMap<MachineId, Member>>);

struct Member {
    /// The node of the machine's layers on this lookup.
    node: Node,
    /// Whether it has left the fleet. Layers that are built later are part of another node.
    has_left: bool,
}

/// Far more than one process is ever asked to be, outside of a test.
const MOST: usize = 65_536;

impl Processes {
    /// The node of the machine in this process, which is `new` if there is none yet.
    pub(super) fn node(&self, new: &Node) -> Node {
        let mut processes = self.lock();
        match processes.get(new.machine()) {
            Some(member) if !member.has_left => member.node.clone(),
            _ => {
                keep(&mut processes, new);
                new.clone()
            }
        }
    }

    /// The node has registered its machine. Whether there was room.
    pub(super) fn joined(&self, node: &Node) -> bool {
        keep(&mut self.lock(), node)
    }

    /// The node has left the fleet.
    pub(super) fn left(&self, node: &Node) {
        if let Some(member) = self.lock().get_mut(node.machine())
            && member.node.is(node)
        {
            member.has_left = true;
        }
    }

    /// Notes that an owner which this process keeps alive has another process by now, or no row.
    ///
    /// What is read then proves nothing: a session that names this machine lets this process serve
    /// only if the directory knew the machine by this process when it was read. Without the row, an
    /// older process that was paused and a younger one would both be let serve.
    pub(super) fn tell_apart(&self, owner: Option<&str>, seen: &mut Seen) {
        let Some(owner) = owner else { return };
        let processes = self.lock();
        let Some(mine) = processes
            .get(owner)
            .and_then(|member| member.node.boot_id())
        else {
            return;
        };
        match seen.boot_id {
            Some(boot_id) if boot_id == mine => {}
            Some(_) => seen.presence = Presence::Superseded,
            None => seen.presence = Presence::NeverSeen,
        }
    }

    /// `None`: this process does not keep that machine alive.
    pub(super) fn boot_id(&self, machine: &MachineId) -> Option<Uuid> {
        self.lock().get(machine)?.node.boot_id()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there was room for another machine.
fn keep(processes: &mut HashMap<MachineId, Member>, node: &Node) -> bool {
    if processes.len() >= MOST && !processes.contains_key(node.machine()) {
        processes.retain(|_, one| one.node.boot_id().is_some() || one.node.is_used());
        if processes.len() >= MOST {
            return false;
        }
    }
    let member = Member {
        node: node.clone(),
        has_left: false,
    };
    processes.insert(node.machine().clone(), member);
    true
}
