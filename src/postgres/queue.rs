//! Who asks the database now, and who waits for those that do.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{LookupError, Session, SessionId};

use super::{Inner, connections::Connections, detached::runtime_has_ended};

/// Lookups that may wait at once: bounded memory, about 2 MB. The server answers so many in a
/// fraction of the time that a lookup may take, so more than this would mostly time out.
const MOST_WAITING: usize = 20_000;

pub(super) type Answer = Result<Option<Session>, LookupError>;

/// A few slots, each of which has at most one query in flight, and a queue before them.
///
/// No lookup waits for others to join it. A lookup that finds a free slot is sent at once and alone;
/// one that finds none queues, and all that queued are sent together when a slot becomes free, or one
/// by one where the query has no form for many.
///
/// The alternative is to send each lookup at once, over a few connections that the driver pipelines.
/// That needs neither this queue nor a second query, and is slower: `benches/lookup` measured 0.49 of
/// the throughput with 64 different sessions waiting and 0.57 with 512, on four connections and two
/// threads, since each lookup is a message and a plan's execution of its own (one thread: 0.69, 1.0).
pub(super) struct Queue {
    state: Mutex<State>,
    slots: usize,
    /// How many lookups go out in one query.
    together: usize,
    most_waiting: usize,
}

struct State {
    free: usize,
    /// By number, which is the order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
}

/// A lookup that waits for an answer.
pub(super) struct Waiting {
    pub(super) id: SessionId,
    pub(super) answer: oneshot::Sender<Answer>,
    runtime: Handle,
}

impl Waiting {
    fn new(id: SessionId) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let runtime = Handle::current();
        let waiting = Self {
            id,
            answer,
            runtime,
        };
        (waiting, receiver)
    }
}

/// What a lookup may do.
enum Turn {
    /// Ask, at once.
    Now(Slot),
    /// Wait for a slot.
    Later(Ticket),
    /// Nothing: too many wait already.
    Never,
}

impl Queue {
    /// Beyond [`MOST`](Slot::MOST), what goes out `together` is no quicker.
    pub(super) fn new(slots: usize, together: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: slots,
                waiting: BTreeMap::new(),
                last: 0,
            }),
            slots,
            together: together.min(Slot::MOST),
            most_waiting: MOST_WAITING,
        }
    }

    /// Takes a slot or, if there is none, a place in the queue.
    fn enter(lookup: &Arc<Inner>, id: &SessionId) -> Turn {
        let queue = &lookup.queue;
        let mut state = queue.lock();
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            return Turn::Now(Slot {
                lookup: Arc::clone(lookup),
            });
        }
        if state.waiting.len() >= queue.most_waiting {
            return Turn::Never;
        }
        let (waiting, receiver) = Waiting::new(id.clone());
        state.last += 1;
        let number = state.last;
        state.waiting.insert(number, waiting);
        drop(state);
        Turn::Later(Ticket {
            lookup: Arc::clone(lookup),
            number,
            answer: receiver,
        })
    }

    /// Answers one lookup, in its turn and by `deadline`.
    ///
    /// Its query is in a task in any case, and only the answer is waited for here: this future may
    /// not be polled for as long as a client reads slowly, and must not hold a slot meanwhile.
    pub(super) async fn answer(lookup: &Arc<Inner>, id: &SessionId, deadline: Instant) -> Answer {
        loop {
            match Self::enter(lookup, id) {
                Turn::Now(slot) => {
                    let (alone, answer) = Waiting::new(id.clone());
                    // The task answers by the deadline.
                    drop(tokio::spawn(slot.serve(vec![alone])));
                    return answer.await.unwrap_or_else(|_| Err(runtime_has_ended()));
                }
                Turn::Later(mut ticket) => {
                    let patience = deadline.min(Instant::now() + lookup.queue.patience(lookup));
                    let answer = match timeout_at(patience, &mut ticket.answer).await {
                        Err(_) if patience < deadline && ticket.waits() => {
                            return Err(Connections::none_became_free());
                        }
                        Err(_) => timeout_at(deadline, &mut ticket.answer).await,
                        answered => answered,
                    };
                    match answer {
                        Ok(Ok(answer)) => return answer,
                        // The task with the slot ended with its runtime. So the slot is free, or
                        // will be, and this lookup takes its turn again.
                        Ok(Err(_)) => {}
                        Err(_) => return Err(Connections::too_late()),
                    }
                }
                Turn::Never => {
                    let full = "too many lookups wait for PostgreSQL";
                    return Err(LookupError::unavailable(full));
                }
            }
        }
    }

    /// How long a lookup waits for its query to go out: where each needs a connection of its own, as
    /// long as for one.
    fn patience(&self, lookup: &Inner) -> Duration {
        if self.together == 1 {
            lookup.connections.bounds.pool
        } else {
            lookup.connections.bounds.overall
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Those who came first, up to `most`.
    fn take(&mut self, most: usize) -> Vec<Waiting> {
        if self.waiting.len() <= most {
            return std::mem::take(&mut self.waiting).into_values().collect();
        }
        let first_left = self.waiting.keys().nth(most).copied().unwrap_or(u64::MAX);
        let left = self.waiting.split_off(&first_left);
        std::mem::replace(&mut self.waiting, left)
            .into_values()
            .collect()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("in_flight", &(self.slots - state.free))
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

/// The right to have one query in flight. Dropped, whether after an answer or because no
/// lookup waits for it any more, it goes to those that queue.
pub(super) struct Slot {
    lookup: Arc<Inner>,
}

impl Slot {
    /// How many lookups go out in one query. Beyond it a larger query saves nothing, and the
    /// first of its answers is as late as the last.
    pub(super) const MOST: usize = 1_000;

    /// All who queued by now, up to [`MOST`](Self::MOST).
    pub(super) fn take(&self) -> Vec<Waiting> {
        let queue = &self.lookup.queue;
        queue.lock().take(queue.together)
    }

    pub(super) fn lookup(&self) -> &Inner {
        &self.lookup
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.lookup.queue.lock();
        let batch = state.take(self.lookup.queue.together);
        let Some(first) = batch.first() else {
            // Under the same lock, so that no lookup can queue for a slot that is free.
            state.free += 1;
            return;
        };
        drop(state);
        let runtime = first.runtime.clone();
        let slot = Self {
            lookup: Arc::clone(&self.lookup),
        };
        // A task, and not one of those who wait: these may be dropped at any time, and the others
        // must not notice. The batch is in it from the start. So if its runtime is gone, and the
        // task with it, each slot that is dropped here leaves fewer to be told.
        drop(runtime.spawn(slot.serve(batch)));
    }
}

/// A place in the queue, which its drop gives up.
struct Ticket {
    lookup: Arc<Inner>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Ticket {
    /// Whether its query has not gone out yet.
    fn waits(&self) -> bool {
        let state = self.lookup.queue.lock();
        state.waiting.contains_key(&self.number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let left = self.lookup.queue.lock().waiting.remove(&self.number);
        // Outside of the lock.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LookupErrorKind, PostgresLookup};

    /// A lookup that is never sent.
    fn lookup(slots: usize, most_waiting: usize) -> Arc<Inner> {
        let lookup = PostgresLookup::builder("postgres://127.0.0.1:1/nothing").build();
        let mut lookup = lookup.unwrap().inner;
        let inner = Arc::get_mut(&mut lookup).unwrap();
        inner.queue = Queue::new(slots, Slot::MOST);
        inner.queue.most_waiting = most_waiting;
        lookup
    }

    fn id(number: u128) -> SessionId {
        SessionId::new(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let lookup = lookup(1, 2);
        let slot = Queue::enter(&lookup, &id(0));
        assert!(matches!(slot, Turn::Now(_)));
        let first = Queue::enter(&lookup, &id(1));
        let second = Queue::enter(&lookup, &id(2));
        let error = Queue::answer(&lookup, &id(3), Instant::now())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), LookupErrorKind::Unavailable);
        drop(first);
        assert!(matches!(Queue::enter(&lookup, &id(4)), Turn::Later(_)));
        assert!(matches!(second, Turn::Later(_)));
    }

    #[tokio::test]
    async fn those_who_came_first_go_first() {
        let lookup = lookup(1, 10);
        let Turn::Now(slot) = Queue::enter(&lookup, &id(0)) else {
            panic!("there is a free slot");
        };
        let _tickets: Vec<Turn> = (1..=5).map(|n| Queue::enter(&lookup, &id(n))).collect();
        let ids = |batch: Vec<Waiting>| batch.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        let first = lookup.queue.lock().take(2);
        assert_eq!(ids(first), [id(1), id(2)]);
        assert_eq!(ids(slot.take()), [id(3), id(4), id(5)]);
        drop(slot);
        assert_eq!(lookup.queue.lock().free, 1);
    }

    #[test]
    fn a_runtime_that_has_ended_ends_no_slot() {
        let lookup = lookup(1, 10_000);
        let slot = Queue::enter(&lookup, &id(0));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        let tickets: Vec<Turn> = {
            let _entered = runtime.enter();
            let numbers = 1..=3 * Slot::MOST as u128;
            numbers.map(|n| Queue::enter(&lookup, &id(n))).collect()
        };
        drop(runtime);
        drop(slot);
        assert_eq!(lookup.queue.lock().free, 1);
        for ticket in tickets {
            let Turn::Later(mut ticket) = ticket else {
                panic!("there was no free slot");
            };
            ticket.answer.try_recv().unwrap_err();
        }
    }
}
