//! Who wants to be told that something changed about a session.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::SessionId;

/// All listeners, by session: one entry for each open stream, and none without.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    waiting: Mutex<HashMap<SessionId, Vec<Arc<Ear>>>>,
    /// How many there are; most machines have none, and should not take the lock for that.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ear(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    heard: bool,
    waker: Option<Waker>,
}

impl Listeners {
    pub(super) fn listen(self: &Arc<Self>, id: SessionId) -> Listening {
        let ear = Arc::new(Ear::default());
        let mut waiting = self.lock();
        waiting
            .entry(id.clone())
            .or_default()
            .push(Arc::clone(&ear));
        self.count.fetch_add(1, Ordering::AcqRel);
        drop(waiting);
        Listening {
            listeners: Arc::clone(self),
            id,
            ear,
        }
    }

    pub(super) fn are_there(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    pub(super) fn tell(&self, id: &SessionId) {
        if !self.are_there() {
            return;
        }
        let ears = self.lock().get(id).cloned();
        for ear in ears.into_iter().flatten() {
            ear.tell();
        }
    }

    pub(super) fn tell_all(&self) {
        if !self.are_there() {
            return;
        }
        let ears: Vec<_> = self.lock().values().flatten().cloned().collect();
        for ear in ears {
            ear.tell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Vec<Arc<Ear>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    fn tell(&self) {
        let mut state = self.lock();
        state.heard = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when something has changed since it was made.
#[derive(Debug)]
pub(crate) struct Listening {
    listeners: Arc<Listeners>,
    id: SessionId,
    ear: Arc<Ear>,
}

impl Future for Listening {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.ear.lock();
        if state.heard {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut waiting = self.listeners.lock();
        if let Some(ears) = waiting.get_mut(&self.id) {
            ears.retain(|ear| !Arc::ptr_eq(ear, &self.ear));
            if ears.is_empty() {
                waiting.remove(&self.id);
            }
        }
        self.listeners.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn id(number: u128) -> SessionId {
        SessionId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn only_those_who_listen_to_the_session_are_told_and_only_of_what_comes_later() {
        let listeners = Arc::new(Listeners::default());
        listeners.tell(&id(1));
        let mut one = listeners.listen(id(1));
        let mut other = listeners.listen(id(2));
        assert!((&mut one).now_or_never().is_none());
        listeners.tell(&id(1));
        assert!((&mut one).now_or_never().is_some());
        assert!((&mut other).now_or_never().is_none());
        listeners.tell_all();
        assert!((&mut other).now_or_never().is_some());
    }

    #[test]
    fn a_dropped_listener_leaves_nothing_behind() {
        let listeners = Arc::new(Listeners::default());
        let kept = listeners.listen(id(1));
        drop(listeners.listen(id(1)));
        drop(listeners.listen(id(2)));
        assert_eq!(listeners.lock().len(), 1);
        drop(kept);
        assert!(listeners.lock().is_empty());
        assert_eq!(listeners.count.load(Ordering::Acquire), 0);
    }
}
