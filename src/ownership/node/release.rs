//! Giving sessions up.

use std::{collections::HashSet, time::Duration};

use super::Node;
use crate::{LookupError, SessionId, clock::Tick, ownership::events};

impl Node {
    /// Stops serving the session at this epoch and before, for good. It has to come before the
    /// release is written, and [`confirm`](Release::confirm) after.
    ///
    /// # Errors
    /// 65,536 releases are unconfirmed, or were confirmed in the last minute. The session is not given
    /// up, and nothing may be written. [Confirm](Self::confirm_release) the [unconfirmed
    /// ones](Self::unconfirmed_releases) by releasing them again, which a
    /// [heartbeat](crate::Heartbeat) does by itself.
    pub fn begin_release(&self, session: &SessionId, epoch: u64) -> Result<Release, LookupError> {
        let (now, ttl) = (self.0.clock.exact(), self.ttl());
        let settled = Tick(now.0.saturating_sub(2 * ttl.ttl + 60_000));
        if !self.0.releases.begin(session, epoch, now, settled) {
            return Err(LookupError::unavailable(
                "65,536 releases are unconfirmed or recent; repeat the unconfirmed ones first",
            ));
        }
        let term = self.0.terms.get(session, epoch);
        for layer in self.layers() {
            layer.forget(session);
        }
        Ok(Release {
            node: self.clone(),
            session: session.clone(),
            epoch,
            has_waited: term.is_some_and(|term| term.release_proof(None, now.0, ttl).is_some()),
        })
    }

    /// Notes that the directory does not name this machine as the session's owner any more.
    pub fn confirm_release(&self, session: &SessionId) {
        self.0.releases.confirm(session, self.0.clock.exact());
        self.0.terms.remove(session);
    }

    /// The releases that were begun at least `age` ago and are not confirmed: they may have failed,
    /// and should be repeated. With the epochs at which the sessions were given up.
    #[must_use]
    pub fn unconfirmed_releases(&self, age: Duration) -> Vec<(SessionId, u64)> {
        self.0.releases.unconfirmed(self.0.clock.exact(), age)
    }

    /// Whether this process has given the session up at this epoch, and may not have written it yet.
    #[cfg(feature = "membership")]
    pub(in crate::ownership) fn has_given_up(&self, session: &SessionId, epoch: u64) -> bool {
        self.0.releases.contains(session, epoch)
    }

    /// The sessions whose previous owner this machine has waited for, with their epochs.
    #[must_use]
    pub fn waited_out(&self) -> HashSet<(SessionId, u64)> {
        self.0.terms.waited_out(self.0.clock.exact(), self.ttl())
    }
}

/// A release that was [begun](Node::begin_release): this machine serves the session no more.
///
/// If it is dropped without being confirmed, the release stays begun, since its write may have
/// landed, and is [repeated](Node::unconfirmed_releases).
#[derive(Debug)]
#[must_use = "a release is confirmed after it was written"]
pub struct Release {
    node: Node,
    session: SessionId,
    epoch: u64,
    has_waited: bool,
}

impl Release {
    /// Whether this machine has waited for the owner before it, so that the row may prove to the next
    /// one that it need not wait. `false` also where it did not have to wait, which the row tells.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// The directory has written it.
    pub fn confirm(self) {
        self.node.confirm_release(&self.session);
        events::released(self.node.machine(), &self.session, self.epoch);
    }
}
