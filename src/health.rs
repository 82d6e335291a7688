//! Whether this machine is alive, and whether it should get requests.
//!
//! ```
//! use http::{Request, StatusCode};
//! use tower::ServiceExt;
//! use tower_ownership::{
//!     FlyReplay, MachineId, MemoryDirectory, OwnershipLayer, PathSegment, health::Check,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let layer = OwnershipLayer::builder(MemoryDirectory::new())
//! #     .session(PathSegment::after("/session")?)
//! #     .machine("e2863555a91708".parse::<MachineId>()?)
//! #     .replay(FlyReplay::new())
//! #     .build()?;
//! let health = layer
//!     .health()
//!     .check("disk", || Check::ok("there is room"))
//!     .optional_check("changes", || Check::failing("it is connecting")) // shown, and not required
//!     .build();
//!
//! // axum: `Router::new().nest_service("/health", health.clone())`
//! let ready = health.clone().oneshot(Request::get("/ready").body(())?).await?;
//! assert_eq!(ready.status(), StatusCode::OK);
//! let page = health.oneshot(Request::get("/").body(())?).await?;
//! assert!(page.body().contains(r#"{"name":"disk","ok":true,"required":true,"#));
//! # Ok(())
//! # }
//! ```
//!
//! # The pages
//! | path | status | says |
//! | --- | --- | --- |
//! | `/live` | 200 | that the process answers: restart it if it does not |
//! | `/ready` | 200 or 503 | whether it should get requests, and what keeps it from them |
//! | `/` | 200 | everything that is checked, with reasons and ages |
//!
//! All are JSON, for GET and HEAD; nothing may store them. Mount the service outside of the
//! ownership layer, or where no session is: it answers on every machine for itself. A router that
//! does not take the prefix off (axum's `route_service`, hyper) needs [`HealthBuilder::path_prefix`].
//!
//! # What is checked
//! - `identity`: no other process says that it is this machine.
//! - `node`: the process serves, and has joined its fleet if the layer
//!   [waits for that](crate::OwnershipLayerBuilder::require_membership). It stops serving for good when it drains, is a duplicate, or
//!   was declared gone; load balancers then send it nothing more.
//! - `directory`: it answered lately. Busy machines ask it all the time, so that costs nothing; after
//!   [`max_age`](HealthBuilder::max_age) without an answer, or after a failure, one session is looked
//!   up as for a request: however many probes come, one lookup is under way at a time, and after
//!   several failures in a row one per 100 ms is made, requests included.
//! - What the builder was told to [check](HealthBuilder::check) or [report](HealthBuilder::optional_check):
//!   a `Heartbeat`, a `Feed`, and all that implements [`HealthCheck`], closures too.
//!
//! No page names a session, a secret, an address or what a database said; the machine's id is shown
//! only if the builder [allows it](HealthBuilder::show_machine).
//!
//! # When the directory is down
//! Then all machines are not ready at once, and a balancer may have nowhere to send anything. That
//! is what most want, since nearly everything would be a 503. If requests without a session should
//! go on, [tolerate](HealthBuilder::directory_optional) it.

mod builder;
mod check;
mod page;
mod report;

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

pub use builder::HealthBuilder;
pub use check::{Check, HealthCheck};
pub use report::{Component, HealthReport};

use report::Health;

use crate::OwnershipLayer;

impl<F> OwnershipLayer<F> {
    /// Begins the health pages of this machine; see the [module](crate::health).
    pub fn health(&self) -> HealthBuilder {
        HealthBuilder::new(self.policy())
    }
}

/// Answers `/live`, `/ready` and `/`; see the [module](self). A clone costs a reference count.
#[derive(Clone)]
pub struct HealthService {
    health: Arc<Health>,
    /// What paths begin with: nothing, or a slash and more.
    path_prefix: Arc<str>,
}

impl HealthService {
    /// What the pages say, without HTTP.
    pub fn report(&self) -> impl Future<Output = HealthReport> + Send + 'static {
        Arc::clone(&self.health).report()
    }
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = HealthFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> HealthFuture {
        let (page, head_only) =
            page::asked_for(request.method(), request.uri().path(), &self.path_prefix);
        let report = page.needs_report().then(|| self.report());
        HealthFuture(Box::pin(async move {
            let report = match report {
                Some(report) => Some(report.await),
                None => None,
            };
            page.write(report.as_ref(), head_only)
        }))
    }
}

/// The response of a [`HealthService`].
#[must_use = "futures do nothing unless polled"]
pub struct HealthFuture(Pin<Box<dyn Future<Output = Response<String>> + Send>>);

impl Future for HealthFuture {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for HealthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthService")
            .field("path_prefix", &self.path_prefix)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HealthFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthFuture")
    }
}

#[cfg(test)]
mod tests;
