//! Following the changes that a directory tells of.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use crate::{
    CacheHandle, ChangeFeed,
    health::{Check, HealthCheck},
};

mod backoff;
mod health;
mod task;

pub use health::{FeedHealth, FeedState};

use health::{Checked, OnChange, Status};
use task::Task;

/// Makes layers forget a session at the moment at which it changes in the directory.
///
/// Without a feed, a change is seen when the [freshness](crate::CachePolicy) of what is cached runs
/// out. With it, that takes as long as the directory takes to tell.
///
/// # What it promises
/// A delivery is a hint, and one that is lost with its connection is made up for: after every
/// connection the feed drops everything that is cached, and only then says that it
/// [listens](FeedState::Listening). While it does not, nothing is dropped, and the freshness bounds
/// hold as they do without a feed. They are not longer with one: what a machine serves is never older
/// than they allow.
///
/// A delivery never says who the owner is. Who can forge one causes a lookup, never a wrong decision.
/// What cannot be read is counted and ignored.
///
/// # Its connection
/// A connection that is lost is opened again after 0.1 s, and up to 5 s if that fails, each time a
/// little differently so that a fleet does not come back all at once. A connection that is lost
/// silently is found by a heartbeat: if nothing was heard for 5 s, the feed asks the directory to send
/// something; if nothing is heard for 2 s after that, the connection is closed and opened anew.
///
/// # Ending it
/// The feed is one task on the runtime it was started on. Dropping this handle ends it and closes
/// the connection; [`stop`](Self::stop) also waits for that.
#[must_use = "a feed ends when it is dropped"]
pub struct Feed {
    status: Arc<Status>,
    /// Held for its drop, which ends the task.
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Feed {
    /// Begins to follow the changes of a directory.
    pub fn builder<F: ChangeFeed>(feed: F) -> FeedBuilder<F> {
        FeedBuilder {
            feed,
            heartbeat: FeedBuilder::<F>::DEFAULT_HEARTBEAT,
            deadline: FeedBuilder::<F>::DEFAULT_HEARTBEAT_DEADLINE,
            caches: Vec::new(),
            on_change: None,
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> FeedHealth {
        self.status.health()
    }

    /// The same as a check for the machine's [health](crate::health). It does not keep the feed
    /// running, and says that it has ended once it has.
    #[must_use]
    pub fn health_check(&self) -> impl HealthCheck + use<> {
        Checked(Arc::clone(&self.status))
    }

    /// Waits until it listens; at once if it does.
    ///
    /// A server need not wait for it before it takes requests: until then the freshness bounds
    /// hold.
    pub async fn listening(&self) {
        self.status.until_listening().await;
    }

    /// Ends it, and waits until its connection is closed.
    pub async fn stop(self) {
        let Self {
            status: _,
            _stop: stop,
            task,
        } = self;
        drop(stop);
        // It fails only if the runtime has ended the task before us.
        let _ = task.await;
    }
}

impl HealthCheck for Feed {
    fn check(&self) -> Check {
        Check::from(&self.health())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// Makes a [`Feed`]. Everything is checked in [`start`](Self::start).
#[must_use = "a builder does nothing before `start`"]
pub struct FeedBuilder<F> {
    feed: F,
    heartbeat: Duration,
    deadline: Duration,
    caches: Vec<CacheHandle>,
    on_change: Option<Arc<OnChange>>,
}

impl<F> FeedBuilder<F> {
    /// For how long nothing may be heard, by default.
    pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(5);

    /// How long a heartbeat may go unanswered, by default.
    pub const DEFAULT_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(2);
}

impl<F: ChangeFeed> FeedBuilder<F> {
    /// For how long nothing may be heard before the feed asks the directory to send something.
    /// Default: 5 s; at most a day.
    pub fn heartbeat(mut self, silence: Duration) -> Self {
        self.heartbeat = silence;
        self
    }

    /// How long a heartbeat may go unanswered before the connection is given up. Default: 2 s; at most
    /// a day.
    pub fn heartbeat_deadline(mut self, bound: Duration) -> Self {
        self.deadline = bound;
        self
    }

    /// One more cache to keep true, beside the one that [`start`](Self::start) is given: for a
    /// process with several layers.
    pub fn add_cache(mut self, cache: CacheHandle) -> Self {
        self.caches.push(cache);
        self
    }

    /// A hook that is called at every change of [state](FeedState), beside the event; none by default.
    /// The feed's own task calls it, so it must not wait.
    pub fn on_change(mut self, hook: impl Fn(&FeedHealth) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(hook));
        self
    }

    /// Starts the feed for a layer's [cache](crate::OwnershipLayer::cache).
    ///
    /// Returns at once; the task it spawns connects, and goes on trying. It needs a tokio runtime
    /// with its clock enabled.
    pub fn start(mut self, cache: CacheHandle) -> Result<Feed, FeedBuildError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);

        for (what, bound) in [
            ("heartbeat", self.heartbeat),
            ("heartbeat_deadline", self.deadline),
        ] {
            if bound.is_zero() {
                return Err(FeedBuildError::Zero { what });
            }
        }
        let runtime = Handle::try_current().map_err(|_| FeedBuildError::NoRuntime)?;
        self.caches.push(cache);
        let status = Arc::new(Status::new(self.on_change));
        let (stop, stopped) = oneshot::channel();
        let task = Task {
            feed: self.feed,
            caches: self.caches,
            status: Arc::clone(&status),
            heartbeat: self.heartbeat.min(DAY),
            deadline: self.deadline.min(DAY),
        };
        Ok(Feed {
            status,
            _stop: stop,
            task: runtime.spawn(task.run(stopped)),
        })
    }
}

impl<F> fmt::Debug for FeedBuilder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedBuilder")
            .field("heartbeat", &self.heartbeat)
            .field("heartbeat_deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why a feed cannot be started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FeedBuildError {
    /// A bound is zero, so nothing could ever keep it.
    #[error("`{what}` is zero")]
    Zero {
        /// The bound.
        what: &'static str,
    },
    /// There is no tokio runtime here to run the task.
    #[error("a feed is a task, and there is no tokio runtime here")]
    NoRuntime,
}

crate::observe::debug_as_chain!(FeedBuildError);

#[cfg(test)]
mod tests;
