//! Turning a rejection into an answer that its reader can read.

#[cfg(feature = "brand")]
mod brand;
mod default;
mod events;
mod grpc;
mod internals;
mod language;
mod mcp;
mod negotiate;
mod page;
mod problem;

#[cfg(feature = "brand")]
pub use brand::{Brand, Colours, InvalidBrand, Logo};
pub use default::DefaultRenderer;
pub use language::Language;
pub use mcp::McpRenderer;

use bytes::Bytes;
use http::{Method, Response, Version};

use crate::{Head, Rejection};

/// Writes the answer to a request that was refused.
///
/// The layer adds `Cache-Control: no-store`, puts the [`Rejection`] into the extensions, and
/// leaves out the body for HEAD, in every answer. Closures are renderers too. To change
/// one form only, ask [`DefaultRenderer`] for the others.
pub trait Render: Send + Sync + 'static {
    /// Writes the answer.
    fn render(&self, rejection: &Rejection, context: RenderContext) -> Response<Bytes>;

    /// The answer that goes along with a replay, where it is the same for all of them: every replay
    /// carries one, and a client reads it only where no proxy acts on the replay. `rejection` is
    /// `replay-not-honoured` without a session.
    ///
    /// `None`, by default, has [`render`](Self::render) write one for each.
    #[allow(unused_variables, reason = "the default has no use for it")]
    fn unread(&self, rejection: &Rejection, context: RenderContext) -> Option<&Response<Bytes>> {
        None
    }
}

impl<F> Render for F
where
    F: Fn(&Rejection, RenderContext) -> Response<Bytes> + Send + Sync + 'static,
{
    fn render(&self, rejection: &Rejection, context: RenderContext) -> Response<Bytes> {
        self(rejection, context)
    }
}

/// Who will read the answer, as far as the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderContext {
    /// The form that the client reads best.
    pub format: ResponseFormat,
    /// The language of a page, by `Accept-Language`; English in every other form.
    pub language: Language,
    /// Whether sending the same request again is harmless, so that a page may reload itself.
    pub may_repeat: bool,
    /// Whether the client wants no body: a HEAD request.
    pub head_only: bool,
    /// Whether the answer may speak for the connection: not so in HTTP/2.
    pub(crate) is_http1: bool,
}

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// `application/problem+json`, RFC 9457: for programs, and for clients that do not say.
    Problem,
    /// A page for a person.
    Html,
    /// `application/grpc`: a 200 that carries `grpc-status` in its headers.
    Grpc,
    /// `application/grpc-web`: the same for browsers.
    GrpcWeb,
    /// `application/grpc-web-text`: the same, for clients that read base64.
    GrpcWebText,
    /// `text/event-stream`: for `EventSource`, which comes back only to a 200 that is one.
    Events,
}

impl ResponseFormat {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Events as usize + 1;
}

impl RenderContext {
    /// How many kinds of readers there are.
    pub(crate) const READERS: usize = ResponseFormat::COUNT + Language::COUNT;

    /// The kind of reader: all of one kind can read the same answer to a GET.
    #[inline]
    pub(crate) fn reader(self) -> usize {
        match self.format {
            ResponseFormat::Html => ResponseFormat::COUNT + self.language as usize,
            format => format as usize,
        }
    }

    /// Reads the head of a request, without allocating: this runs before it is known whether
    /// there will be anything to refuse.
    ///
    /// - A POST of `application/grpc` (also `+proto` and the like) reads gRPC, and one of
    ///   `application/grpc-web` or `application/grpc-web-text` the same with that content type. Connect does
    ///   not: its clients read the status and the body of the HTTP answer.
    /// - A GET whose `Accept` begins with `text/event-stream` reads events, as `EventSource` does.
    /// - A client that names `text/html` or `application/xhtml+xml` in `Accept`, and puts it no
    ///   lower than JSON (or what it says of `*/*`), reads pages. That is a browser on its way to a page; its
    ///   `fetch`, images and scripts ask for `*/*` or for images first.
    /// - Every other client reads the problem document: also one that sends no `Accept`, since a program
    ///   that forgot it is more frequent than a browser that does.
    ///
    /// The language is the one that `Accept-Language` gives the highest weight, the first of several, of those
    /// that there are; English if it names none of them.
    #[must_use]
    #[inline]
    pub fn of(head: &Head<'_>) -> Self {
        let (format, language) = negotiate::format(head);
        Self {
            format,
            language,
            may_repeat: head.method == Method::GET || head.method == Method::HEAD,
            head_only: head.method == Method::HEAD,
            is_http1: head.version <= Version::HTTP_11,
        }
    }
}
