//! Whether the directory answers.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{FutureExt, Shared, WeakShared};

use super::Check;
use crate::{LookupErrorKind, SessionId, cache::Cache, clock::Tick};

/// For how many milliseconds nobody asks after a failure: probes come from several places, and a
/// directory that is coming back should be spared.
const PAUSE: u64 = 1_000;

type Asked = Pin<Box<dyn Future<Output = Check> + Send>>;

/// Watches over the directory by what requests learn of it, and asks only where that is not enough.
pub(super) struct Directory {
    cache: Arc<Cache>,
    lately: Duration,
    patience: Duration,
    canary: SessionId,
    asking: Mutex<Asking>,
}

#[derive(Default)]
struct Asking {
    under_way: Option<WeakShared<Asked>>,
    /// What came of it, if it failed, and when.
    failed: Option<(Tick, Check)>,
}

impl Directory {
    pub(super) fn new(
        cache: Arc<Cache>,
        lately: Duration,
        patience: Duration,
        canary: SessionId,
    ) -> Self {
        Self {
            cache,
            lately,
            patience,
            canary,
            asking: Mutex::default(),
        }
    }

    pub(super) async fn check(self: Arc<Self>) -> Check {
        match self.known() {
            Some(known) => known,
            None => self.ask().await,
        }
    }

    fn known(&self) -> Option<Check> {
        let last = self.cache.last_reached();
        let answered = last.answered.filter(|answered| {
            *answered < self.lately && last.failed.is_none_or(|failed| *answered <= failed)
        });
        if let Some(age) = answered {
            return Some(Check::ok("it answers").with_age(age));
        }
        let asking = self.lock();
        let (at, failed) = asking.failed.as_ref()?;
        let age = self.cache.clock().now().since(*at);
        (age < PAUSE).then(|| failed.clone().with_age(Duration::from_millis(age)))
    }

    /// Asks, together with whoever else is asking.
    fn ask(self: &Arc<Self>) -> Shared<Asked> {
        let mut asking = self.lock();
        let under_way = asking.under_way.as_ref().and_then(WeakShared::upgrade);
        if let Some(asked) = under_way {
            return asked;
        }
        let asked = Arc::clone(self).asked().boxed().shared();
        asking.under_way = asked.downgrade();
        asked
    }

    async fn asked(self: Arc<Self>) -> Check {
        let found = self.cache.ask_apart(self.canary, self.patience).await;
        self.cache.note_reached(&found);
        let mut asking = self.lock();
        asking.under_way = None;
        match found.session {
            // Its words are ours; what the database said, which may tell of hosts and users, comes
            // after it and stays here.
            Err(error) if error.kind() != LookupErrorKind::Corrupt => {
                let failed = Check::failing(error.to_string());
                asking.failed = Some((self.cache.clock().now(), failed.clone()));
                failed
            }
            Ok(_) | Err(_) => {
                asking.failed = None;
                Check::ok("it answers").with_age(Duration::ZERO)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
