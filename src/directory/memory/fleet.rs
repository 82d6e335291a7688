//! The machines that the memory knows.

#![cfg_attr(
    not(feature = "membership"),
    allow(dead_code, reason = "without it, no machine is ever registered")
)]

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::MemoryDirectory;
use crate::{Address, MachineId, OwnerStatus};

pub(super) struct Fleet {
    machines: HashMap<MachineId, Machine>,
    /// Those that an operator declared gone, also before they were ever registered.
    gone: Vec<MachineId>,
    pub(super) ttl: Option<Duration>,
    pub(super) lost_after: Duration,
    pub(super) clock: Box<dyn Fn() -> Duration + Send + Sync>,
}

#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) boot_id: Uuid,
    pub(super) address: Option<Address>,
    pub(super) draining: bool,
    pub(super) beat_at: Duration,
    /// Since when it was heard without a gap.
    pub(super) steady_since: Duration,
    pub(super) has_left: bool,
    /// When a process that was there before last showed that it still is.
    pub(super) rival: Option<i64>,
    pub(super) took_over: bool,
}

impl Default for Fleet {
    fn default() -> Self {
        let started = Instant::now();
        Self {
            machines: HashMap::new(),
            gone: Vec::new(),
            ttl: None,
            lost_after: MemoryDirectory::DEFAULT_LOST_AFTER,
            clock: Box::new(move || started.elapsed()),
        }
    }
}

impl Fleet {
    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    pub(super) fn clear(&mut self) {
        self.machines.clear();
        self.gone.clear();
        self.ttl = None;
    }

    pub(super) fn get(&mut self, machine: &MachineId) -> Option<&mut Machine> {
        self.machines.get_mut(machine)
    }

    pub(super) fn put(&mut self, id: MachineId, machine: Machine) {
        self.machines.insert(id, machine);
    }

    pub(super) fn forget(&mut self, machine: &MachineId) {
        self.machines.remove(machine);
        self.gone.retain(|gone| gone != machine);
    }

    pub(super) fn declare_gone(&mut self, machine: &MachineId) {
        if !self.is_gone(machine) {
            self.gone.push(machine.clone());
        }
    }

    pub(super) fn is_gone(&self, machine: &MachineId) -> bool {
        self.gone.contains(machine)
    }

    /// How an owner is, and the boot id of the process that registered it.
    pub(super) fn status_of(&self, owner: &MachineId) -> (OwnerStatus, Option<Uuid>) {
        let Some(machine) = self.machines.get(owner) else {
            let status = if self.machines.is_empty() {
                OwnerStatus::Unknown
            } else {
                OwnerStatus::NeverSeen
            };
            return (status, None);
        };
        let status = if self.is_lost(owner) {
            OwnerStatus::Lost
        } else if machine.draining {
            OwnerStatus::Draining
        } else if self.is_heard(machine) {
            OwnerStatus::Alive
        } else {
            OwnerStatus::Silent
        };
        (status, Some(machine.boot_id))
    }

    /// Whether the machine has left, was declared gone, or was silent while another one was heard for
    /// as long, without a gap.
    pub(super) fn is_lost(&self, id: &MachineId) -> bool {
        let Some(machine) = self.machines.get(id) else {
            return false;
        };
        machine.has_left
            || self.is_gone(id)
            || !self.is_heard(machine)
                && self.machines.values().any(|witness| {
                    self.is_heard(witness)
                        && witness.steady_since + self.lost_after <= witness.beat_at
                        && witness.beat_at > machine.beat_at + self.lost_after
                })
    }

    /// For how long the machine has not been heard.
    pub(super) fn silence_of(&self, id: &MachineId) -> Option<Duration> {
        let machine = self.machines.get(id)?;
        Some(self.now().saturating_sub(machine.beat_at))
    }

    fn is_heard(&self, machine: &Machine) -> bool {
        self.now().saturating_sub(machine.beat_at) <= self.lost_after
    }

    /// Since when a machine that beats now was heard without a gap of half of the silence.
    pub(super) fn steady_since(&self, machine: &Machine) -> Duration {
        let now = self.now();
        if now.saturating_sub(machine.beat_at) <= self.lost_after / 2 {
            machine.steady_since
        } else {
            now
        }
    }

    /// Whether the machine may claim. `mine`: the boot id of the process that claims, if it keeps the
    /// machine alive.
    pub(super) fn may_claim(&self, id: &MachineId, mine: Option<Uuid>, takes_over: bool) -> bool {
        match (self.machines.get(id), mine) {
            (Some(machine), _) if machine.draining || machine.has_left || self.is_gone(id) => false,
            (Some(machine), Some(mine)) => {
                machine.boot_id == mine && (!takes_over || self.is_heard(machine))
            }
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }

    pub(super) fn address_of(&self, id: &MachineId) -> Option<Address> {
        self.machines.get(id)?.address.clone()
    }
}
