//! The pages as HTTP.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::HealthReport;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Live,
    Ready,
    Everything,
    NotFound,
    NotAllowed,
}

/// The page, and whether only its head is wanted. `at` is what paths begin with.
pub(super) fn asked_for(method: &Method, path: &str, at: &str) -> (Page, bool) {
    let page = match path.strip_prefix(at) {
        Some("" | "/") => Page::Everything,
        Some("/live") => Page::Live,
        Some("/ready") => Page::Ready,
        _ => Page::NotFound,
    };
    let (get, head) = (method == Method::GET, method == Method::HEAD);
    let page = match page {
        Page::NotFound => page,
        _ if get || head => page,
        _ => Page::NotAllowed,
    };
    (page, head)
}

impl Page {
    pub(super) fn needs_report(self) -> bool {
        matches!(self, Self::Ready | Self::Everything)
    }

    pub(super) fn write(self, report: Option<&HealthReport>, head_only: bool) -> Response<String> {
        let (status, body) = match (self, report) {
            (Self::Live, _) => (StatusCode::OK, json!({ "live": true })),
            (Self::Ready, Some(report)) if report.ready => {
                (StatusCode::OK, json!({ "ready": true }))
            }
            (Self::Ready, report) => {
                let failing: Vec<&str> =
                    report.iter().flat_map(|report| report.failing()).collect();
                let body = json!({ "ready": false, "failing": failing });
                (StatusCode::SERVICE_UNAVAILABLE, body)
            }
            (Self::Everything, _) => (StatusCode::OK, json!(null)),
            (Self::NotFound, _) => {
                let error = "there are /, /live and /ready";
                (StatusCode::NOT_FOUND, json!({ "error": error }))
            }
            (Self::NotAllowed, _) => {
                let error = "there are GET and HEAD";
                (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": error }))
            }
        };
        let body = match report.filter(|_| self == Self::Everything) {
            // In the order of the fields. Text and numbers cannot fail to become JSON.
            Some(report) => serde_json::to_string(report).unwrap_or_default(),
            None => body.to_string(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = response.body().len();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // HEAD tells what GET would bring.
        headers.insert(header::CONTENT_LENGTH, length.into());
        if self == Self::NotAllowed {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if head_only {
            response.body_mut().clear();
        }
        response
    }
}
