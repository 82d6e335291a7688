//! When the host did not let this process run, so that no bound is blamed on the fleet that was
//! only missed by all alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{At, WallClock};

/// How often it is looked.
const TICK: Duration = Duration::from_millis(10);

/// Scheduling that is this much late is usual on a busy machine.
const USUAL: Duration = Duration::from_millis(40);

/// Intervals in which nothing ran here, in order.
#[derive(Clone, Debug, Default)]
pub struct Stalls(Vec<(At, At)>);

impl Stalls {
    pub fn of(mut intervals: Vec<(At, At)>) -> Self {
        intervals.sort();
        let mut apart: Vec<(At, At)> = Vec::new();
        for (from, to) in intervals {
            match apart.last_mut() {
                Some((_, end)) if *end >= from => *end = (*end).max(to),
                _ => apart.push((from, to)),
            }
        }
        Self(apart)
    }

    /// How much of the time between the two was lost.
    pub fn within(&self, from: At, to: At) -> Duration {
        let lost = |&(begin, end): &(At, At)| end.min(to).since(begin.max(from));
        self.0.iter().map(lost).sum()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn longest(&self) -> Duration {
        let lengths = self.0.iter().map(|(from, to)| to.since(*from));
        lengths.max().unwrap_or_default()
    }
}

/// Looks every few milliseconds, on a thread and on the test's runtime, which relays and clients
/// share.
pub struct Ticker {
    seen: Arc<Seen>,
}

struct Seen {
    stalls: Mutex<Vec<(At, At)>>,
    wall: Mutex<WallClock>,
    over: AtomicBool,
}

impl Ticker {
    pub fn start() -> Self {
        let seen = Arc::new(Seen {
            stalls: Mutex::default(),
            wall: Mutex::new(WallClock::read()),
            over: AtomicBool::new(false),
        });
        let (by_thread, by_task) = (Arc::clone(&seen), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut before = At::now();
            while !by_thread.over.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                before = by_thread.look(before);
                let wall = by_thread.wall.lock();
                wall.unwrap_or_else(PoisonError::into_inner).read_again();
            }
        });
        tokio::spawn(async move {
            let mut before = At::now();
            while !by_task.over.load(Ordering::Relaxed) {
                tokio::time::sleep(TICK).await;
                before = by_task.look(before);
            }
        });
        Self { seen }
    }

    pub fn stalls(&self) -> Stalls {
        let stalls = self.seen.stalls.lock();
        Stalls::of(stalls.unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub fn wall(&self) -> WallClock {
        let wall = self.seen.wall.lock();
        *wall.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn look(&self, before: At) -> At {
        let now = At::now();
        if now.since(before) > TICK + USUAL {
            let stalls = self.stalls.lock();
            let mut stalls = stalls.unwrap_or_else(PoisonError::into_inner);
            stalls.push((before, now));
        }
        now
    }
}

#[test]
fn time_that_was_lost_twice_at_once_counts_once() {
    let stalls = Stalls::of(vec![
        (At::ms(500), At::ms(700)),
        (At::ms(100), At::ms(200)),
        (At::ms(150), At::ms(250)),
    ]);
    assert_eq!(stalls.count(), 2);
    assert_eq!(stalls.longest(), Duration::from_millis(200));
    let lost = stalls.within(At::ms(240), At::ms(600));
    assert_eq!(lost, Duration::from_millis(110));
}
