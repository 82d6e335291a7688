//! A request that passed to the application.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, header};
use tracing::Span;

#[cfg(feature = "axum")]
use crate::axum::OwnedRejection;
use crate::{
    Head, Owned, RenderContext, SessionAbsent, SessionId,
    observe::RequestSpan,
    ownership::Grant,
    policy::{Policy, Refused},
};

/// What it takes to answer in the application's place, should its response ask for that.
pub(crate) enum Passed {
    Served(Served),
    /// The request names no session. A handler that needs one says so in its response: to tell it
    /// beforehand, in the request's extensions, would cost every request an allocation.
    /// With what was refused and taken out of it before.
    #[cfg_attr(
        not(feature = "axum"),
        allow(dead_code, reason = "only an extractor asks what was refused")
    )]
    WithoutSession(Arc<Policy>, RenderContext, Option<Box<Refused>>),
}

/// A request for a session of this machine.
pub(crate) struct Served {
    pub(super) policy: Arc<Policy>,
    pub(super) session: SessionId,
    /// What makes the client forget it. `None` where nothing does, which is cheaper than an empty
    /// list.
    pub(super) expiry: Option<Box<[HeaderValue]>>,
    pub(super) context: RenderContext,
    pub(super) span: RequestSpan,
    /// Boxed, since it is large, and few layers have a use for it.
    pub(super) after: Option<Box<After>>,
}

impl Served {
    /// Puts what a handler learns of its session into the request, and keeps what the answer to it
    /// takes.
    #[inline]
    pub(crate) fn new<B>(policy: &Arc<Policy>, request: &mut Request<B>, grant: Grant) -> Self {
        let head = Head::from(&*request);
        let served = Self {
            policy: Arc::clone(policy),
            session: grant.session.id().clone(),
            expiry: match policy.extract.expiry(&head) {
                [] => None,
                lines => Some(lines.into()),
            },
            context: RenderContext::of(&head),
            span: RequestSpan::default(),
            after: After::of(policy, &head, &grant),
        };
        policy.tell_registrar(request);
        if policy.tells_owned {
            let owned = grant.owned(&policy.sessions);
            request.extensions_mut().insert(owned);
        }
        served
    }

    pub(super) fn in_span(self, span: RequestSpan) -> Self {
        Self { span, ..self }
    }
}

impl From<Served> for Passed {
    #[inline]
    fn from(served: Served) -> Self {
        Self::Served(served)
    }
}

/// What the response may bring about.
pub(crate) struct After {
    /// There if streams end with the ownership.
    pub(super) watched: Option<Owned>,
    /// The epoch at which the session ends if the response is a 2xx.
    pub(super) ends_at: Option<u64>,
}

/// Whether a stream that answers the request stands open until one side ends it. What answers a POST
/// ends by itself, but for gRPC, and a call that is under way should not be cut off by a drain.
fn stands(head: &Head<'_>) -> bool {
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    head.method.is_safe() || head.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc)
}

impl After {
    /// `None`: nothing.
    #[inline]
    pub(super) fn of(policy: &Policy, head: &Head<'_>, grant: &Grant) -> Option<Box<Self>> {
        if !policy.ends_streams && !policy.attends_every_response() {
            return None;
        }
        Some(Box::new(Self {
            watched: (policy.ends_streams && stands(head))
                .then(|| grant.clone().owned(&policy.sessions)),
            ends_at: policy
                .births
                .ends(head)
                .then(|| grant.session.owned_epoch()),
        }))
    }
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
    /// A request that names no session. `None` where no response can ask for the layer's answer: then
    /// the reference count, which all cores share, is left alone.
    #[inline]
    pub(crate) fn without_session<B>(
        policy: &Arc<Policy>,
        request: &mut Request<B>,
    ) -> Option<Self> {
        let head = Head::from(&*request);
        policy.note_pass_without_session(&head);
        let passed = if cfg!(feature = "axum") || policy.attends_every_response() {
            let context = RenderContext::of(&head);
            Some(Self::WithoutSession(Arc::clone(policy), context, None))
        } else {
            None
        };
        policy.tell_registrar(request);
        passed
    }

    /// The same, of which this was taken out before.
    pub(super) fn without(mut self, refused: Option<Box<Refused>>) -> Self {
        if let Self::WithoutSession(.., taken_out) = &mut self {
            *taken_out = refused;
        }
        self
    }

    /// Whether the response may bring anything about.
    #[inline]
    pub(super) fn needs_attention(&self) -> bool {
        match self {
            Self::Served(served) => served.after.is_some(),
            Self::WithoutSession(policy, ..) => policy.attends_every_response(),
        }
    }

    pub(super) fn policy(&self) -> &Arc<Policy> {
        match self {
            Self::Served(served) => &served.policy,
            Self::WithoutSession(policy, ..) => policy,
        }
    }

    pub(super) fn context(&self) -> RenderContext {
        match self {
            Self::Served(served) => served.context,
            Self::WithoutSession(_, context, _) => *context,
        }
    }

    /// Whose loss ends the response, if it streams.
    pub(super) fn take_watched(&mut self) -> Option<Owned> {
        match self {
            Self::Served(served) => served.after.as_mut()?.watched.take(),
            Self::WithoutSession(..) => None,
        }
    }

    /// The session that the request was for.
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Served(served) => Some(&served.session),
            Self::WithoutSession(..) => None,
        }
    }

    pub(super) fn span(&self) -> Option<&Span> {
        match self {
            Self::Served(served) => served.span.get(),
            Self::WithoutSession(..) => None,
        }
    }

    /// The layer's answer, if the extensions of the application's response ask for one.
    #[cold]
    pub(super) fn answer(self, asked: &Extensions) -> Option<Response<Bytes>> {
        #[cfg(feature = "axum")]
        if let Some(rejection) = asked.get::<OwnedRejection>() {
            return Some(match self {
                Self::Served(served) => served.policy.not_told(rejection.context()),
                Self::WithoutSession(policy, _, None) => policy.missing(rejection.context()),
                Self::WithoutSession(policy, _, Some(refused)) => {
                    policy.refuse_late(&refused, rejection.context())
                }
            });
        }
        match self {
            Self::Served(served) => asked.get::<SessionAbsent>().map(|_| {
                let Served {
                    policy,
                    session,
                    expiry,
                    context,
                    span,
                    ..
                } = served;
                policy.absent(&session, &expiry.unwrap_or_default(), &span, context)
            }),
            Self::WithoutSession(..) => None,
        }
    }
}
