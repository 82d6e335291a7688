//! Streams that are not polled for a while. Time is driven by hand, but for one test.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame};
use tokio::sync::oneshot;

use super::*;
use crate::{
    CachePolicy, LookupError, LossReason, SessionId, SessionLookup, clock::Clock,
    directory::lookup::DynLookup,
};

const F: u64 = 1_000;

/// A directory that answers at once, or when it is let through.
#[derive(Clone)]
struct Directory(Arc<State>);

struct State {
    answer: Mutex<Result<Session, LookupError>>,
    gates: Mutex<Vec<oneshot::Receiver<()>>>,
    asked: AtomicU64,
}

impl SessionLookup for Directory {
    async fn session(&self, _: SessionId) -> Result<Option<Session>, LookupError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.answer.lock().unwrap().clone();
        let gate = self.0.gates.lock().unwrap().pop();
        if let Some(gate) = gate {
            gate.await.unwrap();
        }
        answer.map(Some)
    }
}

struct Rig {
    layer: Arc<Sessions>,
    directory: Directory,
    time: Arc<AtomicU64>,
}

fn session(owner: &str, epoch: u64) -> Session {
    let id = SessionId::new(uuid::Uuid::from_u128(7));
    Session::owned_by(id, owner.parse().unwrap()).with_epoch(epoch)
}

impl Rig {
    fn new() -> Self {
        let (clock, time) = Clock::by_hand();
        time.store(100_000, Ordering::SeqCst);
        Self::with(clock, time)
    }

    fn with(clock: Clock, time: Arc<AtomicU64>) -> Self {
        let directory = Directory(Arc::new(State {
            answer: Mutex::new(Ok(session("me", 1))),
            gates: Mutex::default(),
            asked: AtomicU64::new(0),
        }));
        let layer = Sessions::for_test(
            DynLookup::new(directory.clone()),
            None,
            Duration::from_secs(2),
            CachePolicy::new().owned(Duration::from_millis(F)),
            1_000,
            clock,
        );
        Self {
            layer,
            directory,
            time,
        }
    }

    fn owned(&self) -> Owned {
        let id = &session("me", 1).id().clone();
        let found = self.layer.cache.load(id, false).now_or_never().unwrap();
        Grant {
            session: found.session.unwrap().unwrap(),
            read_at: found.asked_at,
            cache_status: found.cache_status,
        }
        .owned(&self.layer)
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn answer(&self, answer: Result<Session, LookupError>) {
        *self.directory.0.answer.lock().unwrap() = answer;
    }

    /// The next lookup waits until the sender is used.
    fn gate(&self) -> oneshot::Sender<()> {
        let (open, gate) = oneshot::channel();
        self.directory.0.gates.lock().unwrap().push(gate);
        open
    }
}

/// A body that always has another frame.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }
}

/// Whether a frame came; `None` if the body has ended.
fn frame(body: &mut UntilLost<Endless>) -> Poll<Option<()>> {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = Pin::new(body).poll_frame(&mut cx);
    polled.map(|frame| frame.map(|_| ()))
}

#[test]
fn a_stream_that_was_not_read_for_long_goes_on_if_it_is_ours() {
    for away in [F, F + 500, 60 * F] {
        let rig = Rig::new();
        let mut lost = rig.owned().lost();
        assert!((&mut lost).now_or_never().is_none());
        rig.pass(away);
        assert!(lost.proved_for().is_zero());
        assert_eq!((&mut lost).now_or_never(), None, "away for {away} ms");
        assert_eq!(lost.proved_for(), Duration::from_millis(F));
    }
}

#[test]
fn a_read_under_way_when_a_stream_was_last_read_does_not_end_it() {
    let rig = Rig::new();
    let mut lost = rig.owned().lost();
    rig.pass(F - 1);
    let open = rig.gate();
    assert!((&mut lost).now_or_never().is_none(), "it is read again");
    rig.pass(3 * F);
    open.send(()).unwrap();
    assert_eq!((&mut lost).now_or_never(), None);
    assert_eq!(lost.proved_for(), Duration::from_millis(F));
}

#[test]
fn a_stream_that_was_not_read_for_long_ends_if_it_is_not_ours() {
    for (answer, loss) in [
        (Ok(session("other", 2)), LossReason::Moved),
        (Ok(session("me", 3)), LossReason::Moved),
        (Err(LookupError::unavailable("down")), LossReason::Unproved),
    ] {
        let rig = Rig::new();
        let mut lost = rig.owned().lost();
        assert!((&mut lost).now_or_never().is_none());
        rig.answer(answer);
        rig.pass(2 * F);
        assert_eq!((&mut lost).now_or_never(), Some(loss));
    }
}

#[test]
fn a_stream_that_is_read_ends_when_its_proof_does() {
    let rig = Rig::new();
    let mut lost = rig.owned().lost();
    rig.answer(Err(LookupError::unavailable("down")));
    rig.layer.forget(session("me", 1).id());
    assert!((&mut lost).now_or_never().is_none());
    rig.pass(F);
    let asked = rig.directory.0.asked.load(Ordering::SeqCst);
    assert_eq!((&mut lost).now_or_never(), Some(LossReason::Unproved));
    assert_eq!(rig.directory.0.asked.load(Ordering::SeqCst), asked);
}

#[test]
fn no_frame_passes_after_a_pause_before_the_session_is_read() {
    let rig = Rig::new();
    let mut body = rig.owned().until_lost(Endless);
    assert_eq!(frame(&mut body), Poll::Ready(Some(())));
    rig.pass(3 * F);
    let open = rig.gate();
    assert_eq!(frame(&mut body), Poll::Pending);
    assert_eq!(frame(&mut body), Poll::Pending);
    open.send(()).unwrap();
    assert_eq!(frame(&mut body), Poll::Ready(Some(())));

    rig.answer(Ok(session("other", 2)));
    rig.pass(3 * F);
    assert_eq!(frame(&mut body), Poll::Ready(None));
}

#[test]
fn a_resumed_machine_reads_before_it_goes_on() {
    let rig = Rig::new();
    let owned = rig.owned();
    let mut body = owned.until_lost(Endless);
    assert_eq!(frame(&mut body), Poll::Ready(Some(())));
    let open = rig.gate();
    rig.layer.node.resumed();
    assert!(owned.proved_for().is_zero());
    assert!(!owned.lease().is_valid());
    assert_eq!(frame(&mut body), Poll::Pending);
    open.send(()).unwrap();
    assert_eq!(frame(&mut body), Poll::Ready(Some(())));
}

#[test]
fn a_read_under_way_when_a_machine_is_resumed_proves_nothing() {
    let rig = Rig::new();
    let open = rig.gate();
    let id = &session("me", 1).id().clone();
    let mut waits = rig.layer.cache.load(id, false);
    assert!((&mut waits).now_or_never().is_none());
    rig.layer.node.resumed();
    open.send(()).unwrap();
    let found = waits.now_or_never().unwrap();
    let read = found.session.clone().unwrap().unwrap();
    assert!(!rig.layer.lease(&found, &read).is_valid());
    let owned = rig.owned();
    assert!(owned.lease().is_valid(), "what is read after counts");
}

#[tokio::test]
async fn a_stream_over_real_time_outlives_a_reader_that_pauses() {
    let rig = Rig::with(Clock::start(), Arc::default());
    let mut body = rig.owned().until_lost(Endless);
    assert_eq!(frame(&mut body), Poll::Ready(Some(())));
    tokio::time::sleep(Duration::from_millis(F + 500)).await;
    let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    assert!(next.is_some_and(|frame| frame.is_ok()));
    assert!(body_is_streaming(&body));
}

fn body_is_streaming(body: &UntilLost<Endless>) -> bool {
    format!("{body:?}") == "UntilLost::Streaming"
}
