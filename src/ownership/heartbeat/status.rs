//! What a heartbeat and its handle share, and what it logs.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{HeartbeatHealth, HeartbeatState};
use crate::{
    LookupError, Process,
    health::{Check, HealthCheck},
    meter,
    observe::Chain,
};

/// The target of its events.
pub(super) const TARGET: &str = "tower_ownership::heartbeat";

/// The code of two processes of one machine, in the log.
const DUPLICATE: &str = "duplicate-identity";

/// The code of missing triggers, in the log.
const MIGRATION_PARTLY: &str = "migration-partly";

/// What a heartbeat and its handle share.
pub(super) struct Status {
    me: Process,
    /// Where this process said that it is.
    address: Option<String>,
    meter: meter::Beats,
    /// After how long without a beat it is urgent.
    urgent_after: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    state: HeartbeatState,
    last_beat: Instant,
    failures: u32,
    is_urgent: bool,
    /// What the row last said of a process before this one.
    rival: Option<i64>,
    has_rival: bool,
    missing_triggers: Vec<String>,
}

impl Status {
    /// Of a machine that has just been registered.
    pub(super) fn new(me: Process, address: Option<String>, urgent_after: Duration) -> Self {
        Self {
            me,
            address,
            urgent_after,
            meter: meter::Beats::new(),
            inner: Mutex::new(Inner {
                state: HeartbeatState::Alive,
                last_beat: Instant::now(),
                failures: 0,
                is_urgent: false,
                rival: None,
                has_rival: false,
                missing_triggers: Vec::new(),
            }),
        }
    }

    pub(super) fn health(&self) -> HeartbeatHealth {
        let inner = self.lock();
        HeartbeatHealth {
            state: inner.state.clone(),
            last_beat: inner.last_beat.elapsed(),
            failures: inner.failures,
            rival: inner.has_rival,
            missing_triggers: inner.missing_triggers.clone(),
        }
    }

    /// A beat that was sent at `sent` arrived.
    pub(super) fn beat(&self, sent: Instant, rival: Option<i64>) {
        self.meter.beaten(true);
        let machine = self.me.machine.as_str();
        let mut inner = self.lock();
        inner.last_beat = sent;
        inner.is_urgent = false;
        let failures = std::mem::take(&mut inner.failures);
        let was_withheld = matches!(inner.state, HeartbeatState::Withheld { .. });
        inner.state = HeartbeatState::Alive;
        inner.has_rival = rival.is_some() && rival != inner.rival;
        inner.rival = rival;
        let has_rival = inner.has_rival;
        drop(inner);
        if failures > 0 {
            info!(target: TARGET, machine, failures, "beats arrive again");
        }
        if was_withheld {
            info!(target: TARGET, machine, "the machine serves and beats again");
        }
        if has_rival {
            error!(
                target: TARGET,
                machine,
                rejection_code = DUPLICATE,
                boot_id = %self.me.boot_id,
                address = self.address.as_deref(),
                pid = std::process::id(),
                "another process runs under this machine's id; it was there before and has stopped \
                 serving"
            );
        }
    }

    /// The machine's row was missing, and the beat that was sent at `sent` has restored it.
    pub(super) fn put_back(&self, sent: Instant) {
        let machine = self.me.machine.as_str();
        warn!(
            target: TARGET,
            machine,
            "the machine's row was missing and is restored; its sessions wait as after a restart"
        );
        let rival = self.lock().rival;
        self.beat(sent, rival);
    }

    pub(super) fn failed(&self, error: LookupError) {
        self.meter.beaten(false);
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        let is_news = inner.failures == 1;
        let silent = inner.last_beat.elapsed();
        let gets_urgent = silent > self.urgent_after && !inner.is_urgent;
        inner.is_urgent |= gets_urgent;
        let machine = self.me.machine.as_str();
        if is_news {
            warn!(target: TARGET, machine, cause = %Chain(&error), "beats do not arrive");
        }
        if gets_urgent {
            error!(
                target: TARGET,
                machine,
                cause = %Chain(&error),
                "no beat has arrived for {} s; if those of other machines do, they take this \
                 machine for lost soon, and may take its sessions over",
                silent.as_secs(),
            );
        }
        inner.state = HeartbeatState::Failing { error };
    }

    /// No beat was sent, because of what it depends on.
    pub(super) fn withheld(&self, why: String) {
        self.meter.withheld();
        let mut inner = self.lock();
        let machine = self.me.machine.as_str();
        if !matches!(inner.state, HeartbeatState::Withheld { .. }) {
            error!(
                target: TARGET,
                machine,
                why,
                "this machine does not serve, so it does not beat until it does; others may take \
                 its sessions over"
            );
        }
        inner.state = HeartbeatState::Withheld { why };
    }

    /// These triggers are missing or disabled.
    pub(super) fn misses(&self, triggers: Vec<String>) {
        self.meter.misses(triggers.len());
        let machine = self.me.machine.as_str();
        let mut inner = self.lock();
        if inner.missing_triggers == triggers {
            return;
        }
        let missing = triggers.join("; ");
        inner.missing_triggers = triggers;
        drop(inner);
        if missing.is_empty() {
            info!(target: TARGET, machine, "all ownership triggers are there again");
        } else {
            error!(
                target: TARGET,
                machine,
                finding = MIGRATION_PARTLY,
                missing,
                "ownership triggers are missing or disabled; a session whose owner changes is not \
                 served until the migration is applied"
            );
        }
    }

    /// By the process with this boot id.
    pub(super) fn superseded(&self, by: Uuid) {
        self.lock().state = HeartbeatState::Fenced;
        error!(
            target: TARGET,
            machine = self.me.machine.as_str(),
            rejection_code = DUPLICATE,
            boot_id = %self.me.boot_id,
            other_boot_id = %by,
            address = self.address.as_deref(),
            pid = std::process::id(),
            "another process has begun under this machine's id; this one has stopped serving"
        );
    }

    pub(super) fn gone(&self) {
        self.lock().state = HeartbeatState::Removed;
        error!(
            target: TARGET,
            machine = self.me.machine.as_str(),
            "an operator declared this machine gone; it has stopped serving"
        );
    }

    /// The reason that it ended replaces the mere fact that it did, and is never replaced by it.
    pub(super) fn stopped(&self) {
        let mut inner = self.lock();
        if !matches!(
            inner.state,
            HeartbeatState::Fenced | HeartbeatState::Removed
        ) {
            inner.state = HeartbeatState::Stopped;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.health(), f)
    }
}

/// Tells how a heartbeat is, and does not keep it running.
#[derive(Clone, Debug)]
pub(super) struct Checked(pub(super) Arc<Status>);

impl HealthCheck for Checked {
    fn check(&self) -> Check {
        Check::from(&self.0.health())
    }
}
