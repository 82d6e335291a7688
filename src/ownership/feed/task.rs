//! The task: connect, drop everything, forget what changes.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use futures_util::future::select;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{backoff::Backoff, health::Status};
use crate::{CacheHandle, Change, ChangeFeed, Changes, FeedError, FeedErrorKind, random::jittered};

/// A feed bounds its own waits, and knows them better. This is for one that does not, which would
/// otherwise be connecting for good.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Task<F> {
    pub(super) feed: F,
    pub(super) caches: Vec<CacheHandle>,
    pub(super) status: Arc<Status>,
    pub(super) heartbeat: Duration,
    pub(super) deadline: Duration,
}

impl<F: ChangeFeed> Task<F> {
    /// Follows until `stop` is used or dropped.
    pub(super) async fn run(self, stop: oneshot::Receiver<()>) {
        let _end = End(Arc::clone(&self.status));
        let work = pin!(self.work());
        select(stop, work).await;
    }

    async fn work(&self) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            let connected = timeout(CONNECT_LIMIT, self.feed.connect()).await;
            let error = match connected.unwrap_or_else(|_| Err(too_late())) {
                Ok(changes) => {
                    let since = Instant::now();
                    let error = self.follow(changes).await;
                    // A server that lets us in and throws us out again must not make us drop what
                    // is cached ten times a second.
                    if since.elapsed() >= Backoff::LONGEST {
                        backoff.reset();
                    }
                    error
                }
                Err(error) => error,
            };
            self.status.down(error);
            sleep(backoff.next()).await;
        }
    }

    /// Hears changes until nothing more can be heard, and returns why.
    async fn follow(&self, mut changes: F::Changes) -> FeedError {
        self.status.covers(changes.coverage());
        self.status.heard();
        // Not before the feed delivers: what a lookup reads between the two is either true or will be
        // told of.
        self.forget_all();
        self.status.listening();
        let mut heard_at = Instant::now();
        let mut patience = jittered(self.heartbeat);
        let mut alarm = heard_at + patience;
        let mut is_waiting = false;
        loop {
            match timeout_at(alarm, changes.next()).await {
                Ok(Ok(change)) => {
                    self.status.covers(changes.coverage());
                    self.hear(change);
                    heard_at = Instant::now();
                    // Whatever it was, and of whatever machine: the connection delivers.
                    if is_waiting {
                        is_waiting = false;
                        alarm = heard_at + patience;
                    }
                }
                Ok(Err(error)) => return error,
                Err(_) if is_waiting => {
                    return FeedError::new(
                        FeedErrorKind::Silent,
                        "the directory was not heard in time; the connection may be half-open",
                    );
                }
                // The alarm is set anew here and not for every change of a burst.
                Err(_) if Instant::now() < heard_at + patience => alarm = heard_at + patience,
                Err(_) => {
                    // All machines hear the beat of the first one, and need not send theirs.
                    patience = jittered(self.heartbeat);
                    is_waiting = true;
                    changes.ping();
                    alarm = Instant::now() + self.deadline;
                }
            }
        }
    }

    fn hear(&self, change: Change) {
        self.status.heard();
        match change {
            Change::Session(id) => {
                self.status.notified();
                self.caches.iter().for_each(|cache| cache.forget(&id));
            }
            Change::All => {
                self.status.notified();
                self.forget_all();
            }
            Change::KeepAlive => {}
            Change::Unreadable(length) => self.status.unreadable(length),
        }
    }

    fn forget_all(&self) {
        self.caches.iter().for_each(CacheHandle::forget_all);
    }
}

fn too_late() -> FeedError {
    FeedError::new(
        FeedErrorKind::Unreachable,
        "the directory did not accept a connection in time",
    )
}

/// Says that the task is over, also if its runtime dropped it.
struct End(Arc<Status>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stopped();
    }
}
