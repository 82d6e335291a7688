//! Turning a rejection into an answer that its reader can read.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, header, request::Parts};

use crate::Rejection;

/// Writes the answer to a request that was refused.
///
/// The layer adds `Cache-Control: no-store`, puts the [`Rejection`] into the extensions, and
/// leaves out the body for HEAD, whoever wrote the answer. Closures are renderers too.
pub trait Render: Send + Sync + 'static {
    /// Writes the answer.
    fn render(&self, rejection: &Rejection, reader: Reader) -> Response<Bytes>;
}

impl<F> Render for F
where
    F: Fn(&Rejection, Reader) -> Response<Bytes> + Send + Sync + 'static,
{
    fn render(&self, rejection: &Rejection, reader: Reader) -> Response<Bytes> {
        self(rejection, reader)
    }
}

/// Who will read the answer, as far as the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reader {
    /// The form that the client reads best.
    pub form: Form,
    /// Whether sending the same request again is harmless, so that a page may reload itself.
    pub may_repeat: bool,
    /// Whether the client wants no body: a HEAD request.
    pub head_only: bool,
}

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// `application/problem+json`, RFC 9457.
    Problem,
    /// A page for a person.
    Html,
    /// `application/grpc`: a 200 that carries `grpc-status` in its headers.
    Grpc,
}

impl Reader {
    /// Reads the head of a request.
    #[must_use]
    pub fn of(head: &Parts) -> Self {
        Self {
            form: Form::of(&head.headers),
            may_repeat: head.method == Method::GET || head.method == Method::HEAD,
            head_only: head.method == Method::HEAD,
        }
    }
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .map_or(&[][..], |value| value.as_bytes());
        if content_type.starts_with(b"application/grpc") {
            return Self::Grpc;
        }
        Self::Problem
    }
}
