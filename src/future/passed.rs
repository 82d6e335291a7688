//! A request that passed to the application.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Response};
use tracing::Span;

#[cfg(feature = "axum")]
use crate::axum::OwnedRejection;
use crate::{RenderContext, SessionAbsent, SessionId, observe::RequestSpan, policy::Policy};

/// What it takes to answer in the application's place, should its response ask for that.
pub(super) enum Passed {
    Served(Served),
    /// The request names no session. A handler that needs one says so in its response: to tell it
    /// beforehand, in the request's extensions, would cost every request an allocation.
    #[cfg(feature = "axum")]
    WithoutSession(Arc<Policy>),
}

/// A request for a session of this machine.
pub(super) struct Served {
    pub(super) policy: Arc<Policy>,
    pub(super) session: SessionId,
    pub(super) context: RenderContext,
    pub(super) span: RequestSpan,
}

/// Whether the extensions of the application's response may ask for the layer's answer.
#[inline]
pub(super) fn asks_for_answer(asked: &Extensions) -> bool {
    #[cfg(feature = "axum")]
    if asked.get::<OwnedRejection>().is_some() {
        return true;
    }
    asked.get::<SessionAbsent>().is_some()
}

impl Passed {
    /// A request that names no session. `None` without the feature `axum`: then no response can ask
    /// for the layer's answer, and the reference count, which all cores share, is left alone.
    #[allow(
        clippy::unnecessary_wraps,
        unused_variables,
        reason = "what is used differs with the feature"
    )]
    pub(super) fn without_session(policy: &Arc<Policy>) -> Option<Self> {
        #[cfg(feature = "axum")]
        let passed = Some(Self::WithoutSession(Arc::clone(policy)));
        #[cfg(not(feature = "axum"))]
        let passed = None;
        passed
    }

    pub(super) fn span(&self) -> Option<&Span> {
        match self {
            Self::Served(served) => served.span.get(),
            #[cfg(feature = "axum")]
            Self::WithoutSession(_) => None,
        }
    }

    /// The layer's answer, if the extensions of the application's response ask for one.
    #[cold]
    pub(super) fn answer(self, asked: &Extensions) -> Option<Response<Bytes>> {
        #[cfg(feature = "axum")]
        if let Some(rejection) = asked.get::<OwnedRejection>() {
            return Some(match self {
                Self::Served(served) => served.policy.not_told(rejection.context()),
                Self::WithoutSession(policy) => policy.missing(rejection.context()),
            });
        }
        match self {
            Self::Served(served) => asked.get::<SessionAbsent>().map(|_| {
                let Served {
                    policy,
                    session,
                    context,
                    span,
                } = served;
                policy.absent(&session, &span, context)
            }),
            #[cfg(feature = "axum")]
            Self::WithoutSession(_) => None,
        }
    }
}
