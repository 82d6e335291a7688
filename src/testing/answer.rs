//! The answer on its way to the client, and what has to happen when it is over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::tape::Tape;
use super::tasks::{TaskGuard, Tasks};

/// A response body, passed on frame by frame: nothing is collected.
#[derive(Debug)]
pub(super) struct EdgeBody {
    incoming: Option<Incoming>,
    /// Dropped with the body, so after the client has the answer or has gone.
    _until_sent: Option<(TaskGuard, Upload)>,
}

impl EdgeBody {
    pub(super) fn empty() -> Self {
        Self {
            incoming: None,
            _until_sent: None,
        }
    }

    /// Keeps the machine's connection and the client's upload until the answer is sent.
    pub(super) fn new(incoming: Incoming, connection: TaskGuard, upload: Upload) -> Self {
        Self {
            incoming: Some(incoming),
            _until_sent: Some((connection, upload)),
        }
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        Poll::Ready(ready!(Pin::new(incoming).poll_frame(cx)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// The client's request body for as long as the request is being served.
///
/// When that is over and the client is still sending, the rest is read and forgotten for a while:
/// a connection that is closed with unread bytes is reset, and the reset may overtake the answer.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) tape: Tape,
    tasks: Tasks,
    /// `None` over HTTP/2, which ends one stream without the others.
    linger: Option<Duration>,
}

impl Upload {
    pub(super) fn new(tape: Tape, tasks: Tasks, linger: Option<Duration>) -> Self {
        Self {
            tape,
            tasks,
            linger,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(linger) = self.linger.filter(|_| !self.tape.is_read()) else {
            return;
        };
        let tape = self.tape.clone();
        self.tasks
            .spawn(async move {
                let _ = tokio::time::timeout(linger, tape.drain()).await;
            })
            .detach();
    }
}
