//! How a feed is doing.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::{
    Coverage, FeedError, FeedErrorKind,
    health::{Check, HealthCheck},
    meter,
    observe::Chain,
};

/// What a feed is doing now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FeedState {
    /// It is connecting for the first time. What is cached is as fresh as the freshness bounds say.
    Connecting,
    /// It listens: what is cached is forgotten as soon as it changes.
    Listening {
        /// Since when.
        since: Instant,
    },
    /// It lost its connection, or could not get one, and tries again. What is cached is as fresh
    /// as the freshness bounds say.
    Down {
        /// Since when.
        since: Instant,
        /// Why, as of the last attempt.
        error: FeedError,
    },
    /// It has ended, and tries nothing any more: it was stopped or dropped, or the runtime it was
    /// started on is gone.
    Stopped,
}

impl FeedState {
    /// Whether it listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(self, Self::Listening { .. })
    }
}

/// How a feed is doing, for a health check or for metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FeedHealth {
    /// What it is about.
    pub state: FeedState,
    /// How many changes it has received.
    pub changes: u64,
    /// How many deliveries it could not read. They change nothing. If there are many, something else
    /// uses the directory's channel, or triggers of a later version do.
    pub unreadable: u64,
    /// How many times it began to listen anew after a loss.
    pub reconnects: u64,
    /// When it last heard anything, its own heartbeat included.
    pub last_heard: Option<Instant>,
    /// Whether the directory tells of every change, as of the last time that it was found out.
    pub coverage: Coverage,
}

impl From<&FeedHealth> for Check {
    /// Well, if it listens and the directory tells of every change as far as that is known.
    fn from(health: &FeedHealth) -> Self {
        match &health.state {
            FeedState::Listening { since } => {
                if let Coverage::Incomplete(missing) = health.coverage {
                    return Self::failing(format!("it listens, but {missing}"));
                }
                let heard = health.last_heard.unwrap_or(*since);
                Self::ok("it listens").with_age(heard.elapsed())
            }
            FeedState::Connecting => Self::failing("it is connecting"),
            // Without what caused it, which may name hosts and users.
            FeedState::Down { since, error } => {
                Self::failing(error.to_string()).with_age(since.elapsed())
            }
            FeedState::Stopped => Self::failing("it has ended"),
        }
    }
}

/// Says how a feed is, and does not keep it running.
#[derive(Clone, Debug)]
pub(super) struct Checked(pub(super) Arc<Status>);

impl HealthCheck for Checked {
    fn check(&self) -> Check {
        Check::from(&self.0.health())
    }
}

/// Is told of every change of state.
pub(super) type OnChange = dyn Fn(&FeedHealth) + Send + Sync;

/// What a feed's task and its handle share.
pub(super) struct Status {
    state: watch::Sender<FeedState>,
    on_change: Option<Arc<OnChange>>,
    began: Instant,
    changes: AtomicU64,
    unreadable: AtomicU64,
    listened: AtomicU64,
    /// Milliseconds since `began`, and one; 0 before anything was heard.
    last_heard: AtomicU64,
    coverage: Mutex<Coverage>,
    meter: meter::Feed,
}

/// Everything that a feed says in the log.
const TARGET: &str = "tower_ownership::feed";

impl Status {
    pub(super) fn new(on_change: Option<Arc<OnChange>>) -> Self {
        Self {
            state: watch::Sender::new(FeedState::Connecting),
            on_change,
            began: Instant::now(),
            changes: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            listened: AtomicU64::new(0),
            last_heard: AtomicU64::new(0),
            coverage: Mutex::new(Coverage::Unknown),
            meter: meter::Feed::new(),
        }
    }

    pub(super) fn health(&self) -> FeedHealth {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let heard = count(&self.last_heard).checked_sub(1);
        FeedHealth {
            state: self.state.borrow().clone(),
            changes: count(&self.changes),
            unreadable: count(&self.unreadable),
            reconnects: count(&self.listened).saturating_sub(1),
            last_heard: heard.map(|after| self.began + Duration::from_millis(after)),
            coverage: *self.coverage(),
        }
    }

    pub(super) async fn until_listening(&self) {
        let mut state = self.state.subscribe();
        // The sender is in `self`, so it does not go away meanwhile.
        let _ = state.wait_for(FeedState::is_listening).await;
    }

    pub(super) fn heard(&self) {
        let after = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_heard
            .store(after.saturating_add(1), Ordering::Relaxed);
        self.meter.heard();
    }

    pub(super) fn notified(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.meter.notified(true);
    }

    pub(super) fn unreadable(&self, length: usize) {
        // Not what it says, which may be a session's id.
        debug!(target: TARGET, length, "a delivery is not for this version, and is ignored");
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        self.meter.notified(false);
    }

    pub(super) fn listening(&self) {
        let reconnects = self.listened.fetch_add(1, Ordering::Relaxed);
        info!(target: TARGET, reconnects, "changes of sessions are heard at once");
        let since = Instant::now();
        self.turn(FeedState::Listening { since });
    }

    pub(super) fn down(&self, error: FeedError) {
        let (since, is_news) = match &*self.state.borrow() {
            FeedState::Down { since, error: last } => (*since, !last.is_like(&error)),
            _ => (Instant::now(), true),
        };
        let shown = Chain(&error);
        match error.kind() {
            _ if !is_news => debug!(target: TARGET, cause = %shown, "still not listening"),
            FeedErrorKind::Undelivered => {
                error!(target: TARGET, cause = %shown, "changes of sessions are not heard");
            }
            _ => warn!(target: TARGET, cause = %shown, "changes of sessions are not heard"),
        }
        self.meter.lost();
        self.turn(FeedState::Down { since, error });
    }

    pub(super) fn stopped(&self) {
        self.turn(FeedState::Stopped);
    }

    pub(super) fn covers(&self, found: Coverage) {
        let before = std::mem::replace(&mut *self.coverage(), found);
        if found == before {
            return;
        }
        match found {
            Coverage::Unknown => return,
            Coverage::Complete if before != Coverage::Unknown => {
                info!(target: TARGET, "the directory tells of every change again");
            }
            Coverage::Complete => {}
            Coverage::Incomplete(missing) => {
                warn!(target: TARGET, missing, "the directory does not tell of every change");
            }
        }
        meter::Feed::is_complete(found == Coverage::Complete);
    }

    fn coverage(&self) -> MutexGuard<'_, Coverage> {
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, state: FeedState) {
        self.meter.listens(state.is_listening());
        self.state.send_replace(state);
        // If it was the hook that panicked, then calling it again would end the process.
        if let Some(on_change) = &self.on_change
            && !std::thread::panicking()
        {
            on_change(&self.health());
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.health(), f)
    }
}
