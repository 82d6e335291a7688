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

use super::{Passed, State, confirm};
use crate::Head;
use crate::policy::{Policy, Settled, Unsettled};

/// The request, and the service that is ready for it.
pub(super) struct Settling<S, B> {
    settled: Pin<Box<dyn Future<Output = (Parts, Settled)> + Send>>,
    body: B,
    service: S,
    policy: Arc<Policy>,
}

impl<S: Service<Request<B>>, B: Body> Settling<S, B> {
    pub(super) fn new(
        unsettled: Box<Unsettled>,
        service: S,
        head: Parts,
        body: B,
        policy: &Arc<Policy>,
    ) -> Self {
        Self {
            settled: Box::pin(Arc::clone(policy).settle(head, unsettled)),
            body,
            service,
            policy: Arc::clone(policy),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Parts, Settled)> {
        self.settled.as_mut().poll(cx)
    }

    /// Does what the request came to.
    pub(super) fn act(self, head: Parts, settled: Settled) -> State<S, S::Future, S::Response, B> {
        let Self {
            body,
            mut service,
            policy,
            ..
        } = self;
        let mut request = Request::from_parts(head, body);
        match settled {
            Settled::WithoutSession(taken_out) => {
                let passed = Passed::without_session(&policy, &mut request);
                let passed = match taken_out {
                    Some(refused) => passed.map(|passed| passed.without(refused)),
                    None => passed,
                };
                let inner = service.call(request);
                State::pass(inner, passed)
            }
            Settled::Pass(grant, span) => confirm(&mut service, request, &policy, grant, span),
            #[cfg(feature = "forward")]
            Settled::Carry => State::pass(service.call(request), None),
            Settled::Answer(response) => {
                let (head, body) = request.into_parts();
                State::answer(response, &Head::from(&head), body, &policy)
            }
        }
    }
}
