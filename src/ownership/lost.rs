//! The wait for the loss of a session.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_timer::Delay;
use futures_util::{FutureExt, future::poll_fn};

use super::{Lease, LossReason, Sessions};
use crate::{Session, SessionId, cache::Found, clock::Tick};

/// For how many milliseconds a stream does not ask again after a lookup that failed, or at all.
const PAUSE: u64 = 200;

/// Completes when a session is lost; see [`Owned::lost`](crate::Owned::lost).
///
/// Dropped, it leaves nothing behind.
#[must_use = "futures do nothing unless polled"]
pub struct Lost {
    watch: Pin<Box<dyn Future<Output = LossReason> + Send>>,
    proof: Arc<Proof>,
}

impl Lost {
    pub(super) fn new(sessions: &Arc<Sessions>, session: &Session, read_at: Tick) -> Self {
        let proof = Arc::new(Proof {
            sessions: Arc::clone(sessions),
            read_at: AtomicU64::new(read_at.0),
        });
        let watch = Watch {
            sessions: Arc::clone(sessions),
            proof: Arc::clone(&proof),
            id: session.id().clone(),
            epoch: session.epoch(),
            tried: false,
        };
        Self {
            watch: Box::pin(watch.run()),
            proof,
        }
    }

    /// For how much longer the last read proves the ownership; zero if it does no more, which is
    /// found out when this is polled.
    #[must_use]
    pub fn proved_for(&self) -> Duration {
        Duration::from_millis(self.proof.left())
    }
}

impl Future for Lost {
    type Output = LossReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LossReason> {
        self.watch.as_mut().poll(cx)
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lost")
    }
}

/// When the last read that proves the ownership was sent.
struct Proof {
    sessions: Arc<Sessions>,
    read_at: AtomicU64,
}

impl Proof {
    fn read_at(&self) -> Tick {
        Tick(self.read_at.load(Ordering::Relaxed))
    }

    /// For how many milliseconds it still proves it.
    fn left(&self) -> u64 {
        self.sessions.node.proves_for(self.read_at())
    }

    /// Whether it ran out just now, so that what reads it again was polled until then.
    fn ran_out_just_now(&self) -> bool {
        let (node, read_at) = (&self.sessions.node, self.read_at());
        let last = node.ttl().ttl + PAUSE;
        node.is_trusted(read_at) && node.now().since(read_at) < last
    }
}

struct Watch {
    sessions: Arc<Sessions>,
    proof: Arc<Proof>,
    id: SessionId,
    epoch: Option<u64>,
    /// Whether a read was begun since the last one that proved the ownership.
    tried: bool,
}

impl Watch {
    async fn run(mut self) -> LossReason {
        let loss = self.until_lost().await;
        self.sessions.cache.meter.lost(loss);
        loss
    }

    async fn until_lost(&mut self) -> LossReason {
        loop {
            // Before anything is looked at, so that no change falls in between.
            let mut changed = self.sessions.cache.listen(&self.id);
            if let Some(loss) = LossReason::of(self.sessions.node.state()) {
                return loss;
            }
            // Where reads failed until the proof ran out, it is over. Where this was not polled,
            // the session may be ours all the same, which one more read tells.
            let last_try = self.proof.left() == 0;
            if last_try && self.tried && self.proof.ran_out_just_now() {
                return LossReason::Unproved;
            }
            self.tried = true;
            let read = self.read(last_try).await;
            // A change while it is under way may be older or younger than its answer. So the next
            // turn looks again, which costs nothing if the answer was kept.
            let wait = match read.map_or(Judged::Nothing, |read| self.judge(&read)) {
                Judged::Lost(loss) => return loss,
                Judged::Ours => self.until_next_read(),
                Judged::TooLate => continue,
                Judged::Nothing if last_try => return LossReason::Unproved,
                Judged::Nothing => PAUSE.min(self.proof.left()),
            };
            let mut wait = milliseconds(wait);
            poll_fn(|cx| {
                // Also when timers are late, as after a pause of the whole process.
                if self.proof.left() == 0 || changed.poll_unpin(cx).is_ready() {
                    return Poll::Ready(());
                }
                wait.poll_unpin(cx)
            })
            .await;
        }
    }

    /// Reads the session, for as long as the last read proves anything; a last time for no longer
    /// than a lookup may take. `None` if that was not enough.
    async fn read(&self, last_try: bool) -> Option<Found> {
        let mut read = self.sessions.cache.read_within(&self.id, self.young());
        let mut limit = if last_try {
            Delay::new(self.sessions.cache.timeout())
        } else {
            milliseconds(self.proof.left())
        };
        poll_fn(|cx| {
            if let Poll::Ready(found) = read.poll_unpin(cx) {
                return Poll::Ready(Some(found));
            }
            if !last_try && self.proof.left() == 0 {
                return Poll::Ready(None);
            }
            limit.poll_unpin(cx).map(|()| None)
        })
        .await
    }

    /// What is older is read again: in time for a few failures, and no more often than makes sense.
    fn young(&self) -> u64 {
        self.sessions.node.ttl().ttl * 3 / 5
    }

    fn until_next_read(&self) -> u64 {
        let age = self.sessions.node.now().since(self.proof.read_at());
        self.young().saturating_sub(age).max(PAUSE)
    }

    fn judge(&mut self, read: &Found) -> Judged {
        let session = match &read.session {
            Ok(Some(session)) => session,
            Ok(None) => return Judged::Lost(LossReason::Over),
            Err(_) => return Judged::Nothing,
        };
        if session.is_over(read.age) {
            return Judged::Lost(LossReason::Over);
        }
        if !self.sessions.node.is_me(session.serving_owner()) || session.epoch() != self.epoch {
            return Judged::Lost(LossReason::Moved);
        }
        match self.sessions.lease(read, session) {
            Lease::Valid { .. } => {
                self.tried = false;
                self.proof
                    .read_at
                    .fetch_max(read.asked_at.0, Ordering::Relaxed);
                Judged::Ours
            }
            Lease::Pending { .. } | Lease::Released => Judged::Nothing,
            Lease::Expired => Judged::TooLate,
        }
    }
}

enum Judged {
    Lost(LossReason),
    Ours,
    /// The answer was not looked at for so long that it tells nothing.
    TooLate,
    /// It cannot be told; the last good read counts for as long as it may.
    Nothing,
}

fn milliseconds(wait: u64) -> Delay {
    Delay::new(Duration::from_millis(wait))
}
