//! The registered machines, and which of them a request may be delivered to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::instruction::Target;
use super::machine::Slot;
use super::region;

/// The registered machines in the order of their registration.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    slots: RwLock<Vec<Arc<Slot>>>,
    turn: AtomicUsize,
}

impl Fleet {
    /// Registers a machine in the place of one with the same id.
    pub(super) fn add(&self, slot: Slot) {
        let slot = Arc::new(slot);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        match slots.iter_mut().find(|old| old.id == slot.id) {
            Some(old) => *old = slot,
            None => slots.push(slot),
        }
    }

    pub(super) fn remove(&self, id: &str) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| slot.id != id);
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.snapshot().iter().map(|slot| slot.id.clone()).collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Slot>> {
        self.snapshot().into_iter().find(|slot| slot.id == id)
    }

    /// A machine of this app.
    pub(super) fn of_app(&self, app: &str) -> Option<Arc<Slot>> {
        self.snapshot().into_iter().find(|slot| slot.app == app)
    }

    /// The machines that match `target`, best first. `app` is where the request is now: it counts
    /// unless the target names another.
    pub(super) fn candidates(
        &self,
        app: &str,
        target: &Target,
        emitter: Option<&str>,
    ) -> Vec<Arc<Slot>> {
        let app = target.app.as_deref().unwrap_or(app);
        let mut pool = self.snapshot();
        pool.retain(|slot| slot.app == app);
        if target.elsewhere {
            pool.retain(|slot| Some(slot.id.as_str()) != emitter);
        }
        if let Some(id) = &target.instance {
            pool.retain(|slot| slot.id == *id && in_regions(slot, &target.regions));
            return pool;
        }
        let preferred = target
            .prefer_instance
            .as_ref()
            .and_then(|id| pool.iter().find(|slot| slot.id == *id).cloned());
        let mut ordered: Vec<_> = preferred.into_iter().collect();
        self.rotate(&mut pool);
        if target.regions.is_empty() {
            extend_new(&mut ordered, pool.iter());
        }
        for wanted in &target.regions {
            extend_new(
                &mut ordered,
                pool.iter()
                    .filter(|slot| region::covers(wanted, &slot.region)),
            );
        }
        ordered
    }

    /// Round robin. A stopped machine is woken only if none that runs is left.
    fn rotate(&self, pool: &mut [Arc<Slot>]) {
        if pool.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            pool.rotate_left(turn % pool.len());
            pool.sort_by_key(|slot| !slot.is_running());
        }
    }

    fn snapshot(&self) -> Vec<Arc<Slot>> {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn in_regions(slot: &Slot, regions: &[String]) -> bool {
    regions.is_empty()
        || regions
            .iter()
            .any(|wanted| region::covers(wanted, &slot.region))
}

fn extend_new<'a>(ordered: &mut Vec<Arc<Slot>>, more: impl Iterator<Item = &'a Arc<Slot>>) {
    for slot in more {
        if !ordered.iter().any(|known| known.id == slot.id) {
            ordered.push(Arc::clone(slot));
        }
    }
}
