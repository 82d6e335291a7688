//! Telling of changes in memory.

use std::fmt;

use tokio::sync::broadcast::{self, error::RecvError};

use super::MemoryDirectory;
use crate::{Change, ChangeFeed, Changes, Coverage, FeedError, FeedErrorKind, SessionId};

/// How many changes are kept for a feed that is behind. One that is further behind gets
/// [`Change::All`].
const KEPT: usize = 1_024;

/// Tells feeds of changes.
pub(super) struct Sender(broadcast::Sender<Change>);

impl Sender {
    /// This session changed; `None`: any may have.
    pub(super) fn tell(&self, session: Option<&SessionId>) {
        // It fails if there is no feed.
        let _ = self
            .0
            .send(session.cloned().map_or(Change::All, Change::Session));
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl ChangeFeed for MemoryDirectory {
    type Changes = MemoryChanges;

    async fn connect(&self) -> Result<MemoryChanges, FeedError> {
        Ok(MemoryChanges {
            changes: self.read().changes.0.subscribe(),
            is_asked: false,
        })
    }
}

/// What a [`MemoryDirectory`] tells of changes.
pub struct MemoryChanges {
    changes: broadcast::Receiver<Change>,
    is_asked: bool,
}

impl Changes for MemoryChanges {
    async fn next(&mut self) -> Result<Change, FeedError> {
        if std::mem::take(&mut self.is_asked) {
            return Ok(Change::KeepAlive);
        }
        match self.changes.recv().await {
            Ok(change) => Ok(change),
            Err(RecvError::Lagged(_)) => Ok(Change::All),
            Err(RecvError::Closed) => Err(FeedError::new(
                FeedErrorKind::Lost,
                "the directory is no more",
            )),
        }
    }

    fn ping(&mut self) {
        self.is_asked = true;
    }

    fn coverage(&self) -> Coverage {
        Coverage::Complete
    }
}

impl fmt::Debug for MemoryChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChanges").finish_non_exhaustive()
    }
}
