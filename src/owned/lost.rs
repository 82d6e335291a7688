//! The wait for the loss of a session.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_timer::Delay;
use futures_util::future::{Either, select};

use super::Loss;
use crate::{
    Session, SessionId,
    cache::{Cache, Found, Tick},
};

/// For how many milliseconds nobody asks again after a lookup that failed, or at all.
const PAUSE: u64 = 200;

/// Completes when a session is lost; see [`Owned::lost`](crate::Owned::lost).
///
/// Dropped, it leaves nothing behind.
#[must_use = "futures do nothing unless polled"]
pub struct Lost(Pin<Box<dyn Future<Output = Loss> + Send>>);

impl Lost {
    pub(super) fn new(cache: &Arc<Cache>, session: &Session, read_at: Tick) -> Self {
        let watch = Watch {
            cache: Arc::clone(cache),
            id: session.id(),
            epoch: session.epoch(),
            read_at,
        };
        Self(Box::pin(watch.run()))
    }
}

impl Future for Lost {
    type Output = Loss;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Loss> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lost")
    }
}

struct Watch {
    cache: Arc<Cache>,
    id: SessionId,
    epoch: Option<u64>,
    /// When the last read that proves the ownership was sent.
    read_at: Tick,
}

impl Watch {
    async fn run(mut self) -> Loss {
        let loss = self.until_lost().await;
        self.cache.meter.lost(loss);
        loss
    }

    async fn until_lost(&mut self) -> Loss {
        loop {
            // Before anything is looked at, so that no change falls in between.
            let mut changed = self.cache.listen(self.id);
            if let Some(loss) = Loss::of(self.cache.standing()) {
                return loss;
            }
            let left = self.proved_for();
            if left == 0 {
                return Loss::Unproved;
            }
            let read = self.cache.read_within(self.id, self.young());
            // A change while it is under way may be older or younger than its answer. So the next
            // turn looks again, which costs nothing if the answer was kept.
            let read = match select(read, milliseconds(left)).await {
                Either::Left((found, _)) => found,
                Either::Right(_) => continue,
            };
            let wait = match self.judge(&read) {
                Judged::Lost(loss) => return loss,
                Judged::Ours => self.until_next_read(),
                Judged::Nothing => PAUSE.min(self.proved_for()),
            };
            select(&mut changed, milliseconds(wait)).await;
        }
    }

    /// For how many milliseconds the last read still proves the ownership.
    fn proved_for(&self) -> u64 {
        let age = self.cache.now().since(self.read_at);
        self.cache.bound().freshness.saturating_sub(age)
    }

    /// What is older is read again: in time for a few failures, and no more often than makes sense.
    fn young(&self) -> u64 {
        self.cache.bound().freshness * 3 / 5
    }

    fn until_next_read(&self) -> u64 {
        let age = self.cache.now().since(self.read_at);
        self.young().saturating_sub(age).max(PAUSE)
    }

    fn judge(&mut self, read: &Found) -> Judged {
        let session = match &read.session {
            Ok(Some(session)) => session,
            Ok(None) => return Judged::Lost(Loss::Over),
            Err(_) => return Judged::Nothing,
        };
        if session.is_over(read.age) {
            return Judged::Lost(Loss::Over);
        }
        if !self.cache.is_me(session.serving_owner()) || session.epoch() != self.epoch {
            return Judged::Lost(Loss::Moved);
        }
        if !self.cache.right(read, session).may_serve() {
            return Judged::Nothing;
        }
        self.read_at = self.read_at.max(read.asked_at);
        Judged::Ours
    }
}

enum Judged {
    Lost(Loss),
    Ours,
    /// It cannot be told; the last good read counts for as long as it may.
    Nothing,
}

fn milliseconds(wait: u64) -> Delay {
    Delay::new(Duration::from_millis(wait))
}
