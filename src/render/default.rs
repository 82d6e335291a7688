//! The renderer that a layer has unless it is given another one.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

#[cfg(feature = "brand")]
use super::brand::{Brand, InvalidBrand};
use super::{
    Render, RenderContext, ResponseFormat, events, grpc,
    internals::{Internals, whole_seconds},
    language::Language,
    page::{self, Pages},
    problem,
};
use crate::{MachineId, Rejection};

/// Where each [`RejectionCode`](crate::RejectionCode) is explained, in the manual; the code follows as the fragment.
const PROBLEM_BASE: &str =
    "https://docs.rs/tower-ownership/latest/tower_ownership/manual/rejections/index.html#";

/// What cannot stand in a URI (RFC 3986). `%` can: the base may be escaped already.
const NOT_IN_A_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

const CODE: HeaderName = HeaderName::from_static("ownership-code");
const MACHINE: HeaderName = HeaderName::from_static("ownership-machine");
const OWNER: HeaderName = HeaderName::from_static("ownership-owner");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Both select the form: `Accept` between page and problem, `Content-Type` whether it is gRPC.
const VARY: HeaderValue = HeaderValue::from_static("Accept, Content-Type");

/// Answers in the form that the client reads: a problem document, a page, a gRPC status, or an event.
///
/// # Every form
/// - `Ownership-Code` is the stable code, so that `curl -I`, a log of headers and a gRPC client's
///   metadata tell it alike. It also tells our 404 from the application's.
/// - `Cache-Control: no-store`, `Vary: Accept, Content-Type`, and with `Accept-Language` for pages,
///   `X-Content-Type-Options: nosniff`.
/// - `Retry-After` in whole seconds where waiting helps.
/// - A HEAD request gets the headers of its GET, and no body.
///
/// # The problem document
/// `type`, `title`, `status` and `detail` as RFC 9457 defines them; `code`; `timestamp` (RFC 3339,
/// milliseconds); `sessionId` where the client named one; `retryAfter` in seconds where waiting
/// helps; `machine` and `owner` where [internals are shown](Self::expose_internals).
///
/// `replay-not-honoured` goes along with every replay, and is read only where no proxy acts on one.
/// It is written once, so it has no `sessionId` and no `timestamp`, unless internals are shown.
///
/// # The page
/// One file, in light and dark, in the [`Language`] that the visitor's `Accept-Language` ranks highest of English,
/// German, French, Spanish and Japanese; its technical detail is always English. A [`Brand`](crate::render::Brand)
/// gives it the name, logo, colours and words of a site.
///
/// Where waiting helps and the request was a GET, the page asks again in the background, in growing pauses of at
/// most half a minute. It loads anew when the answer is no refusal of this layer, or one that does not pass, and until
/// then keeps what the visitor has opened, selected or focused. A request whose GET does something therefore
/// does it twice. Without JavaScript the page reloads itself. Its `Content-Security-Policy` lets nothing run but its own
/// script, and nothing be asked but its own origin; it may be framed, because sessions that are shown inside
/// another page are common.
///
/// # The gRPC status
/// | code | status | why this one |
/// | --- | --- | --- |
/// | `session-malformed` | 3 `INVALID_ARGUMENT` | wrong whatever state the system is in |
/// | `session-missing` | 3 `INVALID_ARGUMENT` | the same: what has to be there is not |
/// | `session-unknown` | 5 `NOT_FOUND` | the directory has no such entity |
/// | `session-over`, `session-absent` | 9 `FAILED_PRECONDITION` | there is an entity, so "not found" would be untrue, and retrying cannot help; `DATA_LOSS` would claim something of the application's data |
/// | `session-forbidden` | 7 `PERMISSION_DENIED` | the guard knows who asks and says no |
/// | `session-starting`, `session-unassigned`, `session-moving`, `owner-lost`, `owner-never-seen`, `duplicate-identity`, `owner-unreachable`, `lookup-unavailable`, `session-unregistered` | 14 `UNAVAILABLE` | passing, and the one status that clients retry; `grpc-retry-pushback-ms` says when |
/// | `replay-not-honoured` | 9 `FAILED_PRECONDITION` | the way here has to be repaired first; `UNAVAILABLE` would have clients hammer it |
/// | `replay-loop`, `directory-corrupt` | 13 `INTERNAL` | an invariant of the system is broken |
/// | `not-replayable` | 8 `RESOURCE_EXHAUSTED` for 413, else 9 `FAILED_PRECONDITION` | 8 is what gRPC libraries themselves say of a message that is too large |
///
/// `grpc-message` is the code, a colon, and the detail. gRPC-Web gets the same headers, with
/// `Content-Type: application/grpc-web+proto`, or `-web-text+proto`; a browser shows them to a page of another
/// origin only if `Access-Control-Expose-Headers` names `grpc-status` and `grpc-message`.
///
/// # The event stream
/// `EventSource` takes any status but 200 as final, and never asks again. So a refusal that passes is a 200
/// whose stream holds `retry:`, the event `ownership-refused` with the problem document as its data, and
/// nothing more; the client connects again after that time, which it also keeps for later, until the
/// application's stream sets another. A refusal that does not pass is the problem document with its status,
/// and final.
#[derive(Clone, Debug)]
pub struct DefaultRenderer {
    problem_base: Cow<'static, str>,
    expose_internals: bool,
    /// Those of a brand.
    pages: Option<Arc<Pages>>,
    unread: Unread,
}

/// The answers that go along with replays, each with the status it was asked for; written when first
/// needed. The first four are by form, the others pages: by language, and by whether the request may be repeated.
type Unread = [OnceLock<(StatusCode, Response<Bytes>)>; 4 + 2 * Language::COUNT];

const fn nothing_written() -> Unread {
    [const { OnceLock::new() }; 4 + 2 * Language::COUNT]
}

impl DefaultRenderer {
    /// Shows no internals; problem types lead to the manual's page of [rejections](crate::manual::rejections).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            problem_base: Cow::Borrowed(PROBLEM_BASE),
            expose_internals: false,
            pages: None,
            unread: nothing_written(),
        }
    }

    /// Whether answers name machines: the one that refused and the session's owner, as members of
    /// the problem, in the page's details, and as `Ownership-Machine` and `Ownership-Owner`.
    ///
    /// Off by default. It helps operators, and shows all clients how the service is built.
    #[must_use]
    pub fn expose_internals(mut self, show: bool) -> Self {
        self.expose_internals = show;
        self
    }

    /// What the code is appended to for a problem's `type`, such as
    /// `https://example.com/problems/` or `urn:example:problem:`.
    ///
    /// Choose once: clients may compare types, so changing it changes the contract (`code` stays).
    /// It need not be an address that answers. Characters that no URI can hold are escaped.
    #[must_use]
    pub fn problem_base(mut self, base: impl AsRef<str>) -> Self {
        let escaped = utf8_percent_encode(base.as_ref(), NOT_IN_A_URI).to_string();
        self.problem_base = Cow::Owned(escaped);
        // A clone of a renderer that was used brings what it was written with.
        self.unread = nothing_written();
        self
    }

    /// Shows pages with the name, logo, colours and words of a site.
    #[cfg(feature = "brand")]
    pub fn brand(mut self, brand: Brand) -> Result<Self, InvalidBrand> {
        self.pages = Some(Arc::new(brand.pages()?));
        self.unread = nothing_written();
        Ok(self)
    }

    fn pages(&self) -> &Pages {
        self.pages.as_deref().unwrap_or(&page::PLAIN)
    }

    fn internals<'a>(&self, rejection: &'a Rejection) -> Internals<'a> {
        if self.expose_internals {
            Internals {
                machine: Some(rejection.machine().as_str()),
                owner: rejection.owner().map(MachineId::as_str),
            }
        } else {
            Internals::default()
        }
    }

    fn render_at(
        &self,
        rejection: &Rejection,
        context: RenderContext,
        now: Option<SystemTime>,
    ) -> Response<Bytes> {
        let internals = self.internals(rejection);
        let prepared = (context.format == ResponseFormat::Html)
            .then(|| self.pages().prepared(rejection, context));
        let mut headers = if let Some(prepared) = prepared {
            prepared.headers.clone()
        } else {
            let mut headers = HeaderMap::with_capacity(12);
            always(rejection, VARY, &mut headers);
            headers
        };
        circumstances(rejection, internals, &mut headers);
        let (status, body) = match context.format {
            ResponseFormat::Grpc | ResponseFormat::GrpcWeb | ResponseFormat::GrpcWebText => {
                grpc::write(rejection, context.format, &mut headers);
                (StatusCode::OK, Vec::new())
            }
            ResponseFormat::Html => {
                let page = prepared.map(|prepared| prepared.write(rejection, internals, now));
                (rejection.status(), page.unwrap_or_default())
            }
            ResponseFormat::Problem | ResponseFormat::Events => {
                let problem = problem::write(rejection, &self.problem_base, internals, now);
                match rejection.retry_after() {
                    Some(wait) if context.format == ResponseFormat::Events => {
                        headers.insert(header::CONTENT_TYPE, events::CONTENT_TYPE);
                        (StatusCode::OK, events::write(wait, &problem))
                    }
                    _ => {
                        headers.insert(header::CONTENT_TYPE, problem::CONTENT_TYPE);
                        (rejection.status(), problem)
                    }
                }
            }
        };
        let body = if context.head_only {
            // Servers would count the body that is left, and say that the GET has none either.
            if !body.is_empty() {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            Bytes::new()
        } else {
            Bytes::from(body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

impl Default for DefaultRenderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Render for DefaultRenderer {
    fn render(&self, rejection: &Rejection, context: RenderContext) -> Response<Bytes> {
        self.render_at(rejection, context, Some(SystemTime::now()))
    }

    /// Written once, without the session and the time, unless internals are shown.
    fn unread(&self, rejection: &Rejection, context: RenderContext) -> Option<&Response<Bytes>> {
        if self.expose_internals || context.head_only {
            return None;
        }
        let place = match context.format {
            ResponseFormat::Problem | ResponseFormat::Events => 0,
            ResponseFormat::Grpc => 1,
            ResponseFormat::GrpcWeb => 2,
            ResponseFormat::GrpcWebText => 3,
            ResponseFormat::Html => {
                4 + 2 * context.language as usize + usize::from(context.may_repeat)
            }
        };
        let unread = self.unread.get(place)?;
        let (status, response) =
            unread.get_or_init(|| (rejection.status(), self.render_at(rejection, context, None)));
        // A layer has one replay, and that one status; a renderer may serve several layers.
        (*status == rejection.status()).then_some(response)
    }
}

/// What all answers with a code have.
pub(super) fn always(rejection: &Rejection, vary: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(CODE, HeaderValue::from_static(rejection.code().as_str()));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::VARY, vary);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
}

/// What differs from refusal to refusal.
fn circumstances(rejection: &Rejection, internals: Internals<'_>, headers: &mut HeaderMap) {
    if let Some(wait) = rejection.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    for (name, id) in [(MACHINE, internals.machine), (OWNER, internals.owner)] {
        // A machine id is always a valid header value; were it none, the answer needs it least.
        if let Some(Ok(value)) = id.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
#[path = "default_tests.rs"]
mod tests;
