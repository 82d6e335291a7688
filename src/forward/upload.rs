//! A request's body on its way to the owner.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio::{runtime::Handle, sync::Notify};

use super::expectation::Asked;
use crate::future::{Discard, DiscardLimits};

type BoxError = Box<dyn Error + Send + Sync>;
type Boxed = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a request, of one type for all services, so that they share connections. `None`: it is empty.
///
/// Boxed, since most requests have none, and are moved a dozen times until they are sent.
pub(super) struct Upload(Option<Box<Stream>>);

struct Stream {
    /// Until its end.
    body: Option<Boxed>,
    /// How many bytes are still to come, where that is known.
    left: Option<u64>,
    progress: Arc<Progress>,
    /// How much of it is read that the owner does not take.
    rest: Option<DiscardLimits>,
    /// Until the owner asks for it, if it has to.
    asked: Option<Asked>,
}

impl Upload {
    /// `rest`: how much is read of what the owner does not take, if anything.
    pub(super) fn new<B>(body: B, rest: impl FnOnce() -> Option<DiscardLimits>) -> Self
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self(None);
        }
        let left = body.size_hint().exact();
        let body = body.map_frame(|frame| {
            // Bytes are handed on as they are, and others copied.
            frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
        });
        Self(Some(Box::new(Stream {
            body: Some(body.map_err(Into::into).boxed_unsync()),
            left,
            progress: Arc::default(),
            rest: rest(),
            asked: None,
        })))
    }

    /// Keeps the body until then; `false` if there is none.
    pub(super) fn hold(&mut self, until: Asked) -> bool {
        let Some(stream) = &mut self.0 else {
            return false;
        };
        stream.progress.is_held.store(true, Ordering::Relaxed);
        stream.asked = Some(until);
        true
    }

    /// Reads what no owner takes, before the answer, for which a client or proxy would not go on
    /// sending.
    pub(super) async fn discard(mut self) {
        if let Some(rest) = self.rest() {
            rest.await;
        }
    }

    fn rest(&mut self) -> Option<Pin<Box<Discard<Boxed>>>> {
        let stream = self.0.as_mut()?;
        Discard::of(stream.body.take()?, stream.rest?)
    }

    /// What tells whether the client or the owner is waited for.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        let stream = self.0.as_ref()?;
        Some(Arc::clone(&stream.progress))
    }
}

/// Whether the owner or the client can be blamed for the time that passes, or for a failure.
#[derive(Debug, Default)]
pub(super) struct Progress {
    waits_for_client: AtomicBool,
    has_moved: AtomicBool,
    is_broken: AtomicBool,
    is_held: AtomicBool,
    has_ended: AtomicBool,
    end: Notify,
}

impl Progress {
    pub(super) fn waits(&self, for_client: bool) {
        self.waits_for_client.store(for_client, Ordering::Relaxed);
    }

    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client.load(Ordering::Relaxed)
    }

    pub(super) fn moves(&self) {
        self.has_moved.store(true, Ordering::Relaxed);
    }

    /// Whether the body has moved since this was asked last.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::Relaxed)
    }

    /// Whether the client's body ended with an error.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Whether the owner has not asked for the body, and has to.
    pub(super) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Whether the connection is done with the body.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Waits for that; one task at a time.
    pub(super) async fn ended(&self) {
        if !self.has_ended() {
            self.end.notified().await;
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(stream) = &mut self.get_mut().0 else {
            return Poll::Ready(None);
        };
        let Stream {
            body,
            left,
            progress,
            asked,
            ..
        } = &mut **stream;
        if let Some(until) = asked {
            ready!(until.as_mut().poll(cx));
            progress.is_held.store(false, Ordering::Relaxed);
            *asked = None;
        }
        let Some(stream) = body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(stream).poll_frame(cx);
        let waits = polled.is_pending();
        progress.waits(waits);
        let frame = ready!(polled);
        progress.moves();
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                *left = left.map(|left| left.saturating_sub(length));
            }
            Some(Err(_)) => {
                progress.is_broken.store(true, Ordering::Relaxed);
                *body = None;
            }
            None => *body = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.as_ref().and_then(|stream| stream.body.as_ref());
        body.is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(stream) if stream.body.is_some() => {
                let left = stream.left;
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            _ => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Upload {
    /// An owner that answers early and closes its connection leaves a client that is still sending, which
    /// drops the answer if its connection breaks.
    fn drop(&mut self) {
        if let Some(rest) = self.rest()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rest);
        }
        if let Some(Stream { progress, .. }) = self.0.as_deref() {
            progress.has_ended.store(true, Ordering::Release);
            progress.end.notify_one();
        }
    }
}
