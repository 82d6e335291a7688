//! Putting off the expiry of sessions that are used.

use std::{fmt, sync::Arc, time::Duration};

use quick_cache::sync::Cache as Table;
use tracing::warn;

use super::{Registrar, Sessions};
use crate::{Refresh, Session, clock::Tick, observe::Chain, session::SessionKey};

/// How many sessions are remembered for not being touched again too soon. One that was evicted is
/// touched once more.
const REMEMBERED: usize = 16_384;

/// A session is touched when a tenth of its lifetime has passed since it was last.
const PARTS: u32 = 10;

/// Lets a session live on while requests for it pass.
pub(crate) struct SlidingExpiry {
    lifetime: Duration,
    /// At most one write of a session in this time.
    interval: Duration,
    touched: Table<SessionKey, Tick>,
}

impl SlidingExpiry {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            interval: lifetime / PARTS,
            touched: Table::new(REMEMBERED),
        }
    }

    /// Puts off the expiry of a session that this machine serves, in the background, if it is due.
    /// `age`: how long ago the session was read.
    #[inline]
    pub(crate) fn passed(
        &self,
        sessions: &Arc<Sessions>,
        registrar: &Registrar,
        session: &Session,
        age: Duration,
    ) {
        if let Some(remaining) = session.remaining()
            && remaining.saturating_sub(age) + self.interval < self.lifetime
        {
            self.touch(sessions, registrar, session);
        }
    }

    #[cold]
    fn touch(&self, sessions: &Arc<Sessions>, registrar: &Registrar, session: &Session) {
        let (id, now) = (session.id(), sessions.cache.clock().now());
        let is_recent = |at: Tick| Duration::from_millis(now.since(at)) < self.interval;
        if self.touched.peek(id).is_some_and(is_recent) {
            return;
        }
        self.touched.insert(id.into(), now);
        let (registrar, id, lifetime) = (registrar.clone(), id.clone(), self.lifetime);
        let epoch = session.owned_epoch();
        sessions.cache.spawn(Refresh::new(async move {
            if let Err(error) = registrar.touch(&id, epoch, lifetime).await {
                warn!(
                    target: "tower_ownership::layer",
                    session_id = %id.short(),
                    cause = %Chain(&error),
                    "the expiry of a session that is in use could not be put off"
                );
            }
        }));
    }
}

impl fmt::Debug for SlidingExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingExpiry")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
