//! A request that passes when the application is ready for it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use http_body::Body;
use tower_service::Service;

use super::{Next, Passed, Served, State};
use crate::{
    Head,
    observe::RequestSpan,
    ownership::Grant,
    policy::{Refused, SharedPolicy},
};

/// As what a request passes.
pub(crate) enum Pass {
    /// For no session. Should its handler need one, this is why it has none.
    WithoutSession(Option<Box<Refused>>),
    /// For a session of this machine. It is confirmed once more when the application is ready.
    For(Grant, RequestSpan),
}

/// The request, and a service that was not ready for it.
pub(super) struct Readying<S, B> {
    service: S,
    request: Request<B>,
    policy: Arc<SharedPolicy>,
    pass: Pass,
}

impl<S: Service<Request<B>>, B: Body> Readying<S, B> {
    pub(super) fn new(
        service: S,
        request: Request<B>,
        policy: Arc<SharedPolicy>,
        pass: Pass,
    ) -> Self {
        Self {
            service,
            request,
            policy,
            pass,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let span = match &self.pass {
            Pass::WithoutSession(_) => None,
            Pass::For(_, span) => span.get(),
        };
        match span {
            Some(span) => span.in_scope(|| self.service.poll_ready(cx)),
            None => self.service.poll_ready(cx),
        }
    }

    pub(super) fn call(self) -> Next<S, B> {
        let Self {
            mut service,
            request,
            policy,
            pass,
        } = self;
        call(&mut service, request, &policy, pass)
    }
}

/// Calls a service that is ready.
pub(super) fn call<S: Service<Request<B>>, B: Body>(
    service: &mut S,
    mut request: Request<B>,
    policy: &Arc<SharedPolicy>,
    pass: Pass,
) -> Next<S, B> {
    let (grant, span) = match pass {
        Pass::WithoutSession(taken_out) => {
            let passed = Passed::without_session(policy, &mut request);
            let passed = passed.map(|passed| passed.without(taken_out));
            return State::pass(service.call(request), passed);
        }
        Pass::For(grant, span) => (grant, span),
    };
    // Entered before the last look: the span's subscriber may block, too.
    let current = span.get().cloned();
    let entered = current.as_ref().map(|span| span.enter());
    if let Err(refusal) = policy.confirm(&grant) {
        drop(entered);
        let (head, body) = request.into_parts();
        let head = Head::from(&head);
        let response = policy.lapsed(&refusal, &grant.session, &span, &head);
        return State::answer(response, &head, body, policy);
    }
    let served = Served::new(policy, &mut request, grant, span);
    State::pass(service.call(request), Some(served.into()))
}
