//! The body of a response.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::UntilLost;

pin_project! {
    /// The body of a response: the inner service's, or a small one of ours.
    pub struct ResponseBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    #[project = BodyKindProj]
    enum BodyKind<B> {
        Inner { #[pin] body: B },
        // Boxed, for it is large, and few bodies are streams.
        Stream { body: Pin<Box<UntilLost<B>>> },
        Ours { bytes: Bytes },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self {
            kind: BodyKind::Inner { body },
        }
    }

    /// A stream of the inner service's, which ends when its session is lost.
    pub(crate) fn stream(body: UntilLost<B>) -> Self {
        let body = Box::pin(body);
        Self {
            kind: BodyKind::Stream { body },
        }
    }

    pub(crate) fn ours(bytes: Bytes) -> Self {
        Self {
            kind: BodyKind::Ours { bytes },
        }
    }
}

impl<B> Body for ResponseBody<B>
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
        match self.project().kind.project() {
            BodyKindProj::Inner { body } => body.poll_frame(cx),
            BodyKindProj::Stream { body } => body.as_mut().poll_frame(cx),
            BodyKindProj::Ours { bytes } if bytes.is_empty() => Poll::Ready(None),
            BodyKindProj::Ours { bytes } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes).into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Inner { body } => body.is_end_stream(),
            BodyKind::Stream { body } => body.is_end_stream(),
            BodyKind::Ours { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Inner { body } => body.size_hint(),
            BodyKind::Stream { body } => body.size_hint(),
            BodyKind::Ours { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            BodyKind::Inner { .. } => "ResponseBody::Inner",
            BodyKind::Stream { .. } => "ResponseBody::Stream",
            BodyKind::Ours { .. } => "ResponseBody::Ours",
        })
    }
}
