//! Refusals for clients of the Model Context Protocol.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{DefaultRenderer, Render, RenderContext, ResponseFormat, internals::whole_seconds};
use crate::{Rejection, RejectionCode};

/// Answers refusals as clients of the Model Context Protocol expect: with an error of JSON-RPC, and with
/// 404 wherever the client has to start another session.
///
/// The transport has a client start anew on 404, and on no other status (MCP 2025-11-25, Streamable HTTP,
/// session management). The official SDKs leave that to the application: they raise an error with the code and
/// the message of this body, and of a problem document they show nothing. So `session-malformed`, `session-missing`, `session-over` and `session-absent` are 404 here, as
/// `session-unknown` is anyway. What passes keeps its status and its `Retry-After`.
///
/// ```
/// use tower_ownership::render::McpRenderer;
/// # use tower_ownership::{Header, MemoryDirectory, OwnershipLayer};
///
/// let builder = OwnershipLayer::builder(MemoryDirectory::new())
///     .session(Header::mcp_session_id())
///     .render(McpRenderer::new());
/// ```
///
/// The error's `id` is null: the request's stands in its body, which the layer does not read. Its code is
/// -32001 for a session that has to be started anew, -32000 for all else; its `data` has the code of the
/// [rejection](crate::manual::rejections). A browser gets the page of the [`DefaultRenderer`], the
/// standing GET its event stream where a refusal passes, and all headers are as there.
#[derive(Clone, Debug, Default)]
pub struct McpRenderer {
    inner: DefaultRenderer,
}

impl McpRenderer {
    /// The headers and pages of a [`DefaultRenderer::new`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The headers and pages of this renderer.
    #[must_use]
    pub fn with(inner: DefaultRenderer) -> Self {
        Self { inner }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: Option<()>,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: i32,
    message: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// Whether only another session helps.
fn has_to_start_anew(code: RejectionCode) -> bool {
    matches!(
        code,
        RejectionCode::SessionMalformed
            | RejectionCode::SessionMissing
            | RejectionCode::SessionUnknown
            | RejectionCode::SessionOver
            | RejectionCode::SessionAbsent
    )
}

impl Render for McpRenderer {
    fn unread(&self, rejection: &Rejection, context: RenderContext) -> Option<&Response<Bytes>> {
        self.inner.unread(rejection, context)
    }

    fn render(&self, rejection: &Rejection, context: RenderContext) -> Response<Bytes> {
        let mut response = self.inner.render(rejection, context);
        let code = rejection.code();
        let is_problem = match context.format {
            ResponseFormat::Problem => true,
            ResponseFormat::Events => rejection.retry_after().is_none(),
            _ => false,
        };
        // No client reads what goes along with a replay.
        if !is_problem || code == RejectionCode::ReplayNotHonoured {
            return response;
        }
        let anew = has_to_start_anew(code);
        if anew {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let answer = Answer {
            jsonrpc: "2.0",
            id: None,
            error: Error {
                code: if anew { -32_001 } else { -32_000 },
                message: format!("{}: {}", code.title(), rejection.detail()),
                data: Data {
                    code: code.as_str(),
                    retry_after: rejection.retry_after().map(whole_seconds),
                },
            },
        };
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.remove(header::CONTENT_LENGTH);
        if !context.head_only {
            *response.body_mut() = body.into();
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rendered(code: RejectionCode) -> Response<Bytes> {
        let rejection = Rejection::new(code, "m1".parse().unwrap(), "Why.");
        let (head, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
        McpRenderer::new().render(&rejection, RenderContext::of(&(&head).into()))
    }

    #[test]
    fn what_needs_another_session_is_404_with_an_error_of_json_rpc() {
        for code in [
            RejectionCode::SessionMalformed,
            RejectionCode::SessionUnknown,
            RejectionCode::SessionOver,
            RejectionCode::SessionAbsent,
        ] {
            let response = rendered(code);
            assert_eq!(response.status(), 404, "{code:?}");
            assert_eq!(response.headers()["content-type"], "application/json");
            assert_eq!(response.headers()["ownership-code"], code.as_str());
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            let message = format!("{}: Why.", code.title());
            let error =
                json!({"code": -32001, "message": message, "data": {"code": code.as_str()}});
            assert_eq!(body, json!({"jsonrpc": "2.0", "id": null, "error": error}));
        }
    }

    #[test]
    fn what_passes_keeps_its_status_and_says_when() {
        let response = rendered(RejectionCode::SessionMoving);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["code"], -32000);
        assert_eq!(body["error"]["data"]["retryAfter"], 1);
    }

    #[test]
    fn a_browser_still_gets_a_page() {
        let rejection = Rejection::new(RejectionCode::SessionOver, "m1".parse().unwrap(), "Why.");
        let request = http::Request::get("/mcp").header("accept", "text/html");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let response = McpRenderer::new().render(&rejection, RenderContext::of(&(&head).into()));
        assert_eq!(response.status(), 410);
        assert!(
            response.body().starts_with(b"<!doctype html>"),
            "{:?}",
            response.body()
        );
    }
}
