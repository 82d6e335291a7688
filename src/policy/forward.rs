//! Requests that the layer carries to their owners itself.

use bytes::Bytes;
use http::{Response, request::Parts};
use tracing::Level;

use super::{Act, Policy};
use crate::{
    Handover, Head, MachineId, Observed, Rejection, RenderContext, RequestOrigin, Session,
    SessionId, Verdict,
    cache::Glance,
    forward::{Carrier, Failure, ForwardTo},
    observe::RequestSpan,
};

impl Policy {
    /// Has the request carried to its owner, or refuses it; `None` where something else hands it over.
    pub(super) fn carry(
        &self,
        head: &mut Parts,
        session: &Session,
        owner: &MachineId,
        origin: &RequestOrigin,
        seen: &Observed<'_>,
        span: &RequestSpan,
    ) -> Option<Act> {
        let carrier = self.forward.as_ref()?;
        let directory = self.sessions.cache.directory_id();
        let handover = Handover::new(session, owner, &self.machine, origin).in_directory(directory);
        let read = Head::from(&*head);
        if carrier.is_replayed(&read, &handover) {
            return None;
        }
        Some(match carrier.plan(&read, &handover) {
            Ok(to) => {
                self.tell(seen, span);
                if self.guard.is_none() && !self.has_listener(Level::DEBUG) {
                    carrier.keep(&read, &to, || self.sessions.cache.owner_number(session));
                }
                let to = to.within(span.get().cloned());
                head.extensions.insert(to);
                Act::Carry
            }
            Err(why) => {
                let context = RenderContext::of(&read);
                let rejection = Rejection::not_replayable(self.machine.clone(), why);
                let line = self.refused_line(&read, session.id(), &rejection, span);
                let request = line.as_deref();
                let seen = &Observed { request, ..*seen };
                Act::Answer(Ok(self.refuse(rejection, seen, span, context)))
            }
        })
    }

    /// The way to the owner, if it is one of many requests that go the same.
    #[inline]
    pub(super) fn planned(
        &self,
        carrier: &Carrier,
        head: &Head<'_>,
        id: &SessionId,
        glance: &Glance,
    ) -> Option<ForwardTo> {
        if self.guard.is_some() {
            return None;
        }
        let to = carrier.planned(head, glance.owner(), id)?;
        self.note(Verdict::Replay, id, glance, || RequestOrigin::Direct);
        Some(to)
    }

    /// Reads a session again whose owner could not be reached, unless that was done a moment ago: it may
    /// have another owner, or be taken over.
    pub(crate) async fn recheck(&self, session: &SessionId) -> Option<Session> {
        let cache = &self.sessions.cache;
        let found = match cache.get(session, cache.hit(session), true) {
            Some(found) => found,
            None => cache.load(session, true).await,
        };
        found.session.ok()?
    }

    /// Answers a request that could not be carried to its owner: a second verdict, which corrects the
    /// first.
    #[cold]
    pub(crate) fn not_carried(&self, to: &ForwardTo, failure: &Failure) -> Response<Bytes> {
        let rejection = failure.rejection(self.machine.clone());
        if let Some(cause) = failure.cause() {
            tracing::debug!(
                target: "tower_ownership::forward",
                owner = to.owner().as_str(),
                cause,
                "a request could not be carried to its owner"
            );
        }
        let asked = to.asker.request();
        let head = Head::from(&asked);
        let span = RequestSpan::of(to.span.clone());
        let line = self.refused_line(&head, &to.session, &rejection, &span);
        let seen = Observed {
            session: Some(&to.session),
            owner: Some(to.owner()),
            request: line.as_deref(),
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        self.refuse(rejection, &seen, &span, RenderContext::of(&head))
    }
}
