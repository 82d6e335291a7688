//! A request that is read again, because what it named was dead or not clear.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{Next, Pass, Readying, State};
use crate::Head;
use crate::policy::{Settled, SharedPolicy, Unsettled};

/// The request, and the service that it may pass to.
pub(super) struct Settling<S, B> {
    settled: Pin<Box<dyn Future<Output = (Parts, Settled)> + Send>>,
    body: B,
    service: S,
    policy: Arc<SharedPolicy>,
}

impl<S: Service<Request<B>>, B: Body> Settling<S, B> {
    pub(super) fn new(
        unsettled: Box<Unsettled>,
        service: S,
        head: Parts,
        body: B,
        policy: &Arc<SharedPolicy>,
    ) -> Self {
        Self {
            settled: Box::pin(Arc::clone(policy.policy()).settle(head, unsettled)),
            body,
            service,
            policy: Arc::clone(policy),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Parts, Settled)> {
        self.settled.as_mut().poll(cx)
    }

    /// Does what the request came to.
    pub(super) fn act(self, head: Parts, settled: Settled) -> Next<S, B> {
        let Self {
            body,
            service,
            policy,
            ..
        } = self;
        let pass = match settled {
            Settled::WithoutSession(taken_out) => Pass::WithoutSession(taken_out.map(Box::new)),
            Settled::Pass(grant, span) => Pass::For(grant, span),
            #[cfg(feature = "forward")]
            Settled::Carry => return super::carry(service, Request::from_parts(head, body)),
            Settled::Answer(response) => {
                return State::answer(response, &Head::from(&head), body, &policy);
            }
        };
        let request = Request::from_parts(head, body);
        State::make_ready(Readying::new(service, request, policy, pass))
    }
}
