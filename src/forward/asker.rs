//! Who reads the answer, should a request be refused after all.

use http::{HeaderValue, Method, Request, Version, header};

use crate::{Head, RenderContext};

/// What [`RenderContext::of`] reads of a head. That takes longer than to keep it, and hardly any request that is
/// carried has to be refused afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    method: Method,
    version: Version,
    accept: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
}

impl Asker {
    pub(super) fn of(head: &Head<'_>) -> Self {
        let mut lines = head.headers.get_all(header::ACCEPT).iter();
        let (first, more) = (lines.next(), lines.next());
        Self {
            method: head.method.clone(),
            version: head.version,
            accept: match more {
                None => first.cloned(),
                Some(_) => joined(head),
            },
            content_type: head.headers.get(header::CONTENT_TYPE).cloned(),
        }
    }

    #[cold]
    pub(crate) fn context(&self) -> RenderContext {
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.version_mut() = self.version;
        let fields = [
            (header::ACCEPT, &self.accept),
            (header::CONTENT_TYPE, &self.content_type),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                head.headers_mut().insert(name, value.clone());
            }
        }
        RenderContext::of(&Head::from(&head))
    }
}

/// Several lines are one list (RFC 9110, section 5.3).
#[cold]
fn joined(head: &Head<'_>) -> Option<HeaderValue> {
    let lines = head.headers.get_all(header::ACCEPT).iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&lines.join(&b", "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_says_the_same_as_the_head() {
        let fields: [&[(&str, &str)]; 6] = [
            &[],
            &[("accept", "text/html")],
            &[
                ("accept", "application/json"),
                ("accept", "text/html;q=0.9"),
            ],
            &[("accept", "image/png"), ("accept", "text/html")],
            &[("accept", "text/event-stream")],
            &[("content-type", "application/grpc-web-text+proto")],
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
                    assert_eq!(Asker::of(&head).context(), RenderContext::of(&head));
                }
            }
        }
    }
}
