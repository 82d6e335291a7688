//! A body that ends with the ownership.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{LossReason, Lost};

pin_project! {
    /// A response body that ends when its session is lost; see
    /// [`Owned::until_lost`](crate::Owned::until_lost).
    ///
    /// For what streams for as long as a client listens: server-sent events, gRPC streams. The
    /// client notices the end and connects again, and the new request finds the new owner. It ends
    /// between two frames, never inside of one. If it was not polled for so long that the last read
    /// proves nothing any more, it lets no frame pass before the session was read again.
    pub struct UntilLost<B> {
        #[pin]
        body: B,
        state: State,
        farewell: Farewell,
    }
}

enum State {
    Streaming(Lost),
    /// The session is lost, and the farewell was not sent yet.
    Parting(LossReason),
    /// The body ended by itself, or after the farewell.
    Over,
}

#[derive(Clone, Copy)]
enum Farewell {
    None,
    Event,
    Grpc,
}

impl<B> UntilLost<B> {
    pub(super) fn new(body: B, lost: Lost) -> Self {
        Self {
            body,
            state: State::Streaming(lost),
            farewell: Farewell::None,
        }
    }

    /// Says goodbye as a stream of server-sent events does: by an event `ownership-lost` whose data
    /// is [why](LossReason::as_str), and which has `EventSource` connect again after a second: by then, the
    /// next owner of a session that was given up is ready.
    #[must_use]
    pub fn event_stream(self) -> Self {
        Self {
            farewell: Farewell::Event,
            ..self
        }
    }

    /// Says goodbye as gRPC does: by trailers with status 14 `UNAVAILABLE`, which clients retry.
    #[must_use]
    pub fn grpc(self) -> Self {
        Self {
            farewell: Farewell::Grpc,
            ..self
        }
    }
}

impl Farewell {
    fn frame<D: From<Bytes>>(self, loss: LossReason) -> Option<Frame<D>> {
        match self {
            Self::None => None,
            Self::Event => {
                let event = format!(
                    "retry: 1000\nevent: ownership-lost\ndata: {}\n\n",
                    loss.as_str()
                );
                Some(Frame::data(Bytes::from(event).into()))
            }
            Self::Grpc => {
                let mut trailers = HeaderMap::with_capacity(2);
                trailers.insert("grpc-status", HeaderValue::from_static("14"));
                if let Ok(message) = HeaderValue::try_from(format!("ownership lost: {loss}")) {
                    trailers.insert("grpc-message", message);
                }
                Some(Frame::trailers(trailers))
            }
        }
    }
}

impl<B> Body for UntilLost<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        // First, because a body that always has more would never let it be asked.
        if let State::Streaming(lost) = this.state {
            match Pin::new(&mut *lost).poll(cx) {
                Poll::Ready(loss) => *this.state = State::Parting(loss),
                // After a pause it reads the session again, and wakes this task when it has.
                Poll::Pending if lost.proved_for().is_zero() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        match this.state {
            State::Streaming(_) => {
                let frame = this.body.poll_frame(cx);
                if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
                    *this.state = State::Over;
                }
                frame
            }
            State::Parting(loss) => {
                let farewell = this.farewell.frame(*loss);
                *this.state = State::Over;
                Poll::Ready(farewell.map(Ok))
            }
            State::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Streaming(_) => self.body.is_end_stream(),
            State::Parting(_) => false,
            State::Over => true,
        }
    }

    /// Nothing is promised: how much more comes is not for the body alone to say.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl<B> fmt::Debug for UntilLost<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Streaming(_) => "UntilLost::Streaming",
            State::Parting(_) => "UntilLost::Parting",
            State::Over => "UntilLost::Over",
        })
    }
}
