//! The middleware that a team writes in an hour, with a cache: moka, an expiry, a boxed future.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use moka::future::Cache;
use tower::{Service, service_fn};
use uuid::Uuid;

use crate::{
    common::setup::{ME, hello},
    row::{Calls, Request},
    stack,
};

#[derive(Clone)]
struct ByHand<S> {
    inner: S,
    owners: Cache<Uuid, Arc<str>>,
    /// What the directory says of every session.
    owner: Arc<str>,
    me: Arc<str>,
}

/// Calls through the middleware, where this machine owns every session.
pub(crate) fn calls(owner: &str) -> Calls {
    stack::calls(ByHand {
        inner: service_fn(hello),
        owners: Cache::builder()
            .max_capacity(100_000)
            .time_to_live(Duration::from_secs(1_000))
            .build(),
        owner: owner.into(),
        me: ME.into(),
    })
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

impl<S> Service<Request> for ByHand<S>
where
    S: Service<Request, Response = Response<Full<Bytes>>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let clone = self.clone();
        let mut ready = mem::replace(self, clone);
        Box::pin(async move {
            let path = request.uri().path();
            let segment = path
                .strip_prefix("/session/")
                .and_then(|rest| rest.split('/').next());
            let Some(id) = segment.and_then(|id| Uuid::parse_str(id).ok()) else {
                return ready.inner.call(request).await;
            };
            let found = ready.owner;
            let owner = ready.owners.get_with(id, async move { found }).await;
            if owner == ready.me {
                return ready.inner.call(request).await;
            }
            let replay = Response::builder()
                .status(StatusCode::CONFLICT)
                .header("fly-replay", format!("instance={owner}"));
            Ok(replay.body(Full::default()).expect("a response"))
        })
    }
}
