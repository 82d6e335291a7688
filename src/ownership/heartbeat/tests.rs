//! A drain, in a directory that is written by hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{MachineId, Registration, SessionId, clock::Clock};

/// A directory in which the machine owns sessions that it cannot release.
#[derive(Clone, Default)]
struct Unreleasable {
    /// Whether a lock is said to be why.
    locked: bool,
    rounds: Arc<AtomicUsize>,
}

impl Membership for Unreleasable {
    fn lost_after(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn agree_ttl(&self, ours: Duration) -> Result<Duration, LookupError> {
        Ok(ours)
    }

    async fn register(&self, _: &Process, _: &MachineInfo) -> Result<Registration, LookupError> {
        Ok(Registration::First)
    }

    async fn beat(&self, _: &Process, _: &MachineInfo, _: Duration) -> Result<Beat, LookupError> {
        Ok(Beat::Alive { rival: None })
    }

    async fn set_draining(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> Result<Beat, LookupError> {
        self.beat(me, info, within).await
    }

    async fn leave(&self, _: &Process, _: bool, _: Duration) -> Result<(), LookupError> {
        Ok(())
    }

    async fn release(
        &self,
        _: &Node,
        _: &SessionId,
        _: u64,
    ) -> Result<Option<Released>, LookupError> {
        Ok(None)
    }

    async fn release_all(
        &self,
        _: &Node,
        _: Duration,
        _: &mut Vec<Released>,
    ) -> Result<bool, LookupError> {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        Ok(self.locked)
    }

    async fn held(&self, _: &MachineId, _: Duration) -> Result<Vec<(SessionId, u64)>, LookupError> {
        Ok(Vec::new())
    }

    async fn end_held(
        &self,
        _: &Process,
        _: &[(SessionId, u64)],
        _: Duration,
        _: &mut Vec<(SessionId, u64)>,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        Ok(Vec::new())
    }

    async fn owned(&self, _: &MachineId, _: Duration) -> Result<usize, LookupError> {
        Ok(1)
    }
}

async fn drain(directory: &Unreleasable) -> (Drained, Duration) {
    let node = Node::new(MachineId::parse("me").unwrap(), 10, Clock::by_hand().0);
    let heartbeat = HeartbeatBuilder::new(directory.clone());
    let heartbeat = heartbeat.start(&node).await.unwrap();
    let began = Instant::now();
    let drained = heartbeat.drain(Duration::from_secs(20)).await.unwrap();
    (drained, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_what_cannot_be_released() {
    let directory = Unreleasable::default();
    let (drained, took) = drain(&directory).await;
    assert!(!drained.is_empty);
    assert_eq!(directory.rounds.load(Ordering::Relaxed), 2);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_locked_sessions() {
    let locked = Unreleasable {
        locked: true,
        ..Unreleasable::default()
    };
    let (drained, took) = drain(&locked).await;
    assert!(!drained.is_empty);
    assert!(took > Duration::from_secs(19), "{took:?}");
}
