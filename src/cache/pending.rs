//! A request's wait for a lookup.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_timer::Delay;

use super::{Answer, Cache, CacheStatus, Flight, Found, Join};
use crate::{LookupError, LookupErrorKind, SessionId};

/// Waits for a lookup, and for no longer than the layer's time limit.
pub(crate) struct Pending {
    cache: Arc<Cache>,
    id: SessionId,
    /// Whether what is too old may be used instead of a failure.
    rescued: bool,
    /// Exact, unlike the cache's clock: a lookup often takes less than one of its ticks.
    began: Instant,
    waited_before: Duration,
    wait: Wait,
}

enum Wait {
    For {
        flight: Flight,
        deadline: Delay,
    },
    /// For nothing: it was known, or no call may be made now.
    Over(Option<Result<Found, LookupError>>),
}

impl Pending {
    pub(crate) fn new(
        cache: Arc<Cache>,
        id: SessionId,
        rescued: bool,
        join: Join<Result<Found, LookupError>>,
    ) -> Self {
        let wait = match join {
            Join::Joined(flight) | Join::Began(flight) => Wait::For {
                flight,
                deadline: Delay::new(cache.timeout),
            },
            Join::NoNeed(known) => Wait::Over(Some(known)),
        };
        Self {
            cache,
            id,
            rescued,
            began: Instant::now(),
            waited_before: Duration::ZERO,
            wait,
        }
    }

    /// Counts the time that the request has waited already.
    pub(crate) fn after(self, waited: Option<Duration>) -> Self {
        Self {
            waited_before: waited.unwrap_or_default(),
            ..self
        }
    }

    fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Result<Found, LookupError>> {
        let (flight, deadline) = match &mut self.wait {
            Wait::For { flight, deadline } => (flight, deadline),
            Wait::Over(known) => return known.take().map_or(Poll::Pending, Poll::Ready),
        };
        // The answer first: one that arrived together with the deadline is still an answer.
        if let Poll::Ready(Answer { session, asked_at }) = Pin::new(flight).poll(cx) {
            let age = Duration::from_millis(self.cache.clock.exact().since(asked_at));
            return Poll::Ready(session.map(|session| Found {
                session: Ok(session),
                asked_at,
                age,
                cache_status: CacheStatus::Miss,
                waited: None,
            }));
        }
        ready!(Pin::new(deadline).poll(cx));
        self.cache.reached.failed(self.cache.clock.now());
        let late = "the session directory did not answer within the layer's time limit";
        Poll::Ready(Err(LookupError::timeout(late)))
    }

    /// What the request gets in the place of an answer. Not in the place of a corrupt row, which is
    /// one.
    fn without_answer(&self, error: LookupError) -> Found {
        let corrupt = error.kind() == LookupErrorKind::Corrupt;
        let rescue = if corrupt || !self.rescued {
            None
        } else {
            self.cache.rescue(&self.id)
        };
        rescue.unwrap_or(Found {
            session: Err(error),
            asked_at: self.cache.clock.now(),
            age: Duration::ZERO,
            cache_status: CacheStatus::Miss,
            waited: None,
        })
    }
}

impl Future for Pending {
    type Output = Found;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Found> {
        let found = ready!(self.poll_found(cx));
        let found = found.unwrap_or_else(|error| self.without_answer(error));
        Poll::Ready(Found {
            waited: Some(self.waited_before + self.began.elapsed()),
            ..found
        })
    }
}
