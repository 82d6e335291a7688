//! The task: one beat after another.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{join, select};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{Member, liveness::Liveness, status::Status};
use crate::{Beat, Membership, NodeState, meter, random::jittered};

/// After how long a release that was given up, and not confirmed, is repeated. Its own attempt has
/// ended by then.
const REPEAT: Duration = Duration::from_secs(2);

pub(super) struct Task<D> {
    pub(super) member: Arc<Member<D>>,
    pub(super) liveness: Liveness,
    pub(super) status: Arc<Status>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) counts_sessions_every: Option<Duration>,
    pub(super) checks_triggers_every: Duration,
}

impl<D: Membership> Task<D> {
    /// Beats until `stop` is used or dropped, or until the machine is gone.
    pub(super) async fn run(self, stop: oneshot::Receiver<()>) {
        let _end = End(Arc::clone(&self.status));
        let work = pin!(self.work());
        let beside = pin!(join(self.liveness.watch(), self.repeat_releases()));
        select(stop, select(work, beside)).await;
    }

    /// Repeats releases that failed. The process serves those sessions no more, so while the row
    /// names this machine, no machine does.
    async fn repeat_releases(&self) {
        let mut due = interval_at(Instant::now() + self.interval, self.interval);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            // One that fails is due again with the next.
            let _ = self.member.repeat(REPEAT, REPEAT).await;
        }
    }

    async fn work(&self) {
        // A fleet that was started at once does not beat at once.
        let first = Instant::now() + jittered(self.interval);
        let mut due = interval_at(first, self.interval);
        // What a pause has missed is not made up for.
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted = None;
        let mut checked: Option<Instant> = None;
        loop {
            due.tick().await;
            if let Some(why) = self.liveness.failure() {
                self.status.withheld(why);
                continue;
            }
            let sent = Instant::now();
            let node = &self.member.node;
            match self.member.beat(self.timeout).await {
                Ok(Beat::Alive { rival }) => self.status.beat(sent, rival),
                Ok(Beat::Restored) => {
                    node.joined_after_takeover();
                    self.status.put_back(sent);
                }
                Ok(Beat::Superseded { by }) => {
                    // It goes on looking, so that the other process hears of it for as long as
                    // both are there.
                    node.advance(NodeState::Fenced);
                    self.status.superseded(by);
                }
                Ok(Beat::Removed) => {
                    node.advance(NodeState::Removed);
                    self.status.gone();
                    return;
                }
                Err(error) => self.status.failed(error),
            }
            let is_due = |every| counted.is_none_or(|at: Instant| at.elapsed() >= every);
            if self.counts_sessions_every.is_some_and(is_due) {
                counted = Some(sent);
                self.count_sessions().await;
            }
            if checked.is_none_or(|at| at.elapsed() >= self.checks_triggers_every) {
                checked = Some(sent);
                self.check_triggers().await;
            }
        }
    }

    /// A check that fails leaves open whether they are there.
    async fn check_triggers(&self) {
        let missing = self.member.directory.missing(self.timeout);
        if let Ok(Ok(missing)) = timeout(self.timeout, missing).await {
            self.status.misses(missing);
        }
    }

    /// A count that fails shows in that the beats do, too.
    async fn count_sessions(&self) {
        let me = self.member.node.machine();
        let owned = self.member.directory.owned(me, self.timeout);
        if let Ok(Ok(sessions)) = timeout(self.timeout, owned).await {
            meter::owns(sessions);
        }
    }
}

/// Says that the task is over, also if its runtime dropped it.
struct End(Arc<Status>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stopped();
    }
}
