//! Clients that ask before they send their body: `Expect: 100-continue` (RFC 9110, section 10.1.1).

use std::{pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, Request, StatusCode, header};
use tokio::{sync::Notify, time::timeout};

use super::upload::Upload;

/// How long an owner may say neither that it wants the body nor that it does not. A server that does not
/// know the field waits for the body, which clients send anyway after a second or so.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Completes when the owner has asked for the body.
pub(super) type Asked = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether the client waits to be asked for its body.
pub(super) fn waits(headers: &HeaderMap) -> bool {
    let expectation = headers.get(header::EXPECT);
    expectation.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Keeps the body until the owner asks for it: a server asks the client as soon as the body is
/// polled, and would have the client send what the owner is about to refuse.
pub(super) fn hold(request: &mut Request<Upload>) {
    let owner = Arc::new(Notify::new());
    let asks = Arc::clone(&owner);
    let asked = async move {
        let _ = timeout(CONTINUE_TIMEOUT, owner.notified()).await;
    };
    if request.body_mut().hold(Box::pin(asked)) {
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                asks.notify_one();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

    use bytes::Bytes;
    use http_body::{Body as _, Frame};
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_owner_that_says_nothing_gets_the_body_after_a_while() {
        let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"hello")));
        let body = StreamBody::new(futures_util::stream::iter([frame]));
        let mut request = Request::new(Upload::new(body, || None));
        hold(&mut request);
        let (mut body, began) = (request.into_body(), Instant::now());
        let progress = body.progress().unwrap();
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        tokio::pin!(frame);
        assert!(timeout(CONTINUE_TIMEOUT / 2, frame.as_mut()).await.is_err());
        assert!(progress.is_held() && !progress.waits_for_client());
        assert_eq!(frame.await.unwrap().unwrap().into_data().unwrap(), "hello");
        assert_eq!(began.elapsed(), CONTINUE_TIMEOUT);
        assert!(!progress.is_held());
        assert!(body.frame().await.is_none());
    }
}
