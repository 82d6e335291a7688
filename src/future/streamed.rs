//! Streams of the inner service that end with the ownership.

use http::{HeaderMap, Response, header};

use crate::{Owned, ResponseBody};

/// What a response that streams for as long as its client listens says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Events,
    Grpc,
    Other,
}

impl Stream {
    /// By the content type: a download of unknown length ends by itself.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let is = |essence: &str| {
            let start = kind.get(..essence.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(essence.as_bytes()))
        };
        if is("text/event-stream") {
            Some(Self::Events)
        } else if is("application/grpc") {
            Some(Self::Grpc)
        } else if is("application/x-ndjson") || is("multipart/x-mixed-replace") {
            Some(Self::Other)
        } else {
            None
        }
    }
}

/// The response as it leaves: a stream ends when the session is lost, if that is `watched`.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "as a call it would copy every response once more"
)]
pub(super) fn delivered<R>(
    response: Response<R>,
    watched: Option<Owned>,
) -> Response<ResponseBody<R>> {
    match watched {
        None => response.map(ResponseBody::inner),
        Some(owned) => until_lost(response, &owned),
    }
}

fn until_lost<R>(response: Response<R>, owned: &Owned) -> Response<ResponseBody<R>> {
    let Some(stream) = Stream::of(response.headers()) else {
        return response.map(ResponseBody::inner);
    };
    response.map(|body| {
        let body = owned.until_lost(body);
        ResponseBody::stream(match stream {
            Stream::Events => body.event_stream(),
            Stream::Grpc => body.grpc(),
            Stream::Other => body,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_by_its_content_type() {
        for (kind, stream) in [
            ("text/event-stream", Some(Stream::Events)),
            ("Text/Event-Stream; charset=utf-8", Some(Stream::Events)),
            ("application/grpc+proto", Some(Stream::Grpc)),
            ("application/x-ndjson", Some(Stream::Other)),
            ("multipart/x-mixed-replace; boundary=x", Some(Stream::Other)),
            ("application/json", None),
            ("text/event", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(Stream::of(&headers), stream, "{kind}");
        }
        assert_eq!(Stream::of(&HeaderMap::new()), None);
    }
}
