//! The body of a response: the application's, or the owner's on its way to the client.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::{connection::Connection, leaving::Leaving, pool::Ticket, upload::Progress};

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The body of a response of a [`Forwarder`](super::Forwarder): the application's, or what an owner
    /// sends.
    ///
    /// What an owner sends is passed on as it comes, with back-pressure, and never collected.
    pub struct ForwardBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Application { #[pin] body: B },
        Carried { carried: Carried },
    }
}

/// An answer that does not come from the application.
pub(super) enum Carried {
    Ours(Bytes),
    Owners(Download),
}

/// An owner's body. Its drop before the end closes the connection.
pub(super) struct Download {
    body: Incoming,
    over: Option<Over>,
    /// What ends it before the owner does; `None` where only the owner does, as most often.
    leaving: Option<Leaving>,
}

/// What the answer comes by, until it is complete.
pub(super) struct Over {
    pub(super) connection: Connection,
    pub(super) ticket: Ticket,
    pub(super) upload: Option<Arc<Progress>>,
}

impl Download {
    pub(super) fn new(body: Incoming, over: Over) -> Self {
        let mut download = Self {
            body,
            over: Some(over),
            leaving: None,
        };
        if download.body.is_end_stream() {
            download.give_back();
        }
        download
    }

    /// Ends it when this machine leaves.
    pub(super) fn until(self, leaving: Leaving) -> Self {
        let leaving = Some(leaving).filter(|_| self.over.is_some());
        Self { leaving, ..self }
    }

    /// Gives the connection back: the answer is complete.
    fn give_back(&mut self) {
        self.leaving = None;
        if let Some(over) = self.over.take() {
            over.ticket.give_back(over.connection, over.upload);
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardBodyError>>> {
        if let Some(leaving) = &mut self.leaving
            && let Poll::Ready(last) = leaving.poll(cx)
        {
            (self.leaving, self.over) = (None, None);
            return Poll::Ready(Some(last.ok_or_else(ForwardBodyError::draining)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => (self.leaving, self.over) = (None, None),
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            // A server may not ask again for what it knows is complete.
            Some(Ok(_)) | None => self.give_back(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ForwardBodyError::broken)))
    }
}

impl<B> ForwardBody<B> {
    pub(super) fn application(body: B) -> Self {
        let kind = Kind::Application { body };
        Self { kind }
    }

    pub(super) fn carried(carried: Carried) -> Self {
        let kind = Kind::Carried { carried };
        Self { kind }
    }
}

impl<B> Body for ForwardBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = ForwardBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, ForwardBodyError>>> {
        let carried = match self.project().kind.project() {
            KindProj::Application { body } => {
                let frame = ready!(body.poll_frame(cx));
                return Poll::Ready(
                    frame.map(|frame| frame.map_err(ForwardBodyError::application)),
                );
            }
            KindProj::Carried { carried } => carried,
        };
        Poll::Ready(match carried {
            Carried::Ours(bytes) if bytes.is_empty() => None,
            Carried::Ours(bytes) => Some(Ok(Frame::data(std::mem::take(bytes).into()))),
            Carried::Owners(download) => ready!(download.poll_frame(cx))
                .map(|frame| frame.map(|frame| frame.map_data(Into::into))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Application { body } => body.is_end_stream(),
            Kind::Carried { carried } => match carried {
                Carried::Ours(bytes) => bytes.is_empty(),
                Carried::Owners(download) => download.body.is_end_stream(),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Application { body } => body.size_hint(),
            Kind::Carried { carried } => match carried {
                Carried::Ours(bytes) => SizeHint::with_exact(bytes.len() as u64),
                Carried::Owners(download) => download.body.size_hint(),
            },
        }
    }
}

impl<B: Default> Default for ForwardBody<B> {
    fn default() -> Self {
        Self::application(B::default())
    }
}

impl<B> fmt::Debug for ForwardBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Application { .. } => "ForwardBody::Application",
            Kind::Carried { .. } => "ForwardBody::Carried",
        })
    }
}

/// Why a [`ForwardBody`] ends before it is complete. Its source is the application's error, hyper's, or that this
/// machine drains.
#[derive(thiserror::Error)]
#[error("{what}")]
pub struct ForwardBodyError {
    what: &'static str,
    source: BoxError,
    is_owners: bool,
}

impl ForwardBodyError {
    fn application(source: impl Into<BoxError>) -> Self {
        Self {
            what: "the application's response ended with an error",
            source: source.into(),
            is_owners: false,
        }
    }

    fn broken(source: hyper::Error) -> Self {
        Self {
            what: "the connection to the session's machine ended before its response was complete",
            source: source.into(),
            is_owners: true,
        }
    }

    fn draining() -> Self {
        Self {
            what: "a stream that this machine carries was ended",
            source: "the machine is draining".into(),
            is_owners: true,
        }
    }

    /// Whether the response was an owner's; otherwise the error is the application's.
    #[must_use]
    pub fn is_owners(&self) -> bool {
        self.is_owners
    }
}

crate::observe::debug_as_chain!(ForwardBodyError);
