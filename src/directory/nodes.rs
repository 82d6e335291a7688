//! Which process of a machine this is, to a directory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use crate::{LookupError, MachineId, Node, OwnerStatus};

/// The machines that this process is: one, outside of a test.
///
/// What it writes about a machine's sessions holds only while it is the machine's last process: a
/// write that arrives late must not speak for a process that was started since.
#[derive(Default)]
pub(crate) struct Nodes(Mutex<HashMap<MachineId, Member>>);

struct Member {
    /// The node of the machine's layers on this directory.
    node: Node,
    /// Whether it has left the fleet. Layers that are built later are part of another node.
    has_left: bool,
}

/// Far more than one process is ever asked to be, outside of a test.
const MOST: usize = 65_536;

impl Nodes {
    /// The node of the machine in this process, which is `new` if there is none yet.
    pub(crate) fn node(&self, new: &Node) -> Node {
        let mut nodes = self.lock();
        match nodes.get(new.machine()) {
            Some(member) if !member.has_left => member.node.clone(),
            _ => {
                keep(&mut nodes, new);
                new.clone()
            }
        }
    }

    /// The node has registered its machine. Returns whether there was room.
    #[cfg(feature = "membership")]
    pub(crate) fn joined(&self, node: &Node) -> bool {
        keep(&mut self.lock(), node)
    }

    /// The node has left the fleet.
    #[cfg(feature = "membership")]
    pub(crate) fn left(&self, node: &Node) {
        if let Some(member) = self.lock().get_mut(node.machine())
            && member.node.is(node)
        {
            member.has_left = true;
        }
    }

    /// How a session's owner is to this process, where it keeps that machine alive and the directory
    /// knows it by another process (`boot_id`), or not at all.
    ///
    /// What is read then proves nothing: a session that names this machine lets this process serve
    /// only if the directory knew the machine by this process when it was read. Without the row, an
    /// older process that was paused and a younger one would both be let serve.
    pub(crate) fn tell_apart(&self, owner: &str, boot_id: Option<Uuid>) -> Option<OwnerStatus> {
        let nodes = self.lock();
        let mine = nodes.get(owner)?.node.boot_id()?;
        match boot_id {
            Some(boot_id) if boot_id == mine => None,
            Some(_) => Some(OwnerStatus::Superseded),
            None => Some(OwnerStatus::NeverSeen),
        }
    }

    /// `None`: this process does not keep that machine alive.
    pub(crate) fn boot_id(&self, machine: &MachineId) -> Option<Uuid> {
        self.lock().get(machine)?.node.boot_id()
    }

    /// Refuses a session that this process creates before it has registered, where it then ends all
    /// sessions of its machine.
    pub(crate) fn may_create(&self, machine: &MachineId) -> Result<(), LookupError> {
        let nodes = self.lock();
        if nodes
            .get(machine)
            .is_some_and(|one| one.node.creates_too_early())
        {
            return Err(LookupError::unavailable(
                "the machine may not create sessions yet: it is not registered, and what is in the \
                 directory under its id ends when it is",
            ));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there was room for another machine.
fn keep(nodes: &mut HashMap<MachineId, Member>, node: &Node) -> bool {
    if nodes.len() >= MOST && !nodes.contains_key(node.machine()) {
        nodes.retain(|_, one| one.node.boot_id().is_some() || one.node.is_used());
        if nodes.len() >= MOST {
            return false;
        }
    }
    let member = Member {
        node: node.clone(),
        has_left: false,
    };
    nodes.insert(node.machine().clone(), member);
    true
}
