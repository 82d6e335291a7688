//! A request that passed to the application.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, header};
use tracing::Span;

#[cfg(feature = "axum")]
use crate::axum::OwnedRejection;
use crate::{
    Head, Owned, RenderContext, SessionAbsent, SessionId,
    cache::Glance,
    observe::RequestSpan,
    ownership::Grant,
    policy::{Keeper, Refused, SharedPolicy},
};

/// What it takes to answer in the application's place, should its response ask for that.
pub(crate) enum Passed {
    Served(Served),
    /// The request names no session. A handler that needs one says so in its response: to tell it
    /// beforehand, in the request's extensions, would cost every request an allocation.
    /// The context is there if its response may create a session; an extractor brings its own. With what was
    /// refused and taken out of it before.
    #[cfg_attr(
        not(feature = "axum"),
        allow(dead_code, reason = "only an extractor asks what was refused")
    )]
    WithoutSession(Arc<Keeper>, Option<RenderContext>, Option<Box<Refused>>),
}

/// A request for a session of this machine.
pub(crate) struct Served {
    pub(super) policy: Arc<Keeper>,
    pub(super) session: SessionId,
    pub(super) context: RenderContext,
    /// Boxed, since it is large, and few requests have a use for it.
    pub(super) more: Option<Box<More>>,
}

/// What is kept of some requests.
pub(crate) struct More {
    /// What makes the client forget the session.
    pub(super) expiry: Box<[HeaderValue]>,
    pub(super) span: RequestSpan,
    pub(super) after: Option<After>,
}

impl Served {
    /// Puts what a handler learns of its session into the request, and keeps what the answer to it
    /// takes.
    pub(crate) fn new<B>(
        policy: &SharedPolicy,
        request: &mut Request<B>,
        grant: Grant,
        span: RequestSpan,
    ) -> Self {
        let (after, session) = (
            After::of(policy, request, &grant),
            grant.session.id().clone(),
        );
        if policy.tells_owned {
            request
                .extensions_mut()
                .insert(grant.owned(&policy.sessions));
        }
        policy.tell_registrar(request);
        let head = Head::from(&*request);
        Self {
            policy: policy.keeper(),
            session,
            context: RenderContext::of(&head),
            more: More::of(policy, &head, span, after),
        }
    }

    /// The same for a request that passes at once.
    #[inline]
    pub(crate) fn at_once<B>(
        policy: &SharedPolicy,
        request: &mut Request<B>,
        id: SessionId,
        glance: &Glance,
    ) -> Self {
        if policy.looks_at_what_passes() {
            let grant = policy.grant(&id, glance);
            return Self::new(policy, request, grant, RequestSpan::default());
        }
        if policy.tells_owned {
            let owned = policy.grant(&id, glance).owned(&policy.sessions);
            request.extensions_mut().insert(owned);
        }
        let head = Head::from(&*request);
        Self {
            policy: policy.keeper(),
            session: id,
            context: RenderContext::of(&head),
            more: match policy.extract.expiry(&head) {
                [] => None,
                expiry => Some(More::expiring(expiry)),
            },
        }
    }

    fn after(&self) -> Option<&After> {
        self.more.as_ref()?.after.as_ref()
    }
}

impl More {
    fn expiring(expiry: &[HeaderValue]) -> Box<Self> {
        Box::new(Self {
            expiry: expiry.into(),
            span: RequestSpan::default(),
            after: None,
        })
    }

    fn of(
        policy: &SharedPolicy,
        head: &Head<'_>,
        span: RequestSpan,
        after: Option<After>,
    ) -> Option<Box<Self>> {
        let expiry = policy.extract.expiry(head);
        if expiry.is_empty() && after.is_none() && span.get().is_none() {
            return None;
        }
        let expiry = expiry.into();
        Some(Box::new(Self {
            expiry,
            span,
            after,
        }))
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
pub(crate) fn stands(head: &Head<'_>) -> bool {
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    head.method.is_safe() || head.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc)
}

impl After {
    /// `None`: nothing.
    #[inline]
    fn of<B>(policy: &SharedPolicy, request: &Request<B>, grant: &Grant) -> Option<Self> {
        if !policy.ends_streams && !policy.attends_every_response() {
            return None;
        }
        let head = Head::from(request);
        let epoch = grant.session.owned_epoch();
        Some(Self {
            ends_at: policy.births.ends(&head).then_some(epoch),
            watched: (policy.ends_streams && stands(&head))
                .then(|| grant.clone().owned(&policy.sessions)),
        })
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
        policy: &SharedPolicy,
        request: &mut Request<B>,
    ) -> Option<Self> {
        let head = Head::from(&*request);
        policy.note_pass_without_session(&head);
        let context = policy
            .attends_every_response()
            .then(|| RenderContext::of(&head));
        let passed = (cfg!(feature = "axum") || context.is_some())
            .then(|| Self::WithoutSession(policy.keeper(), context, None));
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
            Self::Served(served) => served.after().is_some(),
            Self::WithoutSession(policy, ..) => policy.attends_every_response(),
        }
    }

    pub(super) fn policy(&self) -> &Arc<Keeper> {
        match self {
            Self::Served(served) => &served.policy,
            Self::WithoutSession(policy, ..) => policy,
        }
    }

    pub(super) fn context(&self) -> Option<RenderContext> {
        match self {
            Self::Served(served) => Some(served.context),
            Self::WithoutSession(_, context, _) => *context,
        }
    }

    /// Whose loss ends the response, if it streams.
    pub(super) fn take_watched(&mut self) -> Option<Owned> {
        match self {
            Self::Served(served) => served.more.as_mut()?.after.as_mut()?.watched.take(),
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
            Self::Served(served) => served.more.as_ref()?.span.get(),
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
                Self::WithoutSession(policy, _, None) => policy.missing(None, rejection.context()),
                Self::WithoutSession(policy, _, Some(refused)) => {
                    policy.refuse_late(&refused, None, rejection.context())
                }
            });
        }
        match self {
            Self::Served(served) => asked.get::<SessionAbsent>().map(|_| {
                let Served {
                    policy,
                    session,
                    context,
                    more,
                } = served;
                let (expiry, span) = more
                    .map(|more| (more.expiry, more.span))
                    .unwrap_or_default();
                policy.absent(&session, &expiry, &span, context)
            }),
            Self::WithoutSession(..) => None,
        }
    }
}
