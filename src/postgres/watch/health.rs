//! How a watch is doing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::error::WatchError;
use crate::{
    health::{Check, HealthCheck},
    meter,
    observe::Chain,
};

/// What a watch is about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchState {
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
        error: WatchError,
    },
    /// It has ended, and tries nothing any more: it was stopped or dropped, or the runtime it was
    /// started on is gone.
    Stopped,
}

impl WatchState {
    /// Whether it listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(self, Self::Listening { .. })
    }
}

/// How a watch is doing, for a health check or for metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchHealth {
    /// What it is about.
    pub state: WatchState,
    /// How many changes it was told of.
    pub notifications: u64,
    /// How many notifications on its channel it could not read. They change nothing. If there are
    /// many, something else uses the channel, or triggers of a later version do.
    pub garbage: u64,
    /// How many times it began to listen anew after a loss.
    pub reconnects: u64,
    /// When it last heard anything, its own heartbeat included.
    pub last_heard: Option<Instant>,
    /// Whether the table seems to have a trigger that notifies this channel, when last looked;
    /// `None` if the table is not known, or could not be looked at.
    pub has_trigger: Option<bool>,
}

impl From<&WatchHealth> for Check {
    /// Well, if it listens and the table has a trigger as far as that is known.
    fn from(health: &WatchHealth) -> Self {
        match &health.state {
            WatchState::Listening { .. } if health.has_trigger == Some(false) => {
                Self::failing("it listens, and no trigger of the sessions' table notifies it")
            }
            WatchState::Listening { since } => {
                let heard = health.last_heard.unwrap_or(*since);
                Self::ok("it listens").with_age(heard.elapsed())
            }
            WatchState::Connecting => Self::failing("it is connecting"),
            // Without what caused it, which may name hosts and users.
            WatchState::Down { since, error } => {
                Self::failing(error.to_string()).with_age(since.elapsed())
            }
            WatchState::Stopped => Self::failing("it has ended"),
        }
    }
}

/// Says how a watch is, and does not keep it running.
#[derive(Clone, Debug)]
pub(super) struct Checked(pub(super) Arc<Status>);

impl HealthCheck for Checked {
    fn check(&self) -> Check {
        Check::from(&self.0.health())
    }
}

/// Is told of every change of state.
pub(super) type OnChange = dyn Fn(&WatchHealth) + Send + Sync;

/// What a watch and its handle share.
pub(super) struct Status {
    state: watch::Sender<WatchState>,
    on_change: Option<Arc<OnChange>>,
    began: Instant,
    notifications: AtomicU64,
    garbage: AtomicU64,
    listened: AtomicU64,
    /// Milliseconds since `began`, and one; 0 before anything was heard.
    last_heard: AtomicU64,
    /// 0 for unknown, else 1 for no and 2 for yes.
    has_trigger: AtomicU64,
    meter: meter::Watch,
}

/// Everything that a watch says in the log.
const TARGET: &str = "tower_ownership::watch";

impl Status {
    pub(super) fn new(on_change: Option<Arc<OnChange>>) -> Self {
        Self {
            state: watch::Sender::new(WatchState::Connecting),
            on_change,
            began: Instant::now(),
            notifications: AtomicU64::new(0),
            garbage: AtomicU64::new(0),
            listened: AtomicU64::new(0),
            last_heard: AtomicU64::new(0),
            has_trigger: AtomicU64::new(0),
            meter: meter::Watch::new(),
        }
    }

    pub(super) fn health(&self) -> WatchHealth {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let heard = count(&self.last_heard).checked_sub(1);
        WatchHealth {
            state: self.state.borrow().clone(),
            notifications: count(&self.notifications),
            garbage: count(&self.garbage),
            reconnects: count(&self.listened).saturating_sub(1),
            last_heard: heard.map(|after| self.began + Duration::from_millis(after)),
            has_trigger: match count(&self.has_trigger) {
                0 => None,
                told => Some(told == 2),
            },
        }
    }

    pub(super) async fn until_listening(&self) {
        let mut state = self.state.subscribe();
        // The sender is in `self`, so it does not go away meanwhile.
        let _ = state.wait_for(WatchState::is_listening).await;
    }

    pub(super) fn heard(&self) {
        let after = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_heard
            .store(after.saturating_add(1), Ordering::Relaxed);
        self.meter.heard();
    }

    pub(super) fn notified(&self) {
        self.notifications.fetch_add(1, Ordering::Relaxed);
        self.meter.notified(true);
    }

    pub(super) fn garbage(&self, length: usize) {
        // What it says is anybody's, and could be a session's id.
        debug!(target: TARGET, length, "a notification is not for this version, and is ignored");
        self.garbage.fetch_add(1, Ordering::Relaxed);
        self.meter.notified(false);
    }

    pub(super) fn listening(&self) {
        let reconnects = self.listened.fetch_add(1, Ordering::Relaxed);
        info!(target: TARGET, reconnects, "changes of sessions are heard at once");
        let since = Instant::now();
        self.turn(WatchState::Listening { since });
    }

    pub(super) fn down(&self, error: WatchError) {
        let (since, is_news) = match &*self.state.borrow() {
            WatchState::Down { since, error: last } => (*since, !alike(last, &error)),
            _ => (Instant::now(), true),
        };
        let shown = Chain(&error);
        match &error {
            _ if !is_news => debug!(target: TARGET, error = %shown, "still not listening"),
            WatchError::Undelivered => {
                error!(target: TARGET, error = %shown, "changes of sessions are not heard");
            }
            _ => warn!(target: TARGET, error = %shown, "changes of sessions are not heard"),
        }
        self.meter.lost();
        self.turn(WatchState::Down { since, error });
    }

    pub(super) fn stopped(&self) {
        self.turn(WatchState::Stopped);
    }

    pub(super) fn found_trigger(&self, found: Option<bool>) {
        let told = found.map_or(0, |found| 1 + u64::from(found));
        let before = self.has_trigger.swap(told, Ordering::Relaxed);
        if let Some(found) = found {
            meter::Watch::has_trigger(found);
        }
        if found == Some(true) && before == 1 {
            info!(target: TARGET, "a trigger of the sessions' table notifies this channel again");
        }
        if found == Some(false) && before != told {
            warn!(
                target: TARGET,
                "no trigger of the sessions' table seems to notify this channel, so no change will \
                 be heard: apply the migration"
            );
        }
    }

    fn turn(&self, state: WatchState) {
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

/// Whether the second error is no news after the first.
fn alike(one: &WatchError, other: &WatchError) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
