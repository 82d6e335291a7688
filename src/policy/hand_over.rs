//! The answer that hands a request over.

use std::{mem, sync::OnceLock};

use bytes::Bytes;
use http::{Response, header};
use tracing::Level;

use super::{Policy, refuse::finish};
use crate::{
    Handover, Head, MachineId, NotReplayable, Rejection, RenderContext, Replay, RequestOrigin,
    Session, cache::Glance, numbered::Numbered, replay::Verbatim,
};

/// Writes a handover's answer; one of the two ways in which a [`Replay`] does.
pub(crate) type WriteHandover =
    fn(&dyn Replay, &Head<'_>, &Handover<'_>) -> Result<Response<Bytes>, NotReplayable>;

/// Answers that hand requests over, each for all requests in whose place it may stand: by owner, and by
/// the form and the language that the client reads if no proxy acts on it.
///
/// Boxed, since the places of 256 owners are made at once.
pub(crate) type KeptHandovers = Numbered<Box<[OnceLock<Response<Bytes>>; RenderContext::READERS]>>;

impl Policy {
    /// The answer that hands the request over, if it is one of many that have the same.
    #[inline]
    pub(super) fn kept_handover(
        &self,
        head: &Head<'_>,
        glance: &Glance,
    ) -> Option<Response<Bytes>> {
        if !self.hands_over_alike() || !self.replay.answers_alike(head) {
            return None;
        }
        let reader = RenderContext::of(head).reader();
        let of_owner = self.handovers.get(glance.owner())?;
        of_owner.get(reader)?.get().cloned()
    }

    /// Keeps an answer for other requests for sessions of the same owner.
    fn keep_handover(&self, head: &Head<'_>, session: &Session, answer: &Response<Bytes>) {
        // Where something listens, no kept answer is looked for.
        if self.has_listener(Level::DEBUG)
            || !self.hands_over_alike()
            || !self.replay.answers_alike(head)
        {
            return;
        }
        let number = self.sessions.cache.owner_number(session);
        let Some(of_owner) = number.and_then(|number| self.handovers.place(number)) else {
            return;
        };
        let reader = RenderContext::of(head).reader();
        if let Some(form) = of_owner.get_or_init(Default::default).get(reader) {
            form.get_or_init(|| answer.clone());
        }
    }

    /// Whether nothing but the owner and the request decides on the answer.
    #[inline]
    fn hands_over_alike(&self) -> bool {
        #[cfg(feature = "forward")]
        if self.forward.is_some() {
            return false;
        }
        self.guard.is_none()
    }

    pub(crate) fn hand_over(
        &self,
        head: &Head<'_>,
        session: &Session,
        owner: &MachineId,
        origin: &RequestOrigin,
        write: WriteHandover,
    ) -> Result<Response<Bytes>, Rejection> {
        let machine = &self.machine;
        let directory = self.sessions.cache.directory_id();
        let handover = Handover::new(session, owner, machine, origin).in_directory(directory);
        let replay = write(&*self.replay, head, &handover)
            .map_err(|why| Rejection::not_replayable(machine.clone(), why))?;
        if replay.extensions().get::<Verbatim>().is_some() {
            return Ok(replay);
        }
        let context = RenderContext::of(head);
        if !replay.body().is_empty() || replay.headers().contains_key(header::LOCATION) {
            return Ok(finish(replay, context));
        }
        let rejection = Rejection::not_honoured(machine.clone(), replay.status());
        if let Some(unread) = self.render.unread(&rejection, context) {
            let answer = finish(beside(replay, unread), context);
            self.keep_handover(head, session, &answer);
            return Ok(answer);
        }
        let rejection = rejection.for_session(session.id().clone(), Some(owner));
        let answer = self.render.render(&rejection, context);
        Ok(finish(beside(replay, &answer), context))
    }
}

/// A replay together with the answer to a client that no proxy takes it from. The replay's own headers
/// win.
fn beside(mut replay: Response<Bytes>, answer: &Response<Bytes>) -> Response<Bytes> {
    *replay.status_mut() = answer.status();
    *replay.body_mut() = answer.body().clone();
    // A map is cloned for less than its fields are inserted for, one by one.
    let own = mem::replace(replay.headers_mut(), answer.headers().clone());
    replay.headers_mut().extend(own);
    replay
}
