//! The body of a request that the layer answers itself, read to its end before the answer leaves.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Buf as _;
use futures_timer::Delay;
use http::{Method, Version, header};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::Head;

/// How many bodies are read at once in this process. Requests beyond it are answered without.
const MAX_AT_ONCE: usize = 256;

/// A client that sends nothing for so long waits for the answer, or is gone.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A body that always has a frame ready lets the task's other work run after so many.
const FRAMES_PER_POLL: usize = 64;

static AT_ONCE: AtomicUsize = AtomicUsize::new(0);

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiscardLimits {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

pin_project! {
    /// Reads a body and keeps nothing of it. Ready at the body's end, or at a limit.
    ///
    /// A server that answers HTTP/1 before it has read the body closes the connection then, and a client
    /// or proxy that is still writing gets an error and drops the answer. It reads here and not after
    /// the answer, for nginx stops sending a body when it has the answer's head.
    pub(crate) struct Discard<B> {
        #[pin]
        body: B,
        bytes_left: u64,
        ends_at: Instant,
        last_frame_at: Instant,
        timer: Delay,
        _slot: Slot,
    }
}

impl<B: Body> Discard<B> {
    /// `None` where nothing has to be read, or more than the limits allow.
    pub(crate) fn begin(head: &Head<'_>, body: B, limits: DiscardLimits) -> Option<Pin<Box<Self>>> {
        // Most requests have no body, which is quicker to tell than what their fields say of it.
        if body.is_end_stream() || !has_to_be_read(head) {
            return None;
        }
        Self::of(body, limits)
    }

    /// The same for a body that has to be read, or for what is left of it.
    pub(crate) fn of(body: B, limits: DiscardLimits) -> Option<Pin<Box<Self>>> {
        if body.is_end_stream() || body.size_hint().lower() > limits.bytes || limits.time.is_zero()
        {
            return None;
        }
        let slot = Slot::take()?;
        let now = Instant::now();
        Some(Box::pin(Self {
            body,
            bytes_left: limits.bytes,
            ends_at: now + limits.time,
            last_frame_at: now,
            timer: Delay::new(limits.time.min(MAX_PAUSE)),
            _slot: slot,
        }))
    }
}

/// In HTTP/2 a stream ends without its connection, and the answer is read all the same (RFC 9113, 8.1).
/// A client that sent `Expect: 100-continue` sends no body before it has the answer (RFC 9110, 10.1.1);
/// what follows an upgrade is none.
pub(crate) fn has_to_be_read(head: &Head<'_>) -> bool {
    head.version <= Version::HTTP_11
        && *head.method != Method::CONNECT
        && !head.headers.contains_key(header::EXPECT)
        && !head.headers.contains_key(header::UPGRADE)
}

impl<B: Body> Future for Discard<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut frames = 0;
        loop {
            match this.body.as_mut().poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(()),
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    let Some(left) = this.bytes_left.checked_sub(length) else {
                        return Poll::Ready(());
                    };
                    *this.bytes_left = left;
                }
            }
            frames += 1;
            if frames == FRAMES_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if frames > 0 {
            *this.last_frame_at = Instant::now();
        }
        while Pin::new(&mut *this.timer).poll(cx).is_ready() {
            let ends_at = (*this.last_frame_at + MAX_PAUSE).min(*this.ends_at);
            let left = ends_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            this.timer.reset(left);
        }
        Poll::Pending
    }
}

/// One of [`MAX_AT_ONCE`].
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        // Dropping it gives back what was one too many.
        let slot = Self;
        (AT_ONCE.fetch_add(1, Ordering::Relaxed) < MAX_AT_ONCE).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        AT_ONCE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use bytes::Bytes;
    use http::Request;
    use http_body::Frame;

    use super::*;

    /// A body whose every frame is ready.
    struct Ready;

    impl Body for Ready {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    fn begin() -> Option<Pin<Box<Discard<Ready>>>> {
        let request = Request::new(());
        let limits = DiscardLimits {
            bytes: 1_000,
            time: Duration::from_secs(10),
        };
        Discard::begin(&Head::from(&request), Ready, limits)
    }

    // One test, for the number of bodies is the process's.
    #[test]
    fn no_more_bodies_are_read_than_the_process_may_and_none_holds_its_task() {
        let mut bodies: Vec<_> = (0..MAX_AT_ONCE).map(|_| begin().unwrap()).collect();
        assert!(begin().is_none());
        let mut last = bodies.pop().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 0;
        while last.as_mut().poll(&mut context).is_pending() {
            polls += 1;
        }
        assert_eq!(polls, 1_000 / FRAMES_PER_POLL);
        drop(last);
        assert!(begin().is_some());
    }
}
