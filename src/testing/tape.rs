//! A request body that is streamed to the first machine and recorded on the way, so that it can be
//! played again to another one.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;

/// The one copy of a request body. Holds at most `limit` bytes of it; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Tape(Arc<Mutex<Reel>>);

#[derive(Debug)]
struct Reel {
    incoming: Option<Incoming>,
    recorded: BytesMut,
    trailers: Option<HeaderMap>,
    limit: usize,
    state: State,
    /// Only the newest reader may read: an older one belongs to a connection that is being given
    /// up, and would take the wake-up that its successor waits for.
    reader: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// More may come, and all that came is recorded.
    Recording,
    /// All of it is recorded.
    Complete,
    /// It is larger than the limit; nothing is kept, it can only be passed on.
    TooLarge,
    /// The client gave up.
    Broken,
}

/// Why a body cannot be played again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unrecorded {
    TooLarge,
    Broken,
}

impl Tape {
    pub(super) fn new(incoming: Incoming, limit: usize) -> Self {
        let length = incoming.size_hint().exact();
        let known_too_large = length.is_some_and(|length| length > limit as u64);
        let state = if incoming.is_end_stream() {
            State::Complete
        } else if known_too_large {
            State::TooLarge
        } else {
            State::Recording
        };
        Self(Arc::new(Mutex::new(Reel {
            incoming: Some(incoming),
            recorded: BytesMut::new(),
            trailers: None,
            limit,
            state,
            reader: 0,
        })))
    }

    /// A body for the next machine; ends all earlier ones. The recording if it is complete,
    /// otherwise the live stream.
    pub(super) fn play(&self) -> Playback {
        let mut reel = self.reel();
        reel.reader += 1;
        let source = if reel.state == State::Complete {
            Source::Recorded {
                data: Some(Bytes::copy_from_slice(&reel.recorded)).filter(|data| !data.is_empty()),
                trailers: reel.trailers.clone(),
            }
        } else {
            Source::Live {
                tape: self.clone(),
                reader: reel.reader,
            }
        };
        Playback { source }
    }

    /// Reads on until the whole body is recorded, or cannot be.
    pub(super) async fn finish(&self) -> Result<(), Unrecorded> {
        let reader = self.new_reader();
        loop {
            match self.reel().state {
                State::Complete => return Ok(()),
                State::TooLarge => return Err(Unrecorded::TooLarge),
                State::Broken => return Err(Unrecorded::Broken),
                State::Recording => {}
            }
            std::future::poll_fn(|cx| self.poll_frame(cx, reader)).await;
        }
    }

    /// Reads the rest and forgets it.
    pub(super) async fn drain(&self) {
        let reader = {
            let mut reel = self.reel();
            if reel.state == State::Recording {
                reel.overflow();
            }
            reel.reader += 1;
            reel.reader
        };
        while std::future::poll_fn(|cx| self.poll_frame(cx, reader))
            .await
            .is_some_and(|frame| frame.is_ok())
        {}
    }

    /// Is there nothing left to read?
    pub(super) fn is_read(&self) -> bool {
        let reel = self.reel();
        matches!(reel.state, State::Complete | State::Broken)
            || reel.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn new_reader(&self) -> u64 {
        let mut reel = self.reel();
        reel.reader += 1;
        reel.reader
    }

    fn poll_frame(
        &self,
        cx: &mut Context<'_>,
        reader: u64,
    ) -> Poll<Option<Result<Frame<Bytes>, TapeError>>> {
        let mut reel = self.reel();
        if reel.reader != reader {
            return Poll::Ready(Some(Err(TapeError::Superseded)));
        }
        let Some(incoming) = &mut reel.incoming else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        let ended = incoming.is_end_stream();
        match &frame {
            Some(Ok(frame)) => reel.record(frame),
            Some(Err(_)) => reel.end(State::Broken),
            None => reel.end(State::Complete),
        }
        if ended {
            reel.end(State::Complete);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(TapeError::Client)))
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    fn record(&mut self, frame: &Frame<Bytes>) {
        if self.state != State::Recording {
            return;
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        }
        if let Some(data) = frame.data_ref() {
            if self.recorded.len() + data.len() > self.limit {
                self.overflow();
            } else {
                // Copied, because a frame may be a small view of a large buffer.
                self.recorded.extend_from_slice(data);
            }
        }
    }

    fn overflow(&mut self) {
        self.state = State::TooLarge;
        self.recorded = BytesMut::new();
    }

    fn end(&mut self, state: State) {
        self.incoming = None;
        if self.state == State::Recording {
            self.state = state;
        }
    }
}

/// Why a body broke off on its way to a machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum TapeError {
    #[error("the client broke off the request body")]
    Client(#[source] hyper::Error),
    #[error("the request went on to another machine")]
    Superseded,
}

/// A request body on its way to one machine. The request's own `content-length`, or its absence,
/// says how it is framed, so it is framed for each machine as the client framed it.
#[derive(Debug)]
pub(super) struct Playback {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Live {
        tape: Tape,
        reader: u64,
    },
    Recorded {
        data: Option<Bytes>,
        trailers: Option<HeaderMap>,
    },
}

impl Body for Playback {
    type Data = Bytes;
    type Error = TapeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TapeError>>> {
        let frame = match &mut self.source {
            Source::Live { tape, reader } => ready!(tape.poll_frame(cx, *reader)),
            Source::Recorded { data, trailers } => data
                .take()
                .map(Frame::data)
                .or_else(|| trailers.take().map(Frame::trailers))
                .map(Ok),
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Live { .. } => false,
            Source::Recorded { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }
}
