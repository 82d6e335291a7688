//! A refusal that a reader of server-sent events can wait through.
//!
//! `EventSource` takes any status but 200 as final and never asks again (HTML Standard, 9.2.3). So what
//! passes is a stream that ends, after which the client connects again by itself.

use std::time::Duration;

use http::HeaderValue;

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/event-stream");

/// One event with the problem document, which is JSON in one line, and when to come back.
pub(super) fn write(wait: Duration, problem: &[u8]) -> Vec<u8> {
    let head = format!(
        "retry: {}\nevent: ownership-refused\ndata: ",
        wait.as_millis()
    );
    [head.as_bytes(), problem, b"\n\n"].concat()
}
