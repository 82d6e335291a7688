//! The end of the streams that a machine carries while it drains.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tokio::time::sleep;

use crate::{NodeState, SessionId, future::Stream, policy::Policy};

/// When a carried stream is ended, so that it does not keep its machine from ending: its owner goes on,
/// and the client may listen for as long as it likes.
pub(super) struct Leaving {
    when: Pin<Box<dyn Future<Output = ()> + Send>>,
    stream: Stream,
}

impl Leaving {
    /// `grace`: for how long after the drain began. A stream that begins while the machine drains has it,
    /// too: a client that was ended at once would connect again, and as long as it is sent here, in vain.
    pub(super) fn new(
        policy: Arc<Policy>,
        session: SessionId,
        stream: Stream,
        grace: Duration,
    ) -> Self {
        let when = async move {
            let (cache, node) = (&policy.sessions.cache, &policy.sessions.node);
            loop {
                // Before the state is looked at, so that no change falls in between.
                let changed = cache.listen(&session);
                if node.state() == NodeState::Draining {
                    break;
                }
                changed.await;
            }
            sleep(grace).await;
        };
        Self {
            when: Box::pin(when),
            stream,
        }
    }

    /// The last frame, or `None` in its place for an error: what has arrived may be half an event, and its
    /// end must not look like the stream's.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        self.when.as_mut().poll(cx).map(|()| {
            (self.stream == Stream::Grpc).then(|| {
                let mut trailers = HeaderMap::with_capacity(1);
                // UNAVAILABLE, which clients retry.
                trailers.insert("grpc-status", HeaderValue::from_static("14"));
                Frame::trailers(trailers)
            })
        })
    }
}
