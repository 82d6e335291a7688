//! Who reads the answer, should a request be refused after all.

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version, header};

use crate::{Head, observe::request_line};

/// What [`RenderContext::of`](crate::RenderContext::of) and the event of a refusal read of a head. That takes
/// longer than to keep it, and hardly any request that is carried has to be refused afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    method: Method,
    uri: Uri,
    version: Version,
    accept: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    accept_language: Option<HeaderValue>,
    /// Of [`request_line::FIELDS`].
    ids: [Option<HeaderValue>; request_line::FIELDS.len()],
}

impl Asker {
    pub(super) fn of(head: &Head<'_>) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            accept: list(head, &header::ACCEPT),
            content_type: head.headers.get(header::CONTENT_TYPE).cloned(),
            accept_language: list(head, &header::ACCEPT_LANGUAGE),
            ids: request_line::FIELDS.map(|name| head.headers.get(name).cloned()),
        }
    }

    /// A request with what is kept of the head.
    #[cold]
    pub(crate) fn request(&self) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.uri_mut() = self.uri.clone();
        *head.version_mut() = self.version;
        let fields = [
            (header::ACCEPT, &self.accept),
            (header::CONTENT_TYPE, &self.content_type),
            (header::ACCEPT_LANGUAGE, &self.accept_language),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                head.headers_mut().insert(name, value.clone());
            }
        }
        for (name, value) in request_line::FIELDS.into_iter().zip(&self.ids) {
            if let Some(value) = value {
                head.headers_mut().insert(name, value.clone());
            }
        }
        head
    }
}

/// Several lines are one list (RFC 9110, section 5.3).
fn list(head: &Head<'_>, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = head.headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (first, None) => first.cloned(),
        _ => joined(head, name),
    }
}

#[cold]
fn joined(head: &Head<'_>, name: &HeaderName) -> Option<HeaderValue> {
    let lines = head.headers.get_all(name).iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&lines.join(&b", "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RenderContext, observe::RequestLine};

    #[test]
    fn what_is_kept_says_the_same_as_the_head() {
        let fields: [&[(&str, &str)]; 9] = [
            &[],
            &[("accept", "text/html")],
            &[
                ("accept", "application/json"),
                ("accept", "text/html;q=0.9"),
            ],
            &[("accept", "image/png"), ("accept", "text/html")],
            &[("accept", "text/html"), ("accept-language", "fr;q=0.5,ja")],
            &[
                ("accept-language", "pt"),
                ("accept-language", "de;q=0.5"),
                ("accept", "text/html,*/*"),
            ],
            &[("accept", "text/event-stream")],
            &[("content-type", "application/grpc-web-text+proto")],
            &[("x-request-id", "a"), ("fly-request-id", "01JF-fra")],
        ];
        for method in [Method::GET, Method::HEAD, Method::POST] {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                for fields in fields {
                    let request = Request::builder().method(&method).version(version);
                    let request = fields.iter().fold(request, |request, (name, value)| {
                        request.header(*name, *value)
                    });
                    let request = request.body(()).unwrap();
                    let head = Head::from(&request);
                    let kept = Asker::of(&head).request();
                    let kept = Head::from(&kept);
                    assert_eq!(RenderContext::of(&kept), RenderContext::of(&head));
                    let line = |head| format!("{:?}", RequestLine::of(head, None));
                    assert_eq!(line(&kept), line(&head));
                }
            }
        }
    }
}
