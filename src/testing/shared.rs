//! What all requests of one edge share.

use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use super::cache::ReplayCache;
use super::fleet::Fleet;
use super::log::Log;
use super::request_id::RequestIds;
use super::settings::Settings;
use super::tasks::Tasks;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) addr: SocketAddr,
    pub(super) fleet: Fleet,
    pub(super) cache: ReplayCache,
    pub(super) log: Log,
    pub(super) ids: RequestIds,
    pub(super) tasks: Tasks,
    pinned: RwLock<Option<String>>,
}

impl Shared {
    pub(super) fn new(settings: Settings, addr: SocketAddr) -> Self {
        Self {
            addr,
            fleet: Fleet::default(),
            cache: ReplayCache::new(settings.cache_capacity),
            log: Log::new(settings.log_capacity),
            ids: RequestIds::default(),
            tasks: Tasks::new(),
            pinned: RwLock::new(settings.land_on.clone()),
            settings,
        }
    }

    /// The machine that fresh requests land on, if that is fixed.
    pub(super) fn pinned(&self) -> Option<String> {
        self.pinned
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn pin(&self, id: Option<String>) {
        *self.pinned.write().unwrap_or_else(PoisonError::into_inner) = id;
    }
}
